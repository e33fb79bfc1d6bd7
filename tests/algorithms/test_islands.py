"""Islands search alone, but for their best trials, which they send round a ring."""

from __future__ import annotations

import dataclasses
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evotune as et
from evotune import algorithms as ea
from evotune._contracts import EMPTY, Status, fresh, pending
from evotune.algorithms import Islands
from evotune.testing import choice, cube, finish, floating, part
from evotune.testing._harness import harness
from evotune.testing._haste import hasty_jit


@dataclasses.dataclass(frozen=True)
class Register:
    """A search that proposes the middle, and counts results by trial number."""

    batch_size: int = 4

    def init(self, key, geometry):
        del key, geometry
        return jnp.zeros((64,), jnp.int32)

    def ask(self, key, state):
        del key
        first = jnp.max(jnp.where(state > 0, jnp.arange(1, 65), 0))
        trial = first.astype(jnp.int32) + jnp.arange(4, dtype=jnp.int32)
        return fresh(jnp.full((4, 3), 0.5), trial)

    def tell(self, state, outcome):
        ended = (outcome.trial != EMPTY) & (outcome.status != Status.RUNNING)
        place = jnp.where(ended, outcome.trial, 64)
        return state.at[place].add(1, mode="drop")


SPACE = cube(floating(), floating(), choice(3))
GENETIC = ea.GeneticAlgorithm(
    population_size=6, history_size=256, surrogate=None, patience=None
)
SEARCH = Islands(GENETIC, islands=3, interval=1)


def _batch(run, state, number, fitness=None):
    """One batch: what was proposed, and the state after its results."""
    proposal = run.ask(jax.random.key(number), state)
    state = run.tell(state, pending(proposal))
    score = run.score(proposal) if fitness is None else fitness
    return proposal, run.tell(state, finish(proposal, score))


def _of(state, island):
    """What the search of one island knows."""
    return jax.tree.map(lambda leaf: np.asarray(leaf[island]), state.inner)


def test_trials_are_dealt_to_the_islands_in_turn() -> None:
    run = harness(SEARCH, SPACE)
    proposal, state = _batch(run, run.start(), 0)
    assert proposal.trial.tolist() == list(range(18))
    for island in range(3):
        own = _of(state, island).seats.holders
        rows = np.asarray(proposal.x)[island::3]
        assert sorted(own.trial.tolist()) == list(range(6))
        np.testing.assert_array_equal(own.x[np.argsort(own.trial)], rows)


@pytest.mark.parametrize(
    ("inner", "rounding"),
    [(GENETIC, 0.0), (ea.DifferentialEvolution(population_size=6), 1e-6)],
    ids=["genetic, bit by bit", "differential, but for rounding"],
)
def test_without_migration_each_island_is_the_search_alone(inner, rounding) -> None:
    run = harness(Islands(inner, islands=2, interval=None), SPACE)
    together, key = [], jax.random.key(3)
    state = run.algorithm.init(key, SPACE)
    for number in range(4):
        proposal, state = _batch(run, state, number)
        together.append(np.asarray(proposal.x))
    alone = harness(inner, SPACE)
    for island in range(2):
        state = inner.init(jax.random.fold_in(key, island), SPACE)
        for number in range(4):
            own = jax.random.fold_in(jax.random.key(number), island)
            proposal = alone.ask(own, state)
            rows = together[number][island::2]
            np.testing.assert_allclose(proposal.x, rows, rtol=0.0, atol=rounding)
            state = alone.tell(state, pending(proposal))
            state = alone.tell(state, finish(proposal, alone.score(proposal)))


