"""The grid: how many points, which, and each of them once."""

from __future__ import annotations

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import EMPTY, Condition, pending
from evotune.algorithms import GridLevelsError, GridSearch, GridSizeError, canonicalise
from evotune.testing import GEOMETRIES, choice, cube, finish, floating, integer
from evotune.testing._harness import harness

BOUNDED = {name: g for name, g in GEOMETRIES.items() if name != "many"}


def _visit(search, geometry, change=lambda proposal: proposal):
    """Every row that a whole search tells, and the last proposal."""
    run = harness(search, geometry)
    state, rows = run.start(), []
    while True:
        proposal = change(run.ask(jax.random.key(0), state))
        real = np.asarray(proposal.trial) != EMPTY
        if not real.any():
            return rows
        rows += [tuple(row) for row in np.asarray(proposal.x)[real].tolist()]
        state = run.tell(state, pending(proposal))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("name", BOUNDED)
def test_every_point_is_visited_once(name, shuffle) -> None:
    search = GridSearch(levels=3, shuffle=shuffle, batch_size=10)
    rows = _visit(search, BOUNDED[name])
    assert len(rows) == len(set(rows)) == search.size(BOUNDED[name])


@pytest.mark.parametrize("name", BOUNDED)
def test_grid_points_are_those_of_the_whole_product_made_canonical(name) -> None:
    """An independent count: all combinations, canonical, without repeats."""
    geometry = BOUNDED[name]
    axes = []
    for kind, count, edges in zip(
        geometry.kinds, geometry.levels, geometry.edges, strict=True
    ):
        size = count if kind.value == "categorical" else min(count or 2, 2)
        ends = np.linspace(0, 1, size) if count == 0 or size == 2 else None
        middles = (np.arange(size) + 0.5) / size
        if edges:
            middles = np.add(edges[:-1], edges[1:]) / 2
        axes.append(ends if ends is not None else middles)
    product = jnp.asarray(list(itertools.product(*axes)), jnp.float32)
    expected = {
        tuple(row) for row in np.asarray(canonicalise(product, geometry)).tolist()
    }
    assert set(_visit(GridSearch(levels=2, batch_size=10), geometry)) == expected


def test_both_ends_of_every_axis_are_points() -> None:
    rows = np.asarray(_visit(GridSearch(levels=4), cube(floating(), integer(9))))
    np.testing.assert_allclose(np.unique(rows[:, 0]), np.linspace(0, 1, 4), atol=1e-7)
    assert np.floor(np.unique(rows[:, 1]) * 9).tolist() == [0, 3, 5, 8]


def test_levels_can_differ_by_dimension() -> None:
    geometry = cube(floating(), integer(9), choice(5))
    assert GridSearch(levels=3).size(geometry) == 3 * 3 * 5
    assert GridSearch(levels=(4, None, 2)).size(geometry) == 4 * 9 * 2
    assert GridSearch(levels=[4, 2, 2]).levels == (4, 2, 2)


def test_inactive_dimensions_do_not_multiply_the_grid() -> None:
    def only(level):
        return (Condition(parent=0, levels=(level,)),)

    axes = [integer(7, when=only(level)) for level in range(5) for _ in range(3)]
    geometry = cube(choice(5), *axes)
    assert GridSearch().size(geometry) == 5 * 7**3
    assert len(_visit(GridSearch(batch_size=512), geometry)) == 5 * 7**3


def test_without_shuffle_the_last_dimension_changes_fastest() -> None:
    rows = _visit(GridSearch(batch_size=4), cube(choice(2), choice(3)))
    assert rows == sorted(rows)


def test_shuffle_hangs_on_the_key_of_init_only() -> None:
    search, geometry = GridSearch(shuffle=True), cube(integer(40))
    orders = [search.init(jax.random.key(seed), geometry).order for seed in (0, 0, 1)]
    assert orders[0].tolist() == orders[1].tolist() != orders[2].tolist()


def test_a_point_whose_row_was_given_away_comes_back() -> None:
    taken = []

    def enqueue(proposal):
        if taken:
            return proposal
        taken.append(tuple(np.asarray(proposal.x[1]).tolist()))
        return dataclasses.replace(proposal, x=proposal.x.at[1].set(0.777))

    rows = _visit(GridSearch(levels=5, batch_size=4), cube(floating()), enqueue)
    assert rows.count(taken[0]) == 1
    assert len(rows) == 6


def test_points_that_others_tried_are_skipped() -> None:
    search, geometry = GridSearch(levels=5, batch_size=4), cube(floating())
    run = harness(search, geometry)
    state = run.start()
    foreign = dataclasses.replace(
        finish(run.ask(jax.random.key(0), state), np.zeros(4)),
        trial=jnp.asarray([70, 71, EMPTY, EMPTY], jnp.int32),
        x=jnp.asarray([[1.0], [0.5], [0.0], [0.25]]),
    )
    proposal = run.ask(jax.random.key(0), run.tell(state, foreign))
    assert proposal.x[:3, 0].tolist() == [0.0, 0.25, 0.75]
    assert proposal.trial.tolist() == [72, 73, 74, EMPTY]


def test_a_continuous_dimension_without_levels_is_named() -> None:
    geometry = cube(choice(2), floating(), floating())
    with pytest.raises(
        GridLevelsError, match=r"dimension 1 .*GridSearch\(levels=5\)"
    ) as e:
        GridSearch().init(jax.random.key(0), geometry)
    assert e.value.dimension == 1
    assert isinstance(e.value, ValueError)


def test_a_tuple_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="each of the 2 dimensions"):
        GridSearch(levels=(2,)).size(cube(choice(2), choice(2)))


def test_a_huge_grid_is_an_error_that_says_what_would_fit() -> None:
    geometry = cube(*[floating()] * 10)
    search = GridSearch(levels=10)
    assert search.size(geometry) == 10**10
    with pytest.raises(GridSizeError, match=r"10,000,000,000.*GridSearch\(levels=4\)"):
        search.init(jax.random.key(0), geometry)
    assert GridSearch(levels=4).size(geometry) == 4**10 == 2**20


@pytest.mark.parametrize("levels", [0, -1, 2.5, "3", (3, 0), True])
def test_bad_levels_are_errors_when_made(levels) -> None:
    with pytest.raises(ValueError, match="`levels` must be an integer of at least 1"):
        GridSearch(levels=levels)
