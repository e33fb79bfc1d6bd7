"""NSGA-II sorts as the definition says, and finds wider fronts than other searches."""

from __future__ import annotations

import dataclasses

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from evotune._contracts import EMPTY, Outcome, Status, fresh, pending
from evotune.algorithms import NSGA2, RandomSearch
from evotune.algorithms._dominance import crowding_distances, nondominated_ranks
from evotune.algorithms._nsga2 import survivors
from evotune.testing import cube, finish, floating, part
from evotune.testing._harness import harness
from evotune.testing._haste import hasty_jit

ranks_of = hasty_jit(nondominated_ranks)
crowding_of = hasty_jit(crowding_distances)
ROWS, GENERATIONS, SEEDS, DIMENSIONS = 32, 12, 5, 8
SEARCH = NSGA2(population_size=ROWS, surrogate=None)


def _dominates(a, b, va, vb):
    """The definition of Deb et al. (2002)."""
    if va > 0 or vb > 0:
        return va < vb
    return (a >= b).all() and (a > b).any()


def _plain_ranks(fitness, violation):
    left, rank, front = set(range(len(fitness))), np.zeros(len(fitness), int), 0
    while left:
        free = {
            i
            for i in left
            if not any(
                _dominates(fitness[j], fitness[i], violation[j], violation[i])
                for j in left
            )
        }
        rank[list(free)] = front
        left, front = left - free, front + 1
    return rank


@hypothesis.given(st.integers(0, 2**31), st.integers(1, 3), st.booleans())
def test_fronts_are_those_of_the_definition(seed, objectives, constrained) -> None:
    random = np.random.default_rng(seed)
    fitness = np.zeros((40, 3), np.float32)  # one program: equal objectives decide none
    levels = random.integers(2, 12)
    fitness[:, :objectives] = random.integers(0, levels, (40, objectives))
    violation = np.zeros(40, np.float32)
    if constrained:
        violation = np.maximum(random.integers(-3, 4, 40), 0).astype(np.float32)
        violation[random.integers(0, 40, 3)] = np.inf
    found = np.asarray(ranks_of(jnp.asarray(fitness), jnp.asarray(violation)))
    np.testing.assert_array_equal(found, _plain_ranks(fitness, violation))


def test_crowding_is_that_of_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    fitness = random.normal(size=(40, 2)).astype(np.float32)
    fitness[30:, 1] = fitness[0, 1]  # equals
    rank = random.integers(0, 4, 40).astype(np.int32)
    expected = np.zeros(40)
    for front in range(4):
        rows = np.flatnonzero(rank == front)
        for m in range(2):
            ordered = rows[np.argsort(fitness[rows, m], kind="stable")]
            extent = fitness[ordered[-1], m] - fitness[ordered[0], m]
            expected[ordered[[0, -1]]] = np.inf
            value = fitness[ordered, m]
            expected[ordered[1:-1]] += (value[2:] - value[:-2]) / extent
    found = crowding_of(jnp.asarray(fitness), jnp.asarray(rank))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def _outcome(proposal, fitness, constraints=None) -> Outcome:
    """Results of several objectives, all of them complete."""
    rows = proposal.trial.shape[0]
    none = np.zeros((rows, 0))
    constraints = none if constraints is None else constraints
    return dataclasses.replace(
        pending(proposal),
        fitness=jnp.asarray(fitness, jnp.float32),
        constraints=jnp.asarray(constraints, jnp.float32),
        status=jnp.full((rows,), Status.COMPLETE, jnp.int32),
    )


def _members(search, told, tell):
    """The state after some blocks of (trial, fitness, constraints)."""
    state = search.init(jax.random.key(0), cube(floating(), floating()))
    for trial, fitness, constraints in told:
        trial = np.asarray(trial, np.int32)
        x = np.stack([trial / 1000, np.zeros(trial.shape)], axis=1)
        state = tell(state, _outcome(fresh(x, trial), fitness, constraints))
    return state.members


def test_feasible_trials_come_first_and_then_those_that_violate_least() -> None:
    search = NSGA2(population_size=4, surrogate=None)
    fitness = np.asarray([[9.0, 9.0], [8.0, 8.0], [0.0, 1.0], [1.0, 0.0]])
    constraints = [[2.0, 0.0], [0.5, 0.5], [-1.0, 0.0], [0.0, -1.0]]
    told = [([0, 1, 2, 3], fitness, constraints)]
    members = _members(search, told, hasty_jit(search.tell))
    best = hasty_jit(lambda all_: survivors(all_, 4))(members)
    assert set(best.trial.tolist()[:2]) == {2, 3}
    assert best.trial.tolist()[2:] == [1, 0]


def test_survivors_are_whole_fronts_and_the_widest_of_the_last() -> None:
    search, random = NSGA2(population_size=12, surrogate=None), np.random.default_rng(4)
    fitness = random.normal(size=(24, 2)).astype(np.float32)
    blocks = [np.arange(12), np.arange(12, 24)]
    told = [(block, fitness[block], None) for block in blocks]
    members = _members(search, told, hasty_jit(search.tell))
    best = hasty_jit(lambda all_: survivors(all_, 12))(members)
    rank = _plain_ranks(fitness, np.zeros(24))
    crowding = np.asarray(crowding_of(jnp.asarray(fitness), jnp.asarray(rank)))
    expected = sorted(range(24), key=lambda t: (rank[t], -crowding[t], -t))[:12]
    assert best.trial.tolist() == expected


