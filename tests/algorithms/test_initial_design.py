"""Whoever learns from trials begins with those of a scrambled Sobol sequence."""

from __future__ import annotations

import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import qmc

from evotune import algorithms as ea
from evotune._contracts import Status, pending
from evotune.algorithms import _sobol
from evotune.algorithms._initial_design import initial_design
from evotune.testing import choice, cube, finish, floating, integer
from evotune.testing._harness import harness

N = 32
SPACE = cube(*[floating()] * 5, integer(7), choice(3))
SMALL = ea.Surrogate(candidates=64, shortlist=24, trials=48, fitted=24, steps=2)
METHODS = {
    "genetic": ea.GeneticAlgorithm(population_size=N, surrogate=None),
    "genetic, surrogate": ea.GeneticAlgorithm(population_size=N, surrogate=SMALL),
    "ageing": ea.AgeingEvolution(population_size=2 * N, batch_size=N),
    "CMA-ES": ea.CMAES(batch_size=N),
    "DE": ea.DifferentialEvolution(population_size=N),
    "PSO": ea.ParticleSwarm(population_size=N),
    "NSGA-II": ea.NSGA2(population_size=N, objectives=1, surrogate=None),
    "NSGA-II, surrogate": ea.NSGA2(population_size=N, objectives=1, surrogate=SMALL),
    "NSGA-III": ea.NSGA3(population_size=N, objectives=1),
    "Bayesian": ea.BayesianOptimization(batch_size=N, candidates=64, climbs=1),
}


LEARN_NOTHING_YET = [name for name in METHODS if "surrogate" in name] + ["Bayesian"]
"""Compiling how these learn takes long, and is not what is tested here."""


@functools.cache
def _sequence(trials: int) -> np.ndarray:
    """What quasi-random search proposes with the same key."""
    search = ea.QuasiRandomSearch(batch_size=trials)
    run = harness(search, SPACE)
    return np.asarray(run.ask(jax.random.key(6), run.start(5)).x)


@pytest.mark.parametrize("name", METHODS)
def test_the_first_generation_is_what_quasi_random_search_proposes(name) -> None:
    run = harness(METHODS[name], SPACE)
    proposal = run.ask(jax.random.key(7), run.start(5))
    np.testing.assert_array_equal(proposal.x, _sequence(N))


@pytest.mark.parametrize("name", sorted({*METHODS} - {*LEARN_NOTHING_YET}))
def test_a_trial_has_the_point_of_its_number_and_no_seat_its_place_for_ever(
    name,
) -> None:
    run = harness(METHODS[name], SPACE)
    state = run.start(5)
    first = run.ask(jax.random.key(7), state)
    # Somebody else has run one, which takes a number and the point of that number.
    alone = jax.tree.map(lambda leaf: leaf.at[1:].set(-1), pending(first))
    later = run.ask(jax.random.key(8), run.tell(state, alone))
    np.testing.assert_array_equal(later.trial, np.arange(1, N + 1))
    np.testing.assert_array_equal(later.x[:-1], _sequence(N)[1:])
    # All have failed, so that there is nobody to learn from.
    lost = finish(first, jnp.full((N,), -jnp.inf), status=Status.FAILED)
    second = run.ask(jax.random.key(9), run.tell(state, lost))
    if name == "ageing":  # whose first population is not complete
        np.testing.assert_array_equal(second.x, _sequence(2 * N)[N:])
    else:
        same = np.floor(first.x[:, 0] * 8) == np.floor(second.x[:, 0] * 8)
        assert same.mean() < 0.5  # an eighth by chance; all of them in the sequence


def test_the_sequence_is_as_even_as_that_of_scipy() -> None:
    points = jax.vmap(
        lambda key: _sobol.sobol_points(
            jnp.arange(N, dtype=jnp.int32), _sobol.scrambling(key, 5)
        )
    )(jax.random.split(jax.random.key(0), 32))
    own = [qmc.discrepancy(np.asarray(x, np.float64)) for x in points]
    other, hypercubes = (
        [qmc.discrepancy(sampler(5, rng=s).random(N)) for s in range(32)]
        for sampler in (qmc.Sobol, qmc.LatinHypercube)
    )
    assert np.mean(own) < 1.1 * np.mean(other), (own, other)
    assert np.mean(own) < np.mean(hypercubes), (own, hypercubes)


def test_cma_es_begins_with_the_deviation_that_it_is_given() -> None:
    run = harness(ea.CMAES(batch_size=N, sigma=0.1), SPACE)
    x = np.asarray(run.ask(jax.random.key(1), run.start()).x)
    np.testing.assert_allclose(x[:, :5].std(axis=0), 0.1, rtol=0.05)
    np.testing.assert_allclose(x[:, :5].mean(axis=0), 0.5, atol=0.01)
    assert len(np.unique(x[:, 6])) == 3  # categories know no middle


def test_later_samples_are_the_uniform_numbers() -> None:
    trial, u = jnp.arange(6, 10, dtype=jnp.int32), jnp.full((4, 2), 0.25)
    seed = _sobol.scrambling(jax.random.key(0), 2)
    x = initial_design(trial, 8, seed, u)
    np.testing.assert_array_equal(x[:2], _sobol.sobol_points(trial, seed)[:2])
    np.testing.assert_array_equal(x[2:], u[2:])


def test_a_hundred_dimensions_are_each_stratified() -> None:
    run = harness(METHODS["PSO"], cube(*[floating()] * 100))
    x = np.asarray(run.ask(jax.random.key(1), run.start()).x)
    assert (np.sort(np.floor(x * N), axis=0) == np.arange(N)[:, None]).all()


def test_dimensions_beyond_the_sequence_are_scrambled_otherwise(monkeypatch) -> None:
    monkeypatch.setattr(_sobol, "MOST_DIMENSIONS", 4)
    seed = _sobol.scrambling(jax.random.key(0), 6)
    x = np.asarray(_sobol.sobol_points(jnp.arange(N, dtype=jnp.int32), seed))
    assert (np.sort(np.floor(x * N), axis=0) == np.arange(N)[:, None]).all()
    assert len({tuple(column) for column in x.T}) == 6


def test_as_many_dimensions_as_spaces_have_do_without_scipy() -> None:
    code = (
        "import sys; from evotune.algorithms._sobol import direction_numbers; "
        "direction_numbers(101); assert 'scipy.stats' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