def test_the_best_of_each_island_arrives_at_the_next_in_a_ring() -> None:
    run = harness(SEARCH, SPACE)
    fitness = np.arange(18.0)[::-1]  # the first trial of each island is its best
    proposal, state = _batch(run, run.start(), 0, fitness)
    best = {trial: np.asarray(proposal.x)[trial] for trial in (0, 1, 2)}
    _, state = _batch(run, state, 1, np.zeros(18))
    for island in range(3):
        own, source = _of(state, island).seats.holders, (island - 1) % 3
        # Trial 11 of the island, the last of the batch, gives way.
        (place,) = np.flatnonzero(own.trial == 11)
        np.testing.assert_array_equal(own.x[place], best[source])
        assert own.fitness[place] == 17.0 - source
        assert not ((own.trial > 5) & (own.trial < 11)).any()  # worse than who sat


def test_islands_meet_every_few_batches_and_send_the_best_of_them() -> None:
    run = harness(dataclasses.replace(SEARCH, interval=2), SPACE)
    fitness = np.arange(18.0)[::-1]
    first, state = _batch(run, run.start(), 0, fitness)
    _, state = _batch(run, state, 1, np.zeros(18))
    for island in range(3):  # nobody has come so far
        own = _of(state, island).seats.holders
        assert own.fitness.tolist()[:5] == fitness[island::3].tolist()[:5]
    _, state = _batch(run, state, 2, np.zeros(18))
    own = _of(state, 1).seats.holders
    (place,) = np.flatnonzero(own.trial == 17)
    np.testing.assert_array_equal(own.x[place], np.asarray(first.x)[0])


def test_a_new_trial_that_is_better_does_not_give_way() -> None:
    run = harness(SEARCH, SPACE)
    _, state = _batch(run, run.start(), 0, np.zeros(18))
    proposal, state = _batch(run, state, 1, np.ones(18))
    for island in range(3):
        own = _of(state, island).seats.holders
        (place,) = np.flatnonzero(own.trial == 11)
        np.testing.assert_array_equal(own.x[place], np.asarray(proposal.x)[15 + island])


def test_what_failed_gives_way_and_nobody_is_sent_where_all_failed() -> None:
    run = harness(SEARCH, SPACE)
    first = run.ask(jax.random.key(0), run.start())
    state = run.tell(run.start(), pending(first))
    failed = np.arange(18) % 3 == 1
    status = np.where(failed, Status.DIVERGED, Status.COMPLETE)
    state = run.tell(state, finish(first, np.arange(18.0), status=status))
    second = run.ask(jax.random.key(1), state)
    state = run.tell(state, pending(second))
    state = run.tell(state, finish(second, -np.inf, status=Status.DIVERGED))
    known = [_of(state, island).seats.holders for island in range(3)]
    assert 11 in known[0].trial.tolist()  # from island 2
    assert 11 in known[1].trial.tolist()  # from island 0
    assert 11 not in known[2].trial.tolist()  # nobody came from island 1


def test_no_trial_is_sent_twice_or_sent_on() -> None:
    run = harness(SEARCH, SPACE)
    first, state = _batch(run, run.start(), 0, np.r_[np.zeros(15), 9.0, 0.0, 0.0])
    best = np.asarray(first.x)[15]  # of island 0, for ever
    for number in range(1, 8):
        _, state = _batch(run, state, number, np.zeros(18))
    copies = Counter(
        island
        for island in range(3)
        for x in _of(state, island).seats.holders.x
        if np.array_equal(x, best)
    )
    assert copies == {0: 1, 1: 1}


def test_every_trial_is_told_once_and_under_its_own_number() -> None:
    search = Islands(inner=Register(), islands=3, interval=1, migrants=2)
    run = harness(search, SPACE)
    state = run.start()
    for number in range(5):
        proposal, state = _batch(run, state, number, np.arange(12.0)[::-1])
        assert proposal.trial.tolist() == list(range(12 * number, 12 * number + 12))
    told = np.asarray(state.inner)
    assert (told[:, :20] == 1).all()
    assert (told[:, 20:] == 0).all()


def test_several_migrants_take_the_places_of_several_trials() -> None:
    run = harness(dataclasses.replace(SEARCH, migrants=2), SPACE)
    proposal, state = _batch(run, run.start(), 0, np.arange(18.0)[::-1])
    _, state = _batch(run, state, 1, np.zeros(18))
    own = _of(state, 1).seats.holders
    for trial, sent in ((10, 0), (11, 3)):
        (place,) = np.flatnonzero(own.trial == trial)
        np.testing.assert_array_equal(own.x[place], np.asarray(proposal.x)[sent])


