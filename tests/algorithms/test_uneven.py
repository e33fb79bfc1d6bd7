"""Cells of unequal widths, of priors and weights, under the operators."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from evotune import algorithms as ea
from evotune.algorithms._breeding import mutated
from evotune.algorithms._chances import first_chances
from evotune.algorithms._cube import canonicalise, levels_of
from evotune.algorithms._kernel import squared_differences
from evotune.algorithms._mutation import gaussian_mutation, other_category
from evotune.space import Categorical, Float, Ordinal, Space
from evotune.testing import choice, cube, floating

EDGES = (0.0, 0.7, 0.8, 1.0)
UNEVEN = cube(choice(3, edges=EDGES), choice(3), floating())
ROWS = 6000


def test_another_category_is_another_whatever_the_widths() -> None:
    """Each of the others with the same chance, as with equal cells."""
    key = jax.random.split(jax.random.key(0))
    x = canonicalise(jax.random.uniform(key[0], (ROWS, 3)), UNEVEN)
    u = jax.random.uniform(key[1], (ROWS, 3))
    other = other_category(u, x, UNEVEN)
    before = np.asarray(levels_of(x, UNEVEN))
    after = np.asarray(levels_of(other, UNEVEN))
    for d in (0, 1):
        assert (before[:, d] != after[:, d]).all()
        step = (after[:, d] - before[:, d]) % 3
        assert abs(np.mean(step == 1) - 0.5) < 0.03
    share = np.bincount(before[:, 0], minlength=3) / ROWS
    np.testing.assert_allclose(share, np.diff(EDGES), atol=0.03)
    np.testing.assert_array_equal(
        np.asarray(other[:, 1]),
        np.asarray(ea.resample_category(u, x, np.asarray([3, 3, 0]))[:, 1]),
        "equal cells are drawn as they were",
    )


def test_cma_es_starts_from_the_weights() -> None:
    chances = first_chances(UNEVEN)
    np.testing.assert_allclose(chances[0], np.diff(EDGES), rtol=1e-6)
    np.testing.assert_array_equal(chances[1], np.full(3, np.float32(1 / 3)))
    np.testing.assert_array_equal(chances[2], 0.0)


def test_ordinal_choices_are_near_their_neighbours() -> None:
    """A small step reaches the next choice, and the kernel sees an order."""
    names = ["tiny", "small", "middle", "large", "huge"]
    space = Space(size=Ordinal(names), kind=Categorical(names), x=Float(0.0, 1.0))
    geometry = space.geometry()
    rows = [{"size": name, "kind": name, "x": 0.0} for name in names]
    x = jnp.asarray(space.encode(rows))
    apart = np.asarray(squared_differences(x, x, geometry))
    place = np.arange(5) / 5
    np.testing.assert_allclose(apart[0], (place[:, None] - place[None]) ** 2, atol=1e-6)
    np.testing.assert_array_equal(apart[1], 1.0 - np.eye(5))

    start = jnp.tile(x[2:3], (ROWS, 1))
    hits, steps = jax.random.uniform(jax.random.key(1), (2, ROWS, 3))
    moved = mutated(
        start,
        hits,
        steps,
        geometry=geometry,
        rate=jnp.ones((ROWS, 1)),
        mutation=gaussian_mutation,
        strength=jnp.full((1, 3), 0.01),
    )
    level = np.asarray(levels_of(moved, geometry))
    share = np.bincount(level[:, 0], minlength=5) / ROWS
    assert share[1] > 3 * share[0]
    assert share[3] > 3 * share[4]
    even = np.bincount(level[:, 1], minlength=5) / ROWS
    np.testing.assert_allclose(even[[0, 1, 3, 4]], 0.25, atol=0.03)
