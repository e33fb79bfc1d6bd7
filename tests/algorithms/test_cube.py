"""Canonical rows: the same configuration, the same row."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import Condition
from evotune.algorithms import canonicalise
from evotune.algorithms._cube import active, condition_chains, levels_of
from evotune.testing import GEOMETRIES, choice, cube, floating, log_integer
from evotune.testing._algorithm import _canonical


@pytest.mark.parametrize("name", GEOMETRIES)
def test_canonical_rows_agree_with_an_independent_account(name) -> None:
    geometry = GEOMETRIES[name]
    x = jax.random.uniform(jax.random.key(0), (200, geometry.dimensions))
    out = np.asarray(canonicalise(x, geometry))
    np.testing.assert_allclose(out, _canonical(np.asarray(x), geometry), atol=1e-6)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_canonical_rows_stay_as_they_are(name) -> None:
    geometry = GEOMETRIES[name]
    x = jax.random.uniform(jax.random.key(1), (200, geometry.dimensions))
    once = canonicalise(x, geometry)
    np.testing.assert_array_equal(np.asarray(canonicalise(once, geometry)), once)
    jitted = jax.jit(lambda rows: canonicalise(rows, geometry))(x)
    np.testing.assert_array_equal(np.asarray(jitted), np.asarray(once))


@pytest.mark.parametrize("high", [20, 3000])
def test_levels_of_unequal_cells_are_found_whatever_their_number(high) -> None:
    geometry = cube(log_integer(2, high))
    edges = np.asarray(geometry.edges[0], np.float32)
    x = np.asarray([0.0, *(edges[1:] + edges[:-1]) / 2, 1.0, -1.0, 2.0], np.float32)
    last = geometry.levels[0] - 1
    level = levels_of(jnp.asarray(x)[:, None], geometry)[:, 0]
    assert level.tolist() == [0, *range(last + 1), last, 0, last]


def test_a_dimension_needs_all_its_conditions_and_active_parents() -> None:
    geometry = cube(
        choice(2),
        choice(2, when=(Condition(parent=0, levels=(1,)),)),
        floating(when=(Condition(parent=1, levels=(0,)),)),
    )
    level = jnp.asarray([[0, 0, 0], [1, 0, 0], [1, 1, 0]])
    expected = [[True, False, False], [True, True, True], [True, True, False]]
    assert active(level, geometry).tolist() == expected
    assert condition_chains(geometry) == ((), (0,), (0, 1))


def test_rows_that_differ_only_where_inactive_are_the_same() -> None:
    geometry = GEOMETRIES["conditional"]
    x = jnp.full((2, 6), 0.1).at[1, 2:].set(0.9).at[:, 1].set(0.4)
    a, b = np.asarray(canonicalise(x, geometry))
    np.testing.assert_array_equal(a, b)


def test_a_cycle_of_conditions_is_an_error() -> None:
    geometry = cube(
        choice(2, when=(Condition(parent=1, levels=(0,)),)),
        choice(2, when=(Condition(parent=0, levels=(0,)),)),
    )
    with pytest.raises(ValueError, match="must not form a cycle"):
        canonicalise(jnp.zeros((1, 2)), geometry)
