"""Properties of the operators: bounds, symmetry, means, distributions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evotune import algorithms as ea
from evotune.algorithms._crossover import CROSSOVERS
from evotune.algorithms._draws import latin_hypercube, trial_uniforms, uniforms
from evotune.algorithms._duplicates import fingerprint, remember, repeats
from evotune.algorithms._mutation import MUTATIONS
from evotune.algorithms._selection import SELECTIONS

ROWS, DIMENSIONS = 6, 4
CASES = settings(max_examples=25)
UNIT = hnp.arrays(
    np.float32, (ROWS, DIMENSIONS), elements=st.floats(0, 1, exclude_max=True, width=32)
)
FITNESS = [0.9, 0.9, 0.5, 0.2, 0.1, -jnp.inf, -jnp.inf, -jnp.inf]


@pytest.fixture(scope="module")
def many() -> jax.Array:
    """Uniform numbers, enough to test a mean to three digits."""
    return jax.random.uniform(jax.random.key(0), (20_000, 2))


@pytest.mark.parametrize("name", CROSSOVERS)
@CASES
@given(u=UNIT, a=UNIT, b=UNIT)
def test_crossover_stays_in_the_cube(name, u, a, b) -> None:
    child = np.asarray(CROSSOVERS[name](*map(jnp.asarray, (u, a, b))))
    assert child.shape == a.shape
    assert child.dtype == np.float32
    assert np.isfinite(child).all()
    assert child.min() >= 0.0
    assert child.max() <= 1.0


@pytest.mark.parametrize("name", CROSSOVERS)
@CASES
@given(u=UNIT, a=UNIT, b=UNIT)
def test_swapped_parents_give_the_other_child_of_the_pair(name, u, a, b) -> None:
    first = np.asarray(CROSSOVERS[name](*map(jnp.asarray, (u, a, b))))
    second = np.asarray(CROSSOVERS[name](*map(jnp.asarray, (u, b, a))))
    free = (np.minimum(first, second) > 0.0) & (np.maximum(first, second) < 1.0)
    free |= name in ("uniform", "one_point", "two_point")
    np.testing.assert_allclose((first + second)[free], (a + b)[free], atol=1e-5)


@pytest.mark.parametrize("name", CROSSOVERS)
@CASES
@given(u=UNIT, a=UNIT)
def test_crossing_equal_parents_changes_nothing(name, u, a) -> None:
    child = CROSSOVERS[name](jnp.asarray(u), jnp.asarray(a), jnp.asarray(a))
    np.testing.assert_allclose(np.asarray(child), a, atol=1e-6)


@pytest.mark.parametrize("name", ["uniform", "one_point", "two_point"])
@CASES
@given(u=UNIT)
def test_exchange_takes_every_coordinate_from_a_parent(name, u) -> None:
    a, b = jnp.zeros((ROWS, DIMENSIONS)), jnp.ones((ROWS, DIMENSIONS))
    child = np.asarray(CROSSOVERS[name](jnp.asarray(u), a, b))
    assert set(np.unique(child)) <= {0.0, 1.0}
    changes = np.abs(np.diff(child, axis=1)).sum(axis=1)
    if name == "one_point":
        np.testing.assert_array_equal(changes, 1.0)
    if name == "two_point":
        assert set(changes) <= {1.0, 2.0}


@pytest.mark.parametrize("name", CROSSOVERS)
def test_crossover_keeps_the_mean_of_the_parents(name, many) -> None:
    a, b = jnp.full_like(many, 0.4), jnp.full_like(many, 0.6)
    child = np.asarray(CROSSOVERS[name](many, a, b))
    # One cut in two dimensions always takes one coordinate of each.
    mean = child.mean(axis=0) if name != "one_point" else child.mean()
    np.testing.assert_allclose(mean, 0.5, atol=4e-3)


def test_simulated_binary_crossover_spreads_as_its_paper_says(many) -> None:
    """Half of the children lie between the parents, for any index."""
    a, b = jnp.full_like(many, 0.45), jnp.full_like(many, 0.55)
    for eta in (2.0, 15.0):
        child = ea.simulated_binary_crossover(many, a, b, eta=eta)
        inside = np.mean((np.asarray(child) > 0.45) & (np.asarray(child) < 0.55))
        assert abs(inside - 0.5) < 0.01


def test_blend_crossover_reaches_alpha_beyond_the_parents(many) -> None:
    a, b = jnp.full_like(many, 0.4), jnp.full_like(many, 0.6)
    child = np.asarray(ea.blend_crossover(many, a, b, alpha=0.5))
    np.testing.assert_allclose([child.min(), child.max()], [0.3, 0.7], atol=1e-3)


@pytest.mark.parametrize("name", MUTATIONS)
@CASES
@given(u=UNIT, x=UNIT, strength=st.floats(0.0078125, 1.0, width=32))
def test_mutation_stays_in_the_cube(name, u, x, strength) -> None:
    moved = np.asarray(
        MUTATIONS[name](
            jnp.asarray(u), jnp.asarray(x), jnp.float32(strength)[None, None]
        )
    )
    assert np.isfinite(moved).all()
    assert moved.min() >= 0.0
    assert moved.max() <= 1.0


@pytest.mark.parametrize("name", MUTATIONS)
@CASES
@given(u=UNIT, x=UNIT)
def test_mutation_is_the_mirror_image_of_itself(name, u, x) -> None:
    """Turned about the middle of the cube, and of the draws, nothing changes."""
    u = np.clip(u, 0.01, 0.99)
    strength = jnp.full((1, 1), 0.1, jnp.float32)
    moved = MUTATIONS[name](jnp.asarray(u), jnp.asarray(x), strength)
    mirrored = MUTATIONS[name](jnp.asarray(1 - u), jnp.asarray(1 - x), strength)
    np.testing.assert_allclose(np.asarray(moved), 1 - np.asarray(mirrored), atol=2e-4)


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_keeps_the_mean_and_steps_by_its_strength(name, many) -> None:
    strength = jnp.full((1, 1), 0.05, jnp.float32)
    step = np.asarray(MUTATIONS[name](many, jnp.full_like(many, 0.5), strength)) - 0.5
    assert abs(step.mean()) < 1.5e-3
    assert 0.03 < step.std() < 0.07


@CASES
@given(u=UNIT, levels=st.lists(st.integers(2, 9), min_size=4, max_size=4))
def test_resampling_always_takes_another_category(u, levels) -> None:
    count = np.asarray(levels, np.int32)
    level = np.floor(u * count)
    x = ((level + 0.5) / count).astype(np.float32)
    moved = np.asarray(ea.resample_category(jnp.asarray(u), jnp.asarray(x), count))
    assert (np.floor(moved * count) != level).all()
    assert moved.min() >= 0.0
    assert moved.max() < 1.0


def test_resampling_gives_every_other_category_the_same_chance(many) -> None:
    x = jnp.full_like(many, 0.3)  # the second of four
    moved = ea.resample_category(many, x, np.asarray([4, 4]))
    counts = np.bincount((np.asarray(moved) * 4).astype(int).ravel(), minlength=4)
    np.testing.assert_allclose(
        counts / counts.sum(), [1 / 3, 0, 1 / 3, 1 / 3], atol=0.01
    )


def test_a_dimension_of_one_level_cannot_move() -> None:
    x = jnp.full((3, 1), 0.5)
    assert (ea.resample_category(x, x, np.asarray([1])) == 0.5).all()


@pytest.mark.parametrize("name", SELECTIONS)
def test_selection_never_takes_an_empty_place(name, many) -> None:
    chosen = SELECTIONS[name](many[:, 0], jnp.asarray(FITNESS))
    assert chosen.dtype == jnp.int32
    assert int(chosen.min()) == 0
    assert int(chosen.max()) < 5


@pytest.mark.parametrize("name", SELECTIONS)
def test_selection_from_nobody_stays_in_range(name) -> None:
    u = jnp.linspace(0.0, 0.999, 11)
    chosen = SELECTIONS[name](u, jnp.full((4,), -jnp.inf))
    assert ((chosen >= 0) & (chosen < 4)).all()


def test_tournaments_are_won_as_often_as_when_they_are_held(many) -> None:
    held = jax.random.randint(jax.random.key(1), (20_000, 3), 0, 5).min(axis=1)
    drawn = ea.tournament_selection(many[:, 0], jnp.asarray(FITNESS), size=3)
    counts = [np.bincount(np.asarray(rows), minlength=5) for rows in (held, drawn)]
    np.testing.assert_allclose(counts[0] / 20_000, counts[1] / 20_000, atol=0.015)


@pytest.mark.parametrize("pressure", [1.0, 1.5, 2.0])
def test_linear_rank_gives_the_best_its_pressure(pressure, many) -> None:
    fitness = -jnp.arange(100, dtype=jnp.float32)
    chosen = ea.linear_rank_selection(many[:, 0], fitness, pressure=pressure)
    top = float((np.asarray(chosen) < 10).mean()) * 10
    expected = pressure - (pressure - 1) * 0.1
    assert abs(top - expected) < 0.1


def test_roulette_chances_are_in_proportion(many) -> None:
    chosen = ea.roulette_selection(many[:, 0], jnp.asarray([3.0, 1.0, 0.0, -jnp.inf]))
    share = np.bincount(np.asarray(chosen), minlength=4) / 20_000
    np.testing.assert_allclose(share, [0.75, 0.25, 0, 0], atol=0.01)
    chosen = ea.roulette_selection(many[:, 0], jnp.asarray([2.0, 2.0, -jnp.inf]))
    share = np.bincount(np.asarray(chosen), minlength=3) / 20_000
    np.testing.assert_allclose(share, [0.5, 0.5, 0], atol=0.015)


def test_truncation_keeps_its_fraction_with_equal_chances(many) -> None:
    fitness = -jnp.arange(8, dtype=jnp.float32)
    chosen = ea.truncation_selection(many[:, 0], fitness, fraction=0.25)
    share = np.bincount(np.asarray(chosen), minlength=8) / 20_000
    np.testing.assert_allclose(share, [0.5, 0.5] + [0] * 6, atol=0.015)


def test_spread_follows_the_better_half_only() -> None:
    x = jnp.asarray([[0.1, 0.5], [0.3, 0.5], [0.9, 0.9], [0.0, 0.0], [0.0, 0.0]])
    fitness = jnp.asarray([4.0, 3.0, 2.0, 1.0, -jnp.inf])
    strength = ea.spread_strength(x, fitness, scale=2.0)
    np.testing.assert_allclose(np.asarray(strength), [[0.2, 0.01]], atol=1e-6)
    nobody = ea.spread_strength(x, jnp.full((5,), -jnp.inf))
    assert np.isfinite(np.asarray(nobody)).all()


@pytest.mark.parametrize("points", [1, 2, 7, 64])
def test_latin_hypercube_puts_one_point_in_each_slice(points) -> None:
    order, jitter = uniforms(jax.random.key(points), (points, 5), (points, 5))
    x = np.asarray(latin_hypercube(order, jitter))
    assert x.max() < 1.0
    slices = np.sort(np.floor(x * points + 1e-4).clip(0, points - 1), axis=0)
    np.testing.assert_array_equal(slices, np.arange(points)[:, None] + np.zeros(5))


def test_uniform_numbers_of_a_trial_hang_on_its_number_only() -> None:
    key = jax.random.key(0)
    whole = trial_uniforms(key, jnp.arange(10), 3)
    np.testing.assert_array_equal(
        np.asarray(trial_uniforms(key, jnp.asarray([7, 2]), 3)),
        np.asarray(whole)[[7, 2]],
    )
    sample = np.asarray(trial_uniforms(key, jnp.arange(5000), 4))
    np.testing.assert_allclose(sample.mean(axis=0), 0.5, atol=0.015)
    np.testing.assert_allclose(sample.var(axis=0), 1 / 12, atol=0.003)
    correlation = np.corrcoef(np.hstack([sample[1:], sample[:-1]]).T)
    assert np.abs(correlation - np.eye(8)).max() < 0.06


@CASES
@given(
    rows=hnp.arrays(np.float32, (8, 3), elements=st.sampled_from([-0.0, 0.0, 0.5, 1.0]))
)
def test_repeats_are_the_rows_that_equal_an_earlier_one(rows) -> None:
    marks = fingerprint(jnp.asarray(rows))
    expected = [any((rows[j] == rows[i]).all() for j in range(i)) for i in range(8)]
    assert repeats(marks, jnp.zeros((64,), jnp.uint32)).tolist() == expected


def test_history_remembers_what_is_written_and_nothing_else() -> None:
    x = jax.random.uniform(jax.random.key(0), (2000, 5))
    marks, trial = fingerprint(x), jnp.arange(2000).at[::2].set(-1)
    seen = remember(jnp.zeros((65536,), jnp.uint32), trial, marks)
    found = np.asarray(repeats(marks, seen))
    assert not found[::2].any()
    assert found[1::2].mean() > 0.98


def test_fingerprints_of_many_different_rows_differ() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(20)] * 4), -1).reshape(-1, 4)
    marks = np.asarray(fingerprint(jnp.asarray((grid + 0.5) / 20, jnp.float32)))
    assert len({tuple(mark) for mark in marks.tolist()}) == len(grid)
    # Places are as evenly taken as by chance.
    taken = len(np.unique(marks[:, 0] % 65536)) / 65536
    assert abs(taken - (1 - np.exp(-len(grid) / 65536))) < 0.01
