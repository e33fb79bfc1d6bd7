"""NSGA-III spreads what survives over its directions, as a plain loop would."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import EMPTY
from evotune.algorithms import NSGA3, RandomSearch
from evotune.algorithms._compromises import Compromises
from evotune.algorithms._niches import (
    associated,
    most_divisions,
    normalised,
    simplex_lattice,
)
from evotune.algorithms._nsga3 import near_directions
from evotune.testing import cube, floating
from evotune.testing._harness import harness
from evotune.testing._haste import hasty_jit
from tests.algorithms.test_nsga2 import _outcome, _plain_ranks

DIRECTIONS = simplex_lattice(3, 5)


def test_the_lattice_is_evenly_spread_over_the_simplex() -> None:
    assert DIRECTIONS.shape == (21, 3)
    np.testing.assert_allclose(DIRECTIONS.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(DIRECTIONS * 5, np.round(DIRECTIONS * 5), atol=1e-6)
    assert len(np.unique(DIRECTIONS, axis=0)) == 21
    for objectives, size in [(1, 5), (2, 12), (3, 21), (3, 20), (5, 64), (8, 4)]:
        divisions = most_divisions(objectives, size)
        count = len(simplex_lattice(objectives, divisions))
        assert count <= size or divisions == 1
        assert objectives == 1 or len(simplex_lattice(objectives, divisions + 1)) > size


def _population(seed, places=48, known=40):
    """Losses about a front of unlike scales, some of them infeasible or nobody."""
    random = np.random.default_rng(seed)
    losses = np.abs(random.normal(size=(places, 3)))
    losses /= np.linalg.norm(losses, axis=1, keepdims=True)
    losses *= random.uniform(1.0, 1.4, (places, 1))
    losses = (losses * [1.0, 20.0, 300.0] + [5.0, 0.0, -40.0]).astype(np.float32)
    there = np.arange(places) < known
    return losses, there


def _members(losses, there, violation=None):
    violation = np.zeros(len(there)) if violation is None else violation
    return Compromises(
        x=jnp.asarray(losses[:, :2]),
        fitness=jnp.asarray(-losses, jnp.float32),
        violation=jnp.asarray(np.where(there, violation, np.inf), jnp.float32),
        trial=jnp.asarray(np.where(there, np.arange(len(there)), EMPTY), jnp.int32),
    )


def _plainly(losses, rank, points, size):
    """Who survives, by the loop of Deb and Jain (2014), the nearest taken for lots."""
    niche, far = (np.asarray(a) for a in associated(jnp.asarray(points), DIRECTIONS))
    chosen, front = [], 0
    while len(chosen) + (rank == front).sum() <= size:
        chosen += np.flatnonzero(rank == front).tolist()
        front += 1
    count = np.bincount(niche[chosen], minlength=len(DIRECTIONS))
    waiting = set(np.flatnonzero(rank == front).tolist())
    while len(chosen) < size:
        taken = min(waiting, key=lambda i: (count[niche[i]], far[i]))
        count[niche[taken]] += 1
        waiting.remove(taken)
        chosen.append(taken)
    return set(chosen), niche, far


survive = hasty_jit(lambda members: near_directions(members, 24, directions=DIRECTIONS))


@pytest.mark.parametrize("seed", range(4))
def test_survivors_are_those_of_a_plain_loop(seed) -> None:
    losses, there = _population(seed)
    rank = _plain_ranks(-losses[there], np.zeros(there.sum()))
    first = jnp.asarray(rank == 0)
    points = normalised(jnp.asarray(losses[there]), jnp.ones(40, bool), first)
    expected, _, _ = _plainly(losses[there], rank, points, 24)
    best = survive(_members(losses, there))
    assert set(best.trial.tolist()) == expected
    assert (np.diff(rank[np.asarray(best.trial)]) >= 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_scales_and_niches_are_those_of_pymoo(seed) -> None:
    nsga3 = pytest.importorskip("pymoo.algorithms.moo.nsga3")
    losses, there = _population(seed)
    given = losses[there]
    first = _plain_ranks(-given, np.zeros(40)) == 0
    # pymoo's extreme points hang on units, so that it is given those of the front.
    losses = given.astype(np.float64)
    losses = (losses - losses.min(axis=0)) / np.ptp(losses[first], axis=0)
    scales = nsga3.HyperplaneNormalization(3)
    scales.update(losses, nds=np.flatnonzero(first))
    ideal, nadir = scales.ideal_point, scales.nadir_point
    found = normalised(jnp.asarray(given), jnp.ones(40, bool), jnp.asarray(first))
    np.testing.assert_allclose(found, (losses - ideal) / (nadir - ideal), atol=1e-4)
    niche, far, _ = nsga3.associate_to_niches(
        losses, DIRECTIONS.astype(np.float64), ideal, nadir
    )
    mine, distance = associated(found, DIRECTIONS)
    np.testing.assert_array_equal(mine, niche)
    np.testing.assert_allclose(distance, far, atol=1e-4)


def test_a_front_without_a_plane_is_measured_by_its_worst_losses() -> None:
    losses = jnp.asarray([[0.0, 2.0, 1.0], [4.0, 0.0, 1.0], [9.0, 9.0, 1.0]])
    first = jnp.asarray([True, True, False])
    found = normalised(losses, jnp.ones(3, bool), first)
    np.testing.assert_allclose(found[:2, :2], [[0.0, 1.0], [1.0, 0.0]], atol=1e-6)
    assert np.isfinite(np.asarray(found)).all()


def test_feasible_trials_survive_first_and_then_those_that_violate_least() -> None:
    losses, there = _population(7)
    violation = np.where(np.arange(48) % 4 == 0, 0.0, np.arange(48.0))
    best = survive(_members(losses, there, violation)).trial.tolist()
    feasible = list(range(0, 40, 4))
    assert set(best[:10]) == set(feasible)
    assert best[10:] == [t for t in range(40) if t % 4][:14]


def _dtlz2(x):
    """The losses f32[P, 3] of Deb et al. (2005); the front is the unit sphere's."""
    far = ((x[:, 2:] - 0.5) ** 2).sum(axis=1)
    a, b = (0.5 * np.pi * x[:, :2]).T
    shape = [np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)]
    return (1.0 + far[:, None]) * np.stack(shape, axis=1)