def test_a_trial_told_again_replaces_what_it_was_and_failures_do_not_breed() -> None:
    search = NSGA2(population_size=4, surrogate=None)
    tell = hasty_jit(search.tell)
    good = [[1.0, 1.0]] * 4
    told = [([0, 1, 2, 3], good, None)]
    told += [([2, EMPTY, EMPTY, EMPTY], [[0.5, -np.inf], *good[1:]], None)]
    members = _members(search, told, tell)
    assert members.trial.tolist()[:4] == [3, 1, 0, EMPTY]


def test_parts_of_a_generation_may_come_in_any_order() -> None:
    run = harness(NSGA2(population_size=12, surrogate=None), cube(*[floating()] * 3))
    state = run.start()
    for number in range(3):
        proposal = run.ask(jax.random.key(number), state)
        x = np.asarray(proposal.x)
        both = np.stack([-((x - 0.2) ** 2).sum(1), -((x - 0.7) ** 2).sum(1)], axis=1)
        outcome = _outcome(proposal, both)
        odd = np.arange(12) % 2 == 1
        parts = run.tell(run.tell(state, part(outcome, odd)), part(outcome, ~odd))
        state = run.tell(state, outcome)
        whole = run.ask(jax.random.key(9), state).x
        again = run.ask(jax.random.key(9), parts).x
        np.testing.assert_array_equal(np.asarray(whole), np.asarray(again))


def _zdt(number, x):
    """The losses f32[P, 2] of Zitzler, Deb and Thiele (2000)."""
    first = x[:, 0]
    g = 1.0 + 9.0 * x[:, 1:].mean(axis=1)
    share = first / g
    h = {
        1: 1.0 - np.sqrt(share),
        2: 1.0 - share**2,
        3: 1.0 - np.sqrt(share) - share * np.sin(10.0 * np.pi * first),
    }[number]
    return np.stack([first, g * h], axis=1)


def _hypervolume(losses, reference=(1.1, 8.0)):
    """The area that some points dominate, below the reference."""
    inside = losses[(losses < reference).all(axis=1)]
    area, bound = 0.0, reference[1]
    for first, second in inside[np.argsort(inside[:, 0], kind="stable")]:
        if second < bound:
            area += (reference[0] - first) * (bound - second)
            bound = second
    return area


def _volume(run, number, seed, objectives):
    """The hypervolume of all that a search of evotune has tried."""
    state, losses = run.algorithm.init(jax.random.key(seed), run.geometry), []
    for generation in range(GENERATIONS):
        key = jax.random.fold_in(jax.random.key(seed), generation)
        proposal = run.ask(key, state)
        losses.append(_zdt(number, np.asarray(proposal.x, float)))
        outcome = _outcome(proposal, -losses[-1][:, :objectives])
        state = run.tell(state, outcome)
    return _hypervolume(np.concatenate(losses))


def _optuna_volume(number, seed):
    """The hypervolume of all that Optuna's NSGA-II has tried, in as many trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.NSGAIISampler(population_size=ROWS, seed=seed)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    space = {
        f"x{d}": optuna.distributions.FloatDistribution(0.0, 1.0)
        for d in range(DIMENSIONS)
    }
    losses = []
    for _ in range(ROWS * GENERATIONS):
        trial = study.ask(space)
        x = np.asarray([[trial.params[f"x{d}"] for d in range(DIMENSIONS)]])
        losses.append(_zdt(number, x)[0])
        study.tell(trial, losses[-1].tolist())
    return _hypervolume(np.asarray(losses))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_fronts_are_wider_than_random_ones_and_no_narrower_than_optunas(number) -> None:
    space = cube(*[floating()] * DIMENSIONS)
    ours, random = harness(SEARCH, space), harness(RandomSearch(batch_size=ROWS), space)
    volumes = {
        "evotune": [_volume(ours, number, seed, 2) for seed in range(SEEDS)],
        "random": [_volume(random, number, seed, 1) for seed in range(SEEDS)],
        "optuna": [_optuna_volume(number, seed) for seed in range(SEEDS)],
    }
    assert min(volumes["evotune"]) > max(volumes["random"]), volumes
    assert np.mean(volumes["evotune"]) >= np.mean(volumes["optuna"]), volumes


def test_another_number_of_objectives_is_refused() -> None:
    search = NSGA2(population_size=4, objectives=3, surrogate=None)
    state = search.init(jax.random.key(0), cube(floating()))
    proposal = fresh(jnp.full((4, 1), 0.5), jnp.arange(4))
    with pytest.raises(ValueError, match=r"got 1 and `objectives=3`. Use `NSGA2\(obj"):
        search.tell(state, finish(proposal, 0.0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("population_size", 1),
        ("objectives", 0),
        ("crossover_rate", 2.0),
        ("mutation_rate", -1.0),
        ("crossover_index", -1.0),
    ],
)
def test_bad_settings_are_named_with_the_way_out(name, value) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*Use for example"):
        NSGA2(**{name: value})
