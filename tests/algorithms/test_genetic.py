"""What the genetic algorithm promises beyond the contract."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import EMPTY, Status, fresh, pending
from evotune.algorithms import GeneticAlgorithm, _population, uniform_crossover
from evotune.algorithms._population import nobody
from evotune.study import simulate
from evotune.testing import GEOMETRIES, choice, cube, finish, floating, integer, part
from evotune.testing._harness import harness
from evotune.testing._haste import hasty_jit

survive = jax.jit(_population.survive, static_argnames="elites")
MIXED = GEOMETRIES["mixed"]
SMALL = GeneticAlgorithm(population_size=16, surrogate=None)


def _rows(trial, fitness, status=Status.COMPLETE):
    """An outcome of some trials, at points that tell which is which."""
    trial = np.asarray(trial, np.int32)
    x = np.stack([trial / 1000, np.zeros(trial.shape)], axis=1)
    return finish(fresh(x, trial), fitness, status=status)


def test_the_first_generation_is_stratified_in_every_dimension() -> None:
    run = harness(SMALL, cube(floating(), integer(4), choice(2)))
    x = np.asarray(run.generations[0][1].x)
    assert sorted(np.floor(x[:, 0] * 16)) == list(range(16))
    assert np.bincount((x[:, 1] * 4).astype(int)).tolist() == [4, 4, 4, 4]
    assert np.bincount((x[:, 2] * 2).astype(int)).tolist() == [8, 8]


def test_population_is_the_best_ever_and_the_newest_others() -> None:
    random = np.random.default_rng(0)
    fitness = np.round(random.normal(size=64), 1)
    population, elites = nobody(16, 2), 4
    for start in range(0, 64, 8):
        told = _rows(np.arange(start, start + 8), fitness[start : start + 8])
        population = survive(population, told, told.x, elites=elites)
    ranked = sorted(range(64), key=lambda t: (-fitness[t], -t))
    young = sorted(set(range(64)) - set(ranked[:4]), reverse=True)[:12]
    expected = [t for t in ranked if t in {*ranked[:4], *young}]
    assert population.trial.tolist() == expected
    np.testing.assert_array_equal(
        np.asarray(population.fitness), fitness[expected].astype(np.float32)
    )
    np.testing.assert_allclose(population.x[:, 0], np.asarray(expected) / 1000)


def test_population_does_not_hang_on_the_order_of_results() -> None:
    random = np.random.default_rng(1)
    fitness = np.round(random.normal(size=48), 1)
    ends = []
    for _ in range(3):
        population = nobody(16, 2)
        for block in np.split(random.permutation(48), 6):
            told = _rows(block, fitness[block])
            population = survive(population, told, told.x, elites=4)
        ends.append(population.trial.tolist())
    assert ends[0] == ends[1] == ends[2]


def test_a_trial_told_again_replaces_what_it_was() -> None:
    first, again = _rows([1, 2, 3], [0.1, 0.2, 0.3]), _rows([2], [0.9])
    population = survive(nobody(16, 2), first, first.x, elites=4)
    population = survive(population, again, again.x, elites=4)
    assert population.trial.tolist()[:4] == [2, 3, 1, EMPTY]
    assert population.fitness[0] == jnp.float32(0.9)


def test_who_did_not_complete_does_not_breed() -> None:
    bad = [Status.PRUNED, Status.DIVERGED, Status.FAILED, Status.RUNNING]
    told = _rows([0, 1, 2, 3, 4], [9.0] * 5, status=[*bad, Status.COMPLETE])
    for odd in (jnp.nan, jnp.inf):
        fitness = told.fitness.at[4].set(odd)
        broken = dataclasses.replace(told, fitness=fitness)
        assert (survive(nobody(16, 2), broken, told.x, elites=4).trial == EMPTY).all()
    population = survive(nobody(16, 2), told, told.x, elites=4)
    assert population.trial.tolist()[:2] == [4, EMPTY]


def test_infeasible_trials_do_not_breed() -> None:
    told = _rows([0, 1], [9.0, 1.0])
    told = dataclasses.replace(told, constraints=jnp.asarray([[0.1], [-0.1]]))
    population = survive(nobody(16, 2), told, told.x, elites=4)
    assert population.trial.tolist()[:2] == [1, EMPTY]


def test_no_trial_is_proposed_twice() -> None:
    geometry = cube(integer(6), choice(5), integer(8), choice(2))  # 480 points
    run = harness(SMALL, geometry)
    state, seen = run.start(), []
    for generation in range(12):
        proposal = run.ask(jax.random.key(generation), state)
        seen += [tuple(row) for row in np.asarray(proposal.x).tolist()]
        state = run.tell(state, finish(proposal, run.score(proposal)))
    assert len(seen) == 192
    assert len(set(seen)) >= 190  # a fixed number of tries


def test_a_space_without_new_points_goes_on() -> None:
    run = harness(SMALL, cube(choice(2), choice(2)))
    state = run.start()
    for generation in range(3):
        proposal = run.ask(jax.random.key(generation), state)
        state = run.tell(state, finish(proposal, run.score(proposal)))
    assert (proposal.trial == jnp.arange(16) + 32).all()


def test_children_are_bred_only_as_far_as_parents_are_known() -> None:
    run = harness(SMALL, cube(floating(), floating()))
    state, proposal, outcome = run.generations[0]
    state = run.tell(state, pending(proposal))
    best = np.argmax(np.asarray(outcome.fitness)[:, 0])
    state = run.tell(state, part(outcome, np.arange(16) == best))
    x = np.asarray(run.ask(jax.random.key(4), state).x)
    parent = np.asarray(proposal.x)[best]
    near = np.isclose(x, parent, atol=1e-6).any(axis=1)
    assert 1 <= near.sum() <= 4  # children keep a coordinate of their only parent
    assert np.ptp(x[~near], axis=0).min() > 0.6  # the others cover the cube


def test_points_that_others_chose_are_parents_too() -> None:
    """The study may put an enqueued trial into a row of a proposal."""
    run = harness(SMALL, cube(floating(), floating()))
    state, proposal, outcome = run.generations[0]
    chosen = dataclasses.replace(proposal, x=proposal.x.at[3].set(0.987))
    state = run.tell(state, pending(chosen))
    outcome = dataclasses.replace(
        outcome, x=chosen.x, fitness=outcome.fitness.at[3].set(9.0)
    )
    state = run.tell(state, outcome)
    np.testing.assert_allclose(np.asarray(state.seats.ranked().x[0]), 0.987)


def test_a_categorical_coordinate_is_always_that_of_a_category() -> None:
    levels = np.asarray([5, 5])
    run = harness(
        GeneticAlgorithm(population_size=16, mutation_rate=0.0, surrogate=None),
        cube(choice(5), choice(5)),
    )
    state = run.start()
    x = jnp.asarray([[0.1, 0.1], [0.9, 0.9]] * 8, jnp.float32)
    proposal = dataclasses.replace(run.ask(jax.random.key(0), state), x=x)
    state = run.tell(state, finish(proposal, np.zeros(16)))
    children = np.asarray(run.ask(jax.random.key(1), state).x) * levels
    np.testing.assert_allclose(children % 1.0, 0.5, atol=1e-5)


def test_one_hundred_thousand_trials_take_no_more_memory_than_one() -> None:
    run = harness(SMALL, MIXED)
    state, proposal, _ = run.generations[0]
    late = dataclasses.replace(proposal, trial=proposal.trial + 100_000)
    told = run.tell(state, finish(late, run.score(late)))
    assert jax.tree.map(jnp.shape, told) == jax.tree.map(jnp.shape, state)
    assert int(run.ask(jax.random.key(0), told).trial[0]) == 100_016


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 1}, "`population_size` must be an integer of at least 2"),
        ({"population_size": 2.5}, "a float"),
        ({"population_size": True}, "a bool"),
        ({"differing": 1.5}, "`differing` must be a number from 0 to 1"),
        ({"patience": 0}, "`patience` must be an integer of at least 1, or None"),
        ({"doublings": -1}, "`doublings` must be an integer of at least 0"),
        ({"selection": "turnament"}, "Did you mean 'tournament'"),
        ({"crossover": "two-point"}, "Did you mean 'two_point'"),
        ({"mutation": "gausian"}, "Did you mean 'gaussian'"),
        ({"mutation_strength": "spreed"}, "Did you mean 'spread'"),
        ({"mutation_strength": -0.1}, "from 0 to 1"),
        ({"mutation_rate": 1.5}, "`mutation_rate` must be a number from 0 to 1"),
        ({"crossover_rate": float("nan")}, "`crossover_rate` must be a number"),
        ({"tournament_size": 0}, "`tournament_size`"),
        ({"attempts": 0}, "`attempts`"),
    ],
)
def test_bad_settings_are_named_with_the_way_out(settings, words) -> None:
    with pytest.raises(ValueError, match=r"Use for example|one of") as error:
        GeneticAlgorithm(**settings)
    assert words in str(error.value)


def test_all_bad_settings_are_listed_at_once() -> None:
    with pytest.raises(ValueError, match="has 3 problems"):
        GeneticAlgorithm(crossover="x", mutation="y", mutation_rate=2.0)


def test_names_and_functions_choose_the_same_operator() -> None:
    named = GeneticAlgorithm(population_size=8, crossover="uniform", surrogate=None)
    given = GeneticAlgorithm(
        population_size=8, crossover=uniform_crossover, surrogate=None
    )
    proposals = [harness(each, MIXED).generations[1][1].x for each in (named, given)]
    np.testing.assert_array_equal(*map(np.asarray, proposals))


def test_whoever_asks_for_one_trial_at_a_time_is_given_children() -> None:
    """The first row of each proposal would be an immigrant, and the search random."""
    best = jnp.asarray([0.3, 0.8, 0.6])

    def search(seed):
        found = simulate(
            SMALL,
            lambda x: -jnp.sum((x - best) ** 2),
            cube(floating(), floating(), floating()),
            jax.random.key(seed),
            generations=96,
            rows=1,
        )
        return found.fitness[32:, 0, 0].mean(), found.fitness[:16, 0, 0].mean()

    late, early = hasty_jit(lambda seeds: jax.lax.map(search, seeds))(jnp.arange(8))
    assert (late > 0.7 * early).all(), f"{late} {early}"
