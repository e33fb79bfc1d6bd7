"""Ageing evolution changes one thing about a good one of the newest trials."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from evotune._contracts import pending
from evotune.algorithms import AgeingEvolution
from evotune.algorithms._cube import active, levels_of
from evotune.testing import GEOMETRIES, cube, finish, floating
from evotune.testing._harness import harness

SEARCH = AgeingEvolution(population_size=12, sample_size=4, batch_size=12)
SPACE = GEOMETRIES["conditional"]


def _generations(run, number, fitness):
    """The proposals of some generations, and the state after the last."""
    state, proposals = run.start(), []
    for generation in range(number):
        proposal = run.ask(jax.random.key(generation), state)
        state = run.tell(state, pending(proposal))
        state = run.tell(state, finish(proposal, fitness(generation, proposal)))
        proposals.append(proposal)
    return proposals, state


def test_a_child_differs_from_a_parent_in_one_active_dimension() -> None:
    run = harness(SEARCH, cube(*[floating()] * 6))
    (first, second), _ = _generations(run, 2, lambda _, p: run.score(p))
    parents, children = np.asarray(first.x), np.asarray(second.x)
    same = children[:, None] == parents[None]
    assert (same.sum(2).max(1) == 5).all()
    changed = ~same[np.arange(12), same.sum(2).argmax(1)]
    assert len(np.unique(changed.argmax(1))) > 2


def test_only_what_is_active_is_chosen_and_something_always_changes() -> None:
    run = harness(SEARCH, SPACE)
    proposals, _ = _generations(run, 3, lambda _, p: run.score(p))
    parents = np.concatenate([p.x for p in proposals[:2]])
    live = np.asarray(active(levels_of(proposals[2].x, SPACE), SPACE))
    for child, own in zip(np.asarray(proposals[2].x), live, strict=True):
        assert not (child[None] == parents).all(1).any()
        # One coordinate, or a category with all that it switches on or off.
        changes = (child[None] != parents).sum(1).min()
        assert changes == 1 or own.sum() < SPACE.dimensions


def test_the_best_dies_of_age() -> None:
    run = harness(SEARCH, cube(*[floating()] * 6))
    _, state = _generations(run, 3, lambda generation, p: 10.0 - generation)
    assert sorted(state.population.trial.tolist()) == list(range(24, 36))


def test_the_first_trials_are_samples_however_good_one_of_them_is() -> None:
    search = AgeingEvolution(population_size=24, sample_size=4, batch_size=12)
    run = harness(search, cube(*[floating()] * 6))
    proposals, _ = _generations(run, 3, lambda _, p: run.score(p))
    x = [np.asarray(p.x) for p in proposals]
    apart = np.concatenate(x[:2])[:, None] != np.concatenate(x[:2])[None]
    assert (apart.all(2) | np.eye(24, dtype=bool)).all()
    assert ((x[2][:, None] == np.concatenate(x[:2])[None]).sum(2).max(1) == 5).all()


@pytest.mark.parametrize(
    "name", ["population_size", "sample_size", "batch_size", "attempts", "history_size"]
)
def test_bad_settings_are_named_with_the_way_out(name) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*Use for example"):
        AgeingEvolution(**{name: 0})
    with pytest.raises(ValueError, match="`mutation_strength` must be a number"):
        AgeingEvolution(mutation_strength=2.0)
