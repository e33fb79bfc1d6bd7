"""Seats and notes are what plain loops over dictionaries make of the same trials."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import EMPTY, Status, fresh
from evotune.algorithms._notes import look_up, no_notes, noted
from evotune.algorithms._population import nobody, with_results
from evotune.algorithms._seats import seated
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