def test_more_directions_are_served_than_by_chance() -> None:
    """The best reach along each of 21 directions, on average: 1 on the front."""
    reach = {}
    lines = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
    searches = [NSGA3(population_size=24), RandomSearch(batch_size=24)]
    for search in searches:
        run = harness(search, cube(*[floating()] * 8))
        name, means = type(search).__name__, []
        for seed in range(4):
            state, losses = run.algorithm.init(jax.random.key(seed), run.geometry), []
            for generation in range(16):
                key = jax.random.fold_in(jax.random.key(seed), generation)
                proposal = run.ask(key, state)
                losses.append(_dtlz2(np.asarray(proposal.x, float)))
                columns = 3 if name == "NSGA3" else 1
                outcome = _outcome(proposal, -losses[-1][:, :columns])
                state = run.tell(state, outcome)
            found = np.concatenate(losses)
            means.append(
                (found[:, None] / np.maximum(lines, 0.05)).max(2).min(0).mean()
            )
        reach[name] = means
    assert max(reach["NSGA3"]) < min(reach["RandomSearch"]), reach


@pytest.mark.parametrize(
    ("name", "value"),
    [("population_size", 1), ("objectives", 0), ("divisions", 0)],
)
def test_bad_settings_are_named_with_the_way_out(name, value) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*Use for example"):
        NSGA3(**{name: value})


def test_more_directions_than_members_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got 28 of `divisions=6`. Use .*=28.*=5"):
        NSGA3(population_size=24, divisions=6)