def test_numbers_stay_unique_after_a_lone_trial_of_somebody_else() -> None:
    run = harness(SEARCH, SPACE)
    first, state = _batch(run, run.start(), 0)
    lone = part(finish(first, 1.0), np.arange(18) == 0)
    foreign = jnp.where(lone.trial == EMPTY, EMPTY, 40)
    state = run.tell(state, dataclasses.replace(lone, trial=foreign))
    seen = {*first.trial.tolist(), 40}
    for number in range(1, 5):
        proposal, state = _batch(run, state, number)
        new = proposal.trial.tolist()
        assert len(set(new)) == 18
        assert not seen & set(new)
        seen |= set(new)


def test_fronts_and_their_constraints_travel() -> None:
    search = Islands(
        inner=ea.NSGA2(population_size=6, objectives=2, surrogate=None),
        islands=2,
        interval=1,
    )
    state = search.init(jax.random.key(0), SPACE)
    tell = hasty_jit(search.tell)
    fitness = np.zeros((12, 2), np.float32)
    fitness[6] = 5.0  # dominates, but is forbidden
    fitness[8] = 1.0, 2.0
    forbidden = (np.arange(12) == 6).astype(np.float32)
    for number in range(2):
        proposal = hasty_jit(search.ask)(jax.random.key(number), state)
        waiting = pending(proposal, objectives=2, constraints=1)
        state = tell(state, waiting)
        outcome = dataclasses.replace(
            waiting,
            fitness=jnp.asarray(fitness),
            constraints=jnp.asarray(forbidden)[:, None],
            status=jnp.full((12,), Status.COMPLETE, jnp.int32),
        )
        state = tell(state, outcome)
        fitness, forbidden = np.zeros((12, 2), np.float32), np.ones(12, np.float32)
    own = _of(state, 1).members
    (place,) = np.flatnonzero(own.trial == 11)
    assert own.fitness[place].tolist() == [1.0, 2.0]
    assert own.violation[place] == 0.0


def test_a_study_asks_islands_one_by_one_and_by_name() -> None:
    space = et.Space(rate=et.Float(0.1, 1.0), width=et.Int(1, 8))
    inner = ea.StagedSearch(
        stages=["rate", "width"], trials=4, inner=ea.RandomSearch(batch_size=2)
    )
    study = et.Study(space, algorithm=Islands(inner, islands=2), seed=0)
    for number in range(8):
        (trial,) = study.ask(1)
        assert trial.number == number
        study.tell(trial, trial["rate"])
    assert len({trial.params["width"] for trial in study.trials}) == 1
    assert len({trial.params["rate"] for trial in study.trials}) == 8
    wrong = Islands(inner=ea.StagedSearch(stages=["rat"]))
    with pytest.raises(ValueError, match=r"Did you mean 'rate'"):
        et.Study(space, algorithm=wrong)


def test_islands_rank_as_many_objectives_as_their_search() -> None:
    assert Islands(inner=ea.NSGA2(objectives=3)).objectives == 3
    assert Islands(inner=GENETIC).objectives == 1
    assert Islands(inner=ea.RandomSearch()).objectives is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"islands": 1}, "`islands` must be an integer of at least 2"),
        ({"migrants": 0}, "`migrants` must be an integer of at least 1"),
        ({"migrants": 7}, "`migrants` must be at most the `batch_size` of `inner`"),
        ({"interval": 0}, "`interval` must be an integer of at least 1, or None"),
    ],
)
def test_bad_settings_are_named_with_the_way_out(settings, words) -> None:
    with pytest.raises(ValueError, match=rf"{words}.*Use for example"):
        Islands(GENETIC, **settings)
    with pytest.raises(TypeError, match=r"`inner` must be an algorithm.*Use for"):
        Islands(inner=GENETIC.population_size)
