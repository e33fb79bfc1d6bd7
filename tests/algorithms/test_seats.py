"""Seats and notes are what plain loops over dictionaries make of the same trials."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import EMPTY, Status, fresh
from evotune.algorithms._notes import look_up, no_notes, noted
from evotune.algorithms._population import nobody, with_results
from evotune.algorithms._seats import begun_again, contested, free_seats, seated
from evotune.testing import finish
from evotune.testing._haste import hasty_jit

SEATS = 6


@hasty_jit
def _tell(population, outcome):
    return seated(with_results(population, outcome, outcome.x), SEATS)


def _rows(trial, fitness, status=Status.COMPLETE):
    trial = np.asarray(trial, np.int32)
    x = np.stack([trial / 1000, np.zeros(trial.shape)], axis=1)
    return finish(fresh(x, trial), fitness, status=status)


@pytest.mark.parametrize("seed", range(4))
def test_a_seat_is_held_by_the_best_of_its_trials_in_any_order(seed) -> None:
    random = np.random.default_rng(seed)
    fitness = np.round(random.normal(size=48), 1)  # with equals
    fitness[random.integers(0, 48, 12)] = -np.inf
    holders = {}
    for trial, value in enumerate(fitness):
        best = holders.get(trial % SEATS, (-np.inf, EMPTY))
        if np.isfinite(value) and (value, trial) > best:
            holders[trial % SEATS] = (value, trial)
    population = nobody(SEATS, 2)
    for block in np.split(random.permutation(48), 4):
        population = _tell(population, _rows(block, fitness[block]))
    expected = [holders.get(seat, (-np.inf, EMPTY)) for seat in range(SEATS)]
    assert population.trial.tolist() == [trial for _, trial in expected]
    np.testing.assert_array_equal(
        population.fitness, np.asarray([value for value, _ in expected], np.float32)
    )
    known = population.trial != EMPTY
    np.testing.assert_allclose(
        population.x[known, 0], np.asarray(population.trial)[known] / 1000
    )


def test_a_trial_told_again_replaces_what_it_was() -> None:
    pad = [EMPTY] * 10
    population = _tell(nobody(SEATS, 2), _rows([1, 2, *pad], 0.5))
    population = _tell(population, _rows([1, EMPTY, *pad], 0.1))
    assert population.fitness[1] == jnp.float32(0.1)
    population = _tell(population, _rows([2, EMPTY, *pad], 0.0, Status.FAILED))
    assert population.trial.tolist() == [EMPTY, 1, *[EMPTY] * 4]


def test_notes_are_those_of_the_newest_trials() -> None:
    write, read = hasty_jit(noted), hasty_jit(look_up)
    notes = no_notes(4, 2)
    first = np.asarray([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [9.0, 9.0]], np.float32)
    notes = write(notes, jnp.asarray([0, 1, 2, EMPTY]), first)
    notes = write(
        notes, jnp.asarray([5, 9, EMPTY, 0]), first + 10
    )  # 1, 5, 9: one place
    value, found = read(notes, jnp.asarray([0, 1, 2, 5, 9, EMPTY]))
    assert found.tolist() == [True, False, True, False, True, False]
    np.testing.assert_array_equal(value[0], first[0])  # a trial is noted once
    np.testing.assert_array_equal(value[4], first[1] + 10)


def _contest(size=4, most=16):
    return free_seats(jnp.asarray([0, 1], jnp.uint32), size, most, 2)


@hasty_jit
def _after(seats, outcome, patience):
    seats = contested(seats, outcome, outcome.x)
    return begun_again(seats, outcome, outcome.trial.max() + 1, patience)


def test_a_contest_without_a_better_trial_begins_again_with_twice_the_seats() -> None:
    seats, sizes = _contest(), []
    for trial in range(0, 240, 4):
        # Nothing is ever better than the first trial of a contest.
        rows = _rows(np.arange(trial, trial + 4), -np.arange(4.0))
        seats = _after(seats, rows, 16)
        sizes.append(int(seats.size))
        late = seats.holders.trial[seats.holders.trial != EMPTY]
        assert (late >= seats.start).all()
    assert sizes == sorted(sizes)
    assert set(sizes) == {4, 8, 16}
    assert int(seats.start) > 0


def test_equals_do_not_keep_a_contest_alive_and_better_ones_do() -> None:
    equal = better = _contest()
    for trial in range(0, 80, 4):
        number = np.arange(trial, trial + 4)
        equal = _after(equal, _rows(number, 1.0), 16)
        better = _after(better, _rows(number, number / 100), 16)
    assert int(equal.start) > 0
    assert int(better.start) == 0
    assert better.holders.trial[:4].tolist() == [76, 77, 78, 79]


def test_trials_of_a_contest_that_is_over_win_nothing() -> None:
    seats = dataclasses.replace(_contest(), start=jnp.int32(10))
    seats = _after(seats, _rows([9, 10, 11, EMPTY], [9.0, 1.0, 2.0, 9.0]), 16)
    assert seats.holders.trial[:4].tolist() == [10, 11, EMPTY, EMPTY]
    assert (float(seats.best), int(seats.since)) == (2.0, 11)


def test_where_nothing_was_told_nothing_is_given_up() -> None:
    seats = _after(_contest(), _rows([0, 1, 2, 3], 1.0), 16)
    waiting = _rows([40, 41, 42, 43], 0.0, Status.RUNNING)
    assert int(_after(seats, waiting, 16).start) == 0
    assert int(_after(seats, _rows([40, 41, 42, 43], 0.0), 16).start) == 44
