"""What Bayesian optimisation promises: it learns, and its rows differ."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erfc

from evotune._contracts import Status, pending
from evotune.algorithms import (
    BayesianOptimization,
    QuasiRandomSearch,
    RandomSearch,
    TrustRegion,
)
from evotune.algorithms._belief import believe
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._gaussian_process import Hyperparameters, condition
from evotune.algorithms._kernel import covariance
from evotune.algorithms._local_penalization import penalized_batch
from evotune.algorithms._thompson import thompson_batch
from evotune.testing import choice, cube, finish, floating, integer
from evotune.testing._harness import harness
from evotune.testing._haste import hasty_jit
from tests.algorithms.bowl import SPACE, foreign, knowing, score

SEARCH = BayesianOptimization(
    batch_size=8,
    initial=8,
    candidates=128,
    shortlist=32,
    climbs=4,
    trials=64,
    fitted=32,
    steps=20,
)


@pytest.fixture(scope="module")
def run():
    return harness(SEARCH, SPACE)


def test_the_first_trials_are_those_of_the_sobol_sequence(run) -> None:
    design = QuasiRandomSearch(batch_size=8)
    first = design.ask(jax.random.key(1), design.init(jax.random.key(0), SPACE))
    np.testing.assert_array_equal(run.ask(jax.random.key(5), run.start()).x, first.x)


def test_configurations_that_others_tried_inform_the_first_proposal(run) -> None:
    informed = score(run.ask(jax.random.key(1), knowing(run, foreign(40))).x)
    assert informed.max() > -0.02
    assert np.median(informed) > np.median(foreign(40).fitness) + 0.1


def test_trials_under_way_are_believed(run) -> None:
    state = knowing(run, foreign(40))
    waiting = run.tell(state, pending(run.ask(jax.random.key(5), state)))
    unaware = dataclasses.replace(waiting, archive=state.archive)
    aware, other = (run.ask(jax.random.key(6), each).x for each in (waiting, unaware))
    assert not np.array_equal(aware, other)


@pytest.mark.parametrize("why", ["diverged", "infeasible"])
def test_where_trials_are_bad_few_are_proposed(run, why) -> None:
    told = foreign(48)
    bad = np.asarray(told.x[:, 0]) > 0.6  # the best would be at 0.7
    if why == "diverged":
        status = np.where(bad, Status.DIVERGED, Status.COMPLETE)
        told = foreign(48, status=status)
    excess = bad & (why == "infeasible")
    told = dataclasses.replace(
        told, constraints=jnp.asarray(excess[:, None], jnp.float32)
    )
    state = knowing(run, told)
    proposed = np.concatenate(
        [np.asarray(run.ask(jax.random.key(k), state).x[:, 0]) for k in range(3)]
    )
    assert np.mean(proposed > 0.65) < 0.3, proposed
    assert np.mean((proposed > 0.3) & (proposed < 0.65)) > 0.4, proposed


def test_no_row_is_proposed_twice(run) -> None:
    state, seen = run.start(), []
    for generation in range(4):
        proposal = run.ask(jax.random.key(generation), state)
        seen += [tuple(row) for row in np.asarray(proposal.x).tolist()]
        state = run.tell(state, finish(proposal, score(proposal.x)))
    assert len(set(seen)) == 32


def test_a_believed_row_is_one_that_was_told_as_predicted() -> None:
    geometry = cube(floating(), integer(5), choice(3))
    rows = jax.random.uniform(jax.random.key(0), (30, 3))
    rows = canonicalise(rows, geometry)
    told, new, other = rows[:16], rows[16:21], rows[21:]
    learnt = Hyperparameters(
        log_lengths=jnp.log(jnp.asarray([0.3, 0.8, 1.2])),
        log_noise=jnp.log(jnp.float32(0.02)),
    )
    y = jnp.sin(5.0 * told[:, 0]) - told[:, 1]
    process = condition(told, y, jnp.ones(16, bool), learnt, geometry)
    real = jnp.asarray([True, True, False, True, True])
    believing = believe(process, new, real)

    every = jnp.concatenate([told, new])
    values = jnp.concatenate([y, process.predict(new)[0]])
    known = jnp.concatenate([jnp.ones(16, bool), real])
    anew = condition(every, values, known, learnt, geometry)
    for ours, theirs, before in zip(
        believing.predict(other)[:2],
        anew.predict(other)[:2],
        process.predict(other)[:2],
        strict=True,
    ):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=2e-4)
        assert (np.asarray(ours) <= np.asarray(before) + 1e-5).all()
    np.testing.assert_allclose(
        believing.predict(other)[0], process.predict(other)[0], atol=1e-5
    )


def test_penalised_rows_are_those_of_the_formula() -> None:
    draw = np.random.default_rng(1)
    x, mean = draw.random((30, 2)), draw.normal(size=30)
    deviation, promise = draw.uniform(0.1, 1.0, 30), draw.normal(size=30)
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    allowed, best = np.arange(30) != 7, 0.5
    chosen = penalized_batch(
        *(jnp.asarray(each, jnp.float32) for each in (promise, mean, deviation)),
        jnp.asarray(distance, jnp.float32),
        jnp.asarray(allowed),
        jnp.float32(best),
        size=6,
    )

    rise = np.abs(mean[:, None] - mean[None])
    steepest = (rise / np.maximum(distance, 1e-2)).max()
    most, expected = max(best, mean.max()), []
    left = np.where(allowed, np.exp(promise), 0.0)
    for _ in range(6):
        j = int(np.argmax(left))
        expected.append(j)
        # Gonzalez et al., equation 5.
        z = (steepest * distance[j] - most + mean[j]) / np.sqrt(2 * deviation[j] ** 2)
        left = left * 0.5 * erfc(-z)
        left[j] = 0.0
    assert chosen.tolist() == expected


def test_thompson_chooses_rows_as_often_as_they_are_best() -> None:
    mean = jnp.asarray([0.0, 0.5, -0.5, 0.9])
    root = jax.random.normal(jax.random.key(0), (4, 4))
    covariance = root @ root.T * 0.3
    allowed = jnp.asarray([True, True, True, False])

    def first(key: jax.Array) -> jax.Array:
        normal = jax.random.normal(key, (1, 4))
        return thompson_batch(mean, covariance, normal, allowed)[0]

    keys = jax.random.split(jax.random.key(1), 4000)
    share = np.bincount(np.asarray(jax.vmap(first)(keys)), minlength=4) / 4000
    drawn = np.random.default_rng(0).multivariate_normal(
        np.asarray(mean[:3]), np.asarray(covariance[:3, :3]), 100_000
    )
    expected = np.bincount(drawn.argmax(axis=1), minlength=4) / 100_000
    np.testing.assert_allclose(share, expected, atol=0.04)
    many = thompson_batch(
        mean, covariance, jax.random.normal(jax.random.key(2), (3, 4)), allowed
    )
    assert sorted(many.tolist()) == [0, 1, 2]


def test_functions_can_be_drawn_at_many_rows_that_are_nearly_one() -> None:
    x = jnp.full((600, 2), 0.5).at[:, 0].add(jnp.linspace(0.0, 1e-4, 600))
    geometry = cube(floating(), floating())
    learnt = Hyperparameters(log_lengths=jnp.zeros(2), log_noise=jnp.float32(-9))
    process = condition(x[:2], jnp.ones(2), jnp.ones(2, bool), learnt, geometry)
    mean, _, columns = process.predict(x)
    joint = covariance(x, x, learnt.log_lengths, geometry) - columns.T @ columns
    normal = jax.random.normal(jax.random.key(0), (64, 600))
    chosen = thompson_batch(mean, joint, normal, jnp.ones(600, bool))
    assert len(set(chosen.tolist())) == 64  # not 0, which NaN would give


@pytest.mark.parametrize("batch", ["believer", "local_penalization", "thompson"])
def test_it_beats_random_search_in_few_trials(batch) -> None:
    geometry = cube(floating(), floating(), integer(9), choice(3), floating())
    best = jnp.asarray([0.3, 0.8, 0.4, 0.1, 0.6])

    def search(algorithm, seed):
        key = jax.random.key(seed)

        def turn(state, number):
            proposal = algorithm.ask(jax.random.fold_in(key, number), state)
            loss = ((proposal.x - best[None]) ** 2).sum(1)
            told = dataclasses.replace(
                pending(proposal),
                fitness=-loss[:, None],
                status=jnp.full_like(proposal.trial, Status.COMPLETE),
            )
            return algorithm.tell(state, told), jnp.min(loss)

        state = algorithm.init(key, geometry)
        return jnp.min(jax.lax.scan(turn, state, jnp.arange(4))[1])

    losses = [
        np.asarray(
            hasty_jit(
                lambda seeds, a=algorithm: jax.lax.map(lambda s: search(a, s), seeds)
            )(jnp.arange(8))
        )
        for algorithm in (
            RandomSearch(batch_size=8),
            dataclasses.replace(SEARCH, batch=batch),
        )
    ]
    table = f"random {losses[0].round(4)}\n{batch} {losses[1].round(4)}"
    assert (losses[1] < losses[0]).mean() >= 0.75, table
    assert np.median(losses[1]) < 0.7 * np.median(losses[0]), table


def test_an_acquisition_of_ones_own_is_maximised() -> None:
    def near_the_worst(mean, deviation, best):
        del best
        return -mean - 0.0 * deviation

    run = harness(dataclasses.replace(SEARCH, acquisition=near_the_worst), SPACE)
    proposed = score(run.ask(jax.random.key(1), knowing(run, foreign(40))).x)
    assert proposed.max() < np.median(foreign(40).fitness)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
        ({"batch": "believers"}, "Did you mean 'believer'"),
        ({"acquisition": "ei"}, "`acquisition` must be one of"),
        ({"trust_region": True}, "`trust_region` must be a `TrustRegion` or None"),
        ({"initial": 1}, "`initial` must be an integer of at least 2"),
        ({"candidates": 2}, "`candidates`"),
        ({"climbs": -1}, "`climbs`"),
    ],
)
def test_bad_settings_are_named_with_the_way_out(settings, words) -> None:
    with pytest.raises(ValueError, match="`") as error:
        BayesianOptimization(**settings)
    assert words in str(error.value)


def test_the_region_is_a_part_of_the_state() -> None:
    search = dataclasses.replace(SEARCH, trust_region=TrustRegion(initial=0.4))
    run = harness(search, SPACE)
    state = knowing(run, foreign(40))
    assert state.region is not None
    assert float(state.region.length) == np.float32(0.4)
    best = np.asarray(state.archive.told.x[0])
    proposed = np.asarray(run.ask(jax.random.key(0), state).x)
    # Half of a side is 0.2, times what the two length scales make of it.
    area = np.prod(np.abs(proposed[:, :2] - best[None, :2]).max(axis=0))
    assert area <= 0.2**2 + 1e-6
