"""A trust region grows by success, shrinks by failure, and starts again."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import fresh, pending
from evotune.algorithms import TrustRegion
from evotune.algorithms._box import box_about
from evotune.algorithms._trust_region import ROUNDS, Region
from evotune.testing import choice, cube, finish, floating, integer
from evotune.testing._haste import hasty_jit

SETTINGS = TrustRegion(successes=2, failures=2, smallest=0.3)
SIZE = 4


@pytest.fixture(scope="module")
def follow():
    """``(region, trials, fitness, next_trial) -> region``, in one dimension."""
    told = hasty_jit(
        lambda region, outcome, following: SETTINGS.follow(
            region, outcome, dimensions=1, design=SIZE, next_trial=following
        )
    )

    def follow(
        region: Region, trials, fitness, following: int = 10_000, *, foreign=False
    ) -> Region:
        proposal = fresh(jnp.full((SIZE, 1), 0.5), jnp.asarray(trials, jnp.int32))
        if not foreign:
            region = told(region, pending(proposal), jnp.int32(following))
        return told(region, finish(proposal, fitness), jnp.int32(following))

    return follow


def _rounds(follow, region: Region, tops) -> Region:
    """The region after rounds with these best values."""
    for top in tops:
        first = int(region.round) * SIZE
        fitness = [top - 3.0, top, top - 1.0, top - 2.0]
        region = follow(region, np.arange(first, first + SIZE), fitness)
    return region


def test_it_doubles_after_successes_and_halves_after_failures(follow) -> None:
    region = _rounds(follow, SETTINGS.begin(SIZE), [0.0])
    assert float(region.length) == np.float32(0.8)  # a first round is no success
    region = _rounds(follow, region, [1.0])
    assert (int(region.successes), int(region.failures)) == (1, 0)
    region = _rounds(follow, region, [2.0])
    assert float(region.length) == np.float32(1.6)
    region = _rounds(follow, region, [3.0, 4.0])
    assert float(region.length) == np.float32(1.6)  # the largest
    region = _rounds(follow, region, [4.0])  # an equal one is none
    assert (int(region.successes), int(region.failures)) == (0, 1)
    region = _rounds(follow, region, [0.0])
    assert float(region.length) == np.float32(0.8)
    assert float(region.best) == 4.0
    # A success in between begins both counts anew.
    region = _rounds(follow, region, [0.0, 5.0, 0.0])
    assert float(region.length) == np.float32(0.8)


def test_one_that_is_too_small_starts_again(follow) -> None:
    region = _rounds(follow, SETTINGS.begin(SIZE), [0.0, -1.0, -1.0])
    assert float(region.length) == np.float32(0.4)
    region = _rounds(follow, region, [-1.0])
    trials = np.arange(16, 20)
    region = follow(region, trials, np.full(4, -1.0), following=26)
    assert float(region.length) == np.float32(0.8)
    assert float(region.best) == -np.inf
    assert int(region.start) == 26
    # Trials 24 and 25 are of the round that the new region begins in; they don't count.
    region = follow(region, np.arange(24, 28), [9.0, 9.0, 1.0, 2.0])
    assert float(region.best) == 2.0
    assert int(region.round) == 7


def test_rounds_count_in_their_order_and_whole(follow) -> None:
    tops = np.asarray([0.0, 1.0, 0.5, 2.0, 3.0])
    trials = np.arange(5 * SIZE)
    fitness = np.repeat(tops, SIZE) - np.tile(np.arange(SIZE), 5)
    whole = _rounds(follow, SETTINGS.begin(SIZE), tops)
    order = np.random.default_rng(0).permutation(3 * SIZE)
    # The last two rounds before the first three: all but a round wait.
    order = np.concatenate([np.arange(3 * SIZE, 4 * SIZE), order])
    order = np.concatenate([order, np.arange(4 * SIZE, 5 * SIZE)])
    region = SETTINGS.begin(SIZE)
    for start in range(0, 5 * SIZE, SIZE):
        rows = order[start : start + SIZE]
        region = follow(region, trials[rows], fitness[rows])
    for name in ("length", "successes", "failures", "best", "start", "round"):
        assert float(getattr(region, name)) == float(getattr(whole, name)), name


def test_a_round_that_is_never_complete_is_passed_over(follow) -> None:
    region = follow(SETTINGS.begin(SIZE), [0, 1, 2, -1], [5.0, 5.0, 5.0, 5.0])
    assert int(region.round) == 0
    for number in range(1, ROUNDS + 1):
        first = number * SIZE
        region = follow(region, np.arange(first, first + SIZE), np.full(SIZE, 1.0))
    assert int(region.round) == ROUNDS + 1
    assert float(region.best) == 1.0


def test_trials_that_others_ran_are_no_success_and_no_failure(follow) -> None:
    region = _rounds(follow, SETTINGS.begin(SIZE), [0.0, -1.0])
    assert int(region.failures) == 1
    for number in range(2, 6):
        trials = np.arange(number * SIZE, (number + 1) * SIZE)
        region = follow(region, trials, [-2.0, 0.5, -2.0, -2.0], foreign=True)
    assert (int(region.round), int(region.failures)) == (6, 1)
    assert float(region.length) == np.float32(0.8)
    # But one has to be better than they are.
    assert float(region.best) == 0.5
    assert float(_rounds(follow, region, [0.25]).length) == np.float32(0.4)


def test_the_box_has_the_proportions_of_the_length_scales() -> None:
    geometry = cube(floating(), floating(), integer(4), choice(3))
    center = jnp.asarray([[0.5, 0.45, 0.375, 0.5]])
    scales = jnp.log(jnp.asarray([0.4, 0.1, 0.2, 9.0]))
    box = box_about(center, jnp.float32(0.1), scales, geometry)
    # The geometric mean of the three ordered ones is 0.2.
    half = np.asarray(box.high - box.low)[0, :3] / 2
    np.testing.assert_allclose(half, [0.1, 0.025, 0.25], rtol=1e-4)

    rows = np.asarray(box.candidates(jax.random.key(0), geometry, 400))
    assert (rows >= np.asarray(box.low) - 1e-6)[:, :3].all()
    assert (rows <= np.asarray(box.high) + 1e-6)[:, :3].all()
    assert set(np.round(rows[:, 2], 3)) == {0.125, 0.375, 0.625}
    assert 0.03 < np.mean(rows[:, 3] != 0.5) < 0.2  # a chance of the length
    outside = jnp.asarray([[0.0, 1.0, 0.875, 1 / 6]])
    inside = np.asarray(box.bounded(outside, geometry))[0]
    np.testing.assert_allclose(inside, [0.4, 0.475, 0.625, 1 / 6], atol=1e-6)


def test_many_dimensions_change_a_few_at_a_time() -> None:
    geometry = cube(*[floating()] * 100)
    center = jnp.full((1, 100), 0.5)
    box = box_about(center, jnp.float32(0.8), jnp.zeros(100), geometry)
    rows = np.asarray(box.candidates(jax.random.key(0), geometry, 64))
    changed = (rows != 0.5).sum(axis=1)
    assert 17 < changed.mean() < 23
    assert changed.max() < 45


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"initial": 2.0}, "`initial` must be a number from 0.0078125 to 1.6"),
        ({"smallest": 0.0}, "`smallest`"),
        ({"successes": 0}, "`successes` must be an integer of at least 1"),
        ({"failures": 0.5}, "`failures`"),
    ],
)
def test_bad_settings_are_named_with_the_way_out(settings, words) -> None:
    with pytest.raises(ValueError, match="Use for example") as error:
        TrustRegion(**settings)
    assert words in str(error.value)
