"""A surrogate of several objectives measures fronts truly, and widens them sooner."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import EMPTY, Status, fresh, pending
from evotune._pareto import hypervolume
from evotune.algorithms import NSGA2, Surrogate
from evotune.algorithms._compromises import lessons, no_compromises, with_new
from evotune.algorithms._draws import key_after
from evotune.algorithms._front_surrogate import ranked
from evotune.algorithms._hypervolume_improvement import (
    DRAWS,
    draws,
    log_improvement,
    seen_from,
    widening_batch,
    with_values,
)
from evotune.algorithms._nsga2 import survivors
from evotune.testing import choice, cube, floating
from evotune.testing._harness import harness
from evotune.testing._haste import hasty_jit
from tests.algorithms.test_nsga2 import _outcome

LITTLE = Surrogate(candidates=128, shortlist=32, trials=64, fitted=32, steps=10)
SEARCH = NSGA2(population_size=8, surrogate=LITTLE)
SPACE = cube(floating(), floating(), choice(3), floating())


def _front(objectives, points=12, seed=0):
    """Values about the unit sphere, and the front of them seen from the origin."""
    random = np.random.default_rng(seed)
    values = np.abs(random.normal(size=(points, objectives)))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    values = np.concatenate([values, -values]).astype(np.float32)
    known = np.arange(2 * points) < 2 * points - 1
    shift = jnp.asarray(random.random(objectives), jnp.float32)
    origin = jnp.zeros(objectives)
    return seen_from(origin, jnp.asarray(values), jnp.asarray(known), shift), values


def _unit(objectives):
    """The volume of the positive part of the unit ball."""
    ball = math.pi ** (objectives / 2) / math.gamma(objectives / 2 + 1)
    return ball / 2**objectives


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_hypervolumes_are_means_over_directions(objectives) -> None:
    for seed in range(4):
        front, values = _front(objectives, seed=seed)
        found = _unit(objectives) * float(jnp.mean(front.reach**objectives))
        expected = hypervolume(values, np.zeros(objectives))
        np.testing.assert_allclose(found, expected, rtol=0.06)


@pytest.mark.parametrize("objectives", [2, 3])
def test_improvements_are_those_of_drawn_trials(objectives) -> None:
    front, values = _front(objectives)
    random = np.random.default_rng(1)
    mean = random.uniform(0.2, 1.1, (12, objectives)).astype(np.float32)
    deviation = random.uniform(0.05, 0.3, (12, objectives)).astype(np.float32)
    one = hasty_jit(log_improvement)
    shifts = jnp.asarray(random.random((24, objectives)), jnp.float32)
    found = np.mean(
        [np.exp(one(front, mean, deviation, draws(objectives, s))) for s in shifts], 0
    )
    before, origin = hypervolume(values, np.zeros(objectives)), np.zeros(objectives)
    drawn = mean[:, None] + deviation[:, None] * random.normal(
        size=(12, 200, objectives)
    )
    expected = np.asarray(
        [
            np.mean(
                [hypervolume(np.vstack([values, y]), origin) - before for y in rows]
            )
            for rows in drawn
        ]
    )
    found *= _unit(objectives) / DRAWS
    much = expected > 0.05
    assert much.sum() >= 4
    np.testing.assert_allclose(found[much], expected[much], rtol=0.2)
    assert np.corrcoef(found, expected)[0, 1] > 0.98


def test_a_batch_is_of_different_ideas() -> None:
    """Rows 0 to 2 are one idea, rows 3 to 5 another, somewhat worse."""
    front, _ = _front(2)
    mean = jnp.asarray([[1.0, 0.9]] * 3 + [[0.3, 1.2]] * 3)
    like = 0.05 * (0.01 * np.eye(6) + 0.99 * np.kron(np.eye(2), np.ones((3, 3))))
    covariance = jnp.asarray(np.stack([like, like]), jnp.float32)
    given = front, mean, covariance, jnp.full(2, 1e-3)
    normal = draws(2, jnp.full(2, 0.3))
    everyone = jnp.ones(6, bool)
    chosen = widening_batch(*given, everyone, normal, size=3).tolist()
    assert len(set(chosen)) == 3
    assert {row // 3 for row in chosen[:2]} == {0, 1}


def test_fronts_only_grow() -> None:
    front, values = _front(2)
    inside = with_values(front, 0.5 * jnp.asarray(values[:3]))
    np.testing.assert_array_equal(front.reach, inside.reach)
    outside = with_values(front, 2.0 * jnp.asarray(values[:3]))
    assert (outside.reach >= front.reach).all()
    assert (outside.reach > front.reach).any()


def _rows(count, first=0):
    random = np.random.default_rng(first)
    x = random.random((count, 4), np.float32)
    x[:, 2] = (np.arange(count) % 3 + 0.5) / 3
    return fresh(jnp.asarray(x), jnp.arange(count, dtype=jnp.int32) + first)


def _file(archive, outcome):
    return with_new(archive, lessons(outcome, outcome.x), outcome, survivors)


def test_who_failed_says_nothing_and_who_diverged_or_is_infeasible_is_worse() -> None:
    status = [Status.FAILED, Status.PRUNED, Status.DIVERGED, *[Status.COMPLETE] * 5]
    fitness = np.arange(16.0).reshape(8, 2)
    fitness[3] = -np.inf
    constraints = np.asarray([[0.0]] * 5 + [[2.0], [1.0], [-1.0]])
    told = _outcome(_rows(8), fitness, constraints)
    told = dataclasses.replace(told, status=jnp.asarray(status, jnp.int32))
    archive = _file(no_compromises(16, 4, 2), told)
    known = archive.trial.tolist()
    assert known[:6] == [7, 6, 5, 4, 3, 2]
    assert set(known[6:]) == {EMPTY}
    values = dict(zip(known, ranked(archive)[:, 0].tolist(), strict=True))
    assert values[4] == 8.0
    assert values[7] == 14.0
    assert values[4] > values[6] > values[5] > values[2] == values[3]


def test_a_full_archive_keeps_its_better_half_and_all_that_came_since() -> None:
    random = np.random.default_rng(3)
    archive = no_compromises(16, 4, 2)
    fitness = random.normal(size=(24, 2)).astype(np.float32)
    for first in (0, 8, 16):
        block = fitness[first : first + 8]
        archive = _file(archive, _outcome(_rows(8, first), block))
    kept = set(archive.trial.tolist())
    assert kept > set(range(16, 24))
    members = _file(no_compromises(16, 4, 2), _outcome(_rows(8), fitness[:8]))
    members = _file(members, _outcome(_rows(8, 8), fitness[8:16]))
    best = survivors(members, 8).trial.tolist()
    assert kept == set(range(16, 24)) | set(best)


def _bowls(x):
    """Two bowls and a choice, of which the first level is best for both."""
    x = np.asarray(x, float)
    other = 0.2 * (x[:, 2] > 1 / 3)
    each = [((x[:, [0, 1, 3]] - at) ** 2).sum(axis=1) + other for at in (0.25, 0.75)]
    return -np.stack(each, axis=1)


def test_fronts_are_wider_after_few_trials() -> None:
    volumes = {}
    for surrogate in (None, LITTLE):
        run = harness(dataclasses.replace(SEARCH, surrogate=surrogate), SPACE)
        found = volumes.setdefault(surrogate, [])
        for seed in range(6):
            state, values = run.start(), []
            for generation in range(5):
                key = jax.random.fold_in(jax.random.key(seed), generation)
                proposal = run.ask(key, state)
                values.append(_bowls(proposal.x))
                state = run.tell(state, _outcome(proposal, values[-1]))
            found.append(hypervolume(np.concatenate(values), np.full(2, -1.0)))
    gain = np.subtract(volumes[LITTLE], volumes[None])
    assert np.mean(gain > 0) >= 5 / 6, volumes
    assert np.median(gain) > 0.02, volumes


def test_what_is_under_way_is_believed_and_not_proposed_again() -> None:
    run = harness(SEARCH, SPACE)
    state = run.start()
    for number in range(3):
        proposal = run.ask(jax.random.key(number), state)
        state = run.tell(state, _outcome(proposal, _bowls(proposal.x)))
    first = run.ask(jax.random.key(5), state)
    waiting = run.tell(state, pending(first, objectives=2))
    assert set(waiting.running.trial.tolist()) == set(first.trial.tolist())
    unaware = dataclasses.replace(waiting, running=state.running)
    known = {row.tobytes() for row in np.asarray(first.x)}
    apart = []
    for number in range(6, 12):
        rows = [run.ask(jax.random.key(number), who).x for who in (waiting, unaware)]
        assert known.isdisjoint(row.tobytes() for row in np.asarray(rows[0]))
        gaps = [np.asarray(x)[:, None] - np.asarray(first.x)[None] for x in rows]
        apart.append([np.linalg.norm(gap, axis=2).min(axis=1).mean() for gap in gaps])
    assert np.mean(apart, axis=0)[0] > np.mean(apart, axis=0)[1], apart
    done = run.tell(waiting, _outcome(first, _bowls(first.x)))
    assert (done.running.trial == EMPTY).all()


def test_what_is_not_chosen_are_children_as_they_are_born() -> None:
    search = dataclasses.replace(
        SEARCH, surrogate=dataclasses.replace(LITTLE, chosen=8, until=24)
    )
    run, shares = harness(search, SPACE), []
    state = run.start()
    for number in range(5):
        key, trial = jax.random.key(number), number * 8 + jnp.arange(8)
        proposal = run.ask(key, state)
        born = search._operators.children(
            key_after(key, state.next_trial), state, survivors(state.members, 8)
        )
        same = np.isclose(born, proposal.x, atol=1e-5).all(axis=1)
        takes = np.asarray(search.surrogate.takes(trial, 8)) & (number > 0)
        # One row may be mutated further, as it repeats another that is chosen.
        assert np.sum(~same[~takes]) <= 1
        assert not same[takes].any()
        shares.append(int(takes.sum()))
        state = run.tell(state, _outcome(proposal, _bowls(proposal.x)))
    assert shares == [0, 8, 4, 0, 0]


def test_what_is_no_surrogate_is_an_error() -> None:
    with pytest.raises(ValueError, match="`surrogate` must be a `Surrogate` or None"):
        NSGA2(surrogate="gp")


def test_constrained_searches_find_what_is_allowed() -> None:
    """About a sixteenth of the space is allowed."""
    run = harness(SEARCH, SPACE)
    state, shares = run.start(), []
    for number in range(6):
        proposal = run.ask(jax.random.key(number), state)
        x = np.asarray(proposal.x)
        excess = np.maximum(x[:, [0, 1]] - 0.25, 0.0).sum(axis=1) - 0.01
        shares.append((excess <= 0).mean())
        outcome = _outcome(proposal, _bowls(x), excess[:, None])
        state = run.tell(state, outcome)
    assert shares[-1] >= 0.5, shares
