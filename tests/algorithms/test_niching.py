"""Niches keep several peaks, where the best one would take all."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import fresh
from evotune.algorithms import GeneticAlgorithm
from evotune.algorithms._niching import cleared, niched, standing
from evotune.algorithms._population import Population, nobody
from evotune.algorithms._seats import contested, free_seats
from evotune.study import simulate
from evotune.testing import choice, cube, finish, floating
from evotune.testing._haste import hasty_jit

SEEDS, GENERATIONS, LATE = 16, 20, 5
PEAKS = np.asarray([[0.2] * 3, [0.8] * 3], np.float32)
HEIGHTS = np.asarray([1.0, 0.95], np.float32)


def _two_peaks(x):
    away = ((x[None] - PEAKS) ** 2).sum(axis=1)
    return (HEIGHTS * jnp.exp(-away / 0.03)).sum()


def _late_visits(radius):
    """i32[S, 2], how many of the last 160 trials are near each peak."""
    search = GeneticAlgorithm(
        population_size=32, surrogate=None, niche_radius=radius, history_size=2048
    )
    space = cube(floating(), floating(), floating())

    def visits(key):
        found = simulate(search, _two_peaks, space, key, generations=GENERATIONS)
        x = found.x[-LATE:].reshape(-1, 1, 3)
        near = ((x - PEAKS[None]) ** 2).mean(axis=2) < 0.1**2
        return near.sum(axis=0)

    keys = jax.vmap(jax.random.key)(jnp.arange(SEEDS))
    return np.asarray(hasty_jit(jax.vmap(visits))(keys))


def test_both_peaks_are_searched_to_the_end_where_one_is_lost_without_niches() -> None:
    plain, niches = _late_visits(0.0), _late_visits(0.2)
    both = [int((each >= 2).all(axis=1).sum()) for each in (plain, niches)]
    table = f"without niches:\n{plain}\nwith niches:\n{niches}"
    assert both[0] <= 3, table
    assert both[1] >= 12, table


def test_only_the_best_of_each_niche_keeps_its_fitness() -> None:
    random, space = np.random.default_rng(0), cube(floating(), floating(), choice(3))
    x = random.random((40, 3)).astype(np.float32)
    x[:, 2] = (np.floor(3 * x[:, 2]) + 0.5) / 3
    fitness = -np.sort(random.random(40)).astype(np.float32)
    fitness[36:] = -np.inf
    got = cleared(jnp.asarray(x), jnp.asarray(fitness), space, radius=0.3)

    heads: list[int] = []
    for row in range(36):
        apart = x[row] - x[heads]
        apart[:, 2] = apart[:, 2] != 0
        if (np.sqrt((apart**2).mean(axis=1)) >= 0.3).all():
            heads.append(row)
    assert 2 < len(heads) < 20
    assert np.flatnonzero(np.isfinite(got)).tolist() == heads
    np.testing.assert_array_equal(np.asarray(got)[heads], fitness[heads])


def test_selection_sees_the_best_of_each_niche_first_and_nobody_else() -> None:
    population = Population(
        x=jnp.asarray([[0.1], [0.12], [0.9], [0.5]]),
        fitness=jnp.asarray([4.0, 3.0, 2.0, -jnp.inf]),
        trial=jnp.asarray([7, 8, 9, -1]),
    )
    seen = niched(population, cube(floating()), radius=0.1)
    assert seen.trial.tolist() == [7, 9, -1, -1]
    assert seen.fitness.tolist() == [4.0, 2.0, -np.inf, -np.inf]


def test_no_better_trial_of_a_crowded_peak_takes_the_seat_of_a_lesser_peak() -> None:
    space = cube(floating())
    by = functools.partial(standing, geometry=space, radius=0.2)
    seats = free_seats(jnp.zeros((2,), jnp.uint32), 4, 4, 1)
    x = np.asarray([[0.9], [0.1], [0.11], [0.12]] * 3, np.float32)
    fitness = np.asarray([1, 4, 3, 3] + [2] * 4 + [5, 2, 2, 2], np.float32)
    x[4] = 0.13  # better than who holds seat 0, but beside a better one
    x[8] = 0.5  # the best of a niche of its own
    held = []
    for start in (0, 4, 8):
        rows = slice(start, start + 4)
        told = _told(np.arange(12)[rows], x[rows], fitness[rows])
        seats = contested(seats, told, told.x, by)
        held.append(seats.holders.trial.tolist())
    assert held == [[0, 1, 2, 3], [0, 1, 2, 3], [8, 1, 2, 3]]


def test_without_niches_trials_stand_by_their_fitness() -> None:
    population = nobody(3, 1)
    same = standing(population, cube(floating()), radius=0.0)
    np.testing.assert_array_equal(same, population.fitness)


def _told(trial, x, fitness):
    return finish(fresh(jnp.asarray(x), jnp.asarray(trial, jnp.int32)), fitness)


def test_niches_beside_a_surrogate_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"`niche_radius` must be 0 with a surrogate"):
        GeneticAlgorithm(niche_radius=0.1)
    with pytest.raises(ValueError, match=r"`niche_radius` must be a number from 0"):
        GeneticAlgorithm(niche_radius=-0.1, surrogate=None)
