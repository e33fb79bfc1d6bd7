"""What a surrogate promises: it learns from all that is told, and picks good rows."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import EMPTY, Status, fresh, pending
from evotune.algorithms import GeneticAlgorithm, Surrogate
from evotune.algorithms._archive import WORST, empty_archive, file
from evotune.study import simulate
from evotune.testing import choice, cube, finish, floating, integer, part
from evotune.testing._algorithm import harness
from evotune.testing._haste import hasty_jit

LITTLE = Surrogate(candidates=256, shortlist=64, trials=64, fitted=32, steps=20)
SEARCH = GeneticAlgorithm(population_size=8, surrogate=LITTLE, history_size=512)
SPACE = cube(floating(), floating(), choice(3))


def _score(x) -> np.ndarray:
    """Best at 0.7 and 0.2 of the first category."""
    x = np.asarray(x)
    bowl = (x[:, 0] - 0.7) ** 2 + (x[:, 1] - 0.2) ** 2
    return -bowl - 0.1 * (x[:, 2] > 1 / 3)


def _foreign(count: int, seed: int = 3, **given):
    """Rows of trials from 1000 on, spread over the cube, with their scores."""
    rows = np.random.default_rng(seed).random((count, 3), np.float32)
    rows[:, 2] = (np.arange(count) % 3 + 0.5) / 3
    proposal = fresh(jnp.asarray(rows), jnp.arange(count, dtype=jnp.int32) + 1000)
    return finish(proposal, given.pop("fitness", _score(rows)), **given)


def _told(run, outcome):
    """The state that knows the rows of ``outcome``, eight at a time."""
    state = run.start()
    for start in range(0, outcome.trial.shape[0], 8):
        rows = jax.tree.map(lambda leaf, at=start: leaf[at : at + 8], outcome)
        state = run.tell(state, rows)
    return state


@pytest.fixture(scope="module")
def run():
    return harness(SEARCH, SPACE)


def test_configurations_that_others_tried_inform_the_first_proposal(run) -> None:
    state = _told(run, _foreign(40))
    informed = _score(run.ask(jax.random.key(1), state).x)
    blind = _score(run.ask(jax.random.key(1), run.start()).x)
    assert np.median(informed) > np.median(blind) + 0.1
    assert informed.max() > -0.01


def test_a_proposal_is_of_new_and_different_rows(run) -> None:
    state, seen = run.start(), []
    for generation in range(4):
        proposal = run.ask(jax.random.key(generation), state)
        seen += [tuple(row) for row in np.asarray(proposal.x).tolist()]
        state = run.tell(state, finish(proposal, _score(proposal.x)))
    assert len(set(seen)) == 32
    spread = np.asarray(proposal.x)[:, :2]
    apart = np.linalg.norm(spread[:, None] - spread[None], axis=2)
    same = np.asarray(proposal.x[:, 2])[:, None] == np.asarray(proposal.x[:, 2])[None]
    assert (apart + ~same)[~np.eye(8, dtype=bool)].min() > 1e-3


def test_trials_under_way_are_believed(run) -> None:
    """A second batch, asked for before the first has ended, keeps away from it."""
    state = _told(run, _foreign(40))
    first = run.ask(jax.random.key(5), state)
    waiting = run.tell(state, pending(first))
    assert set(waiting.archive.running.trial.tolist()) == set(first.trial.tolist())
    again = dataclasses.replace(state, seen=waiting.seen)  # known, but not believed
    apart = [
        np.linalg.norm(np.asarray(x)[:, None] - np.asarray(first.x)[None], axis=2)
        .min(axis=1)
        .mean()
        for x in (
            run.ask(jax.random.key(6), waiting).x,
            run.ask(jax.random.key(6), again).x,
        )
    ]
    assert apart[0] > apart[1]
    done = run.tell(waiting, finish(first, _score(first.x)))
    assert (done.archive.running.trial == EMPTY).all()


def test_where_trials_diverge_few_are_proposed(run) -> None:
    bad = np.asarray(_foreign(48).x[:, 0]) > 0.6  # the best would be at 0.7
    status = np.where(bad, Status.DIVERGED, Status.COMPLETE)
    state = _told(run, _foreign(48, status=status))
    for seed in range(3):
        proposed = np.asarray(run.ask(jax.random.key(seed), state).x[:, 0])
        assert np.mean(proposed > 0.65) < 0.4
        assert np.mean((proposed > 0.3) & (proposed < 0.65)) > 0.4


def test_who_failed_says_nothing_and_who_diverged_is_the_worst() -> None:
    status = [Status.FAILED, Status.PRUNED, Status.DIVERGED, Status.COMPLETE] * 2
    told = _foreign(8, status=status)
    told = dataclasses.replace(
        told, constraints=jnp.asarray([[0.0]] * 7 + [[1.0]], jnp.float32)
    )
    archive = file(empty_archive(16, 8, 3), told, told.x)
    known = dict(
        zip(archive.told.trial.tolist(), archive.told.fitness.tolist(), strict=True)
    )
    assert set(known) == {1003, 1002, 1006, 1007, EMPTY}
    assert {known[trial] for trial in (1002, 1006, 1007)} == {float(WORST)}
    assert known[1003] == told.fitness[3, 0]


def test_a_full_archive_keeps_the_best_and_the_newest() -> None:
    archive, fitness = empty_archive(16, 8, 3), np.random.default_rng(0).normal(size=64)
    store = jax.jit(file)
    for block in np.split(np.random.default_rng(1).permutation(64), 8):
        told = _foreign(8, fitness=fitness[block])
        told = dataclasses.replace(told, trial=jnp.asarray(block, jnp.int32))
        archive = store(archive, told, told.x)
    best = set(np.argsort(-fitness)[:8].tolist())
    newest = sorted(set(range(64)) - best, reverse=True)[:8]
    assert set(archive.told.trial.tolist()) == best | set(newest)


MIXED = cube(floating(), floating(), integer(9), choice(3), floating())
BEST = jnp.asarray([0.3, 0.8, 0.4, 0.1, 0.6])


def _losses(algorithm, geometry, loss, *, generations, seeds) -> np.ndarray:
    """The best loss that each seed finds."""

    def search(seed):
        key, settings = jax.random.key(seed), {"generations": generations}
        found = simulate(algorithm, lambda x: -loss(x), geometry, key, **settings)
        return -found.fitness.max()

    return np.asarray(hasty_jit(lambda all_: jax.lax.map(search, all_))(seeds))


def test_a_surrogate_finds_better_ones_in_few_trials() -> None:
    losses = [
        _losses(
            GeneticAlgorithm(population_size=16, surrogate=surrogate),
            MIXED,
            lambda x: jnp.sum((x - BEST) ** 2),
            generations=4,
            seeds=jnp.arange(12),
        )
        for surrogate in (None, LITTLE)
    ]
    table = f"without {losses[0].round(4)}\nwith    {losses[1].round(4)}"
    assert (losses[1] < losses[0]).mean() >= 0.75, table
    assert np.median(losses[1]) < 0.5 * np.median(losses[0]), table


def test_children_close_in_where_the_process_sees_no_difference() -> None:
    """A narrow, turned valley: chosen rows alone come to a stand above its floor."""
    turn = jnp.asarray([[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    scale = jnp.asarray([1.0, 30.0, 5.0])

    def loss(x):
        return jnp.sum((turn @ (x - 0.37) * scale) ** 2)

    losses = [
        _losses(
            GeneticAlgorithm(population_size=16, surrogate=surrogate),
            cube(floating(), floating(), floating()),
            loss,
            generations=32,
            seeds=jnp.arange(16),
        )
        for surrogate in (dataclasses.replace(LITTLE, least_chosen=1.0), LITTLE)
    ]
    table = f"all chosen {losses[0]}\nshared     {losses[1]}"
    assert (losses[1] < losses[0]).mean() >= 0.75, table
    assert np.median(losses[1]) < 0.4 * np.median(losses[0]), table


def test_the_share_that_is_chosen_falls_with_the_trials(run) -> None:
    archive = _told(run, _foreign(48)).archive
    surrogate = dataclasses.replace(LITTLE, chosen=16)
    breeding = SEARCH._breeding(3)
    seen = jnp.zeros((512,), jnp.uint32)

    @hasty_jit
    def rows(trials):
        key = jax.random.key(3)
        return surrogate.propose(key, archive, seen, breeding, SPACE, 8, trials)

    after = {n: np.asarray(rows(jnp.int32(n))) for n in (8, 16, 32, 1000)}
    equal = {n: (x == after[8]).all(axis=1).sum() for n, x in after.items()}
    assert equal == {8: 8, 16: 8, 32: 4, 1000: 2}
    assert (after[1000][:2] == after[8][:2]).all()
    parents = np.asarray(archive.told.x[: LITTLE.parents])
    near = np.abs(after[1000][2:, None, :2] - parents[None, :, :2]).max(axis=2)
    assert (near.min(axis=1) < 0.3).all()


def test_a_search_that_stands_still_starts_afresh() -> None:
    search = dataclasses.replace(
        SEARCH, surrogate=dataclasses.replace(LITTLE, patience=32)
    )
    run = harness(search, SPACE)
    state = run.start()
    for generation in range(6):
        before = state
        proposal = run.ask(jax.random.key(generation), state)
        state = run.tell(state, pending(proposal))
        assert int(state.archive.start) == int(before.archive.start)
        # Nothing is ever better than the very first trial.
        state = run.tell(state, finish(proposal, -np.asarray(proposal.trial)))
    assert int(state.archive.start) == 40
    assert set(state.archive.told.trial.tolist()) == {*range(40, 48), EMPTY}
    fresh_start = run.ask(jax.random.key(9), before)
    slices = np.sort(np.floor(np.asarray(fresh_start.x[:, 0]) * 8))
    np.testing.assert_array_equal(slices, np.arange(8))  # the sequence goes on
    late = run.tell(state, _foreign(8, fitness=np.full(8, 9.0)))
    forgotten = part(finish(proposal, np.full(8, 99.0)), np.arange(8) < 4)
    forgotten = dataclasses.replace(forgotten, trial=jnp.arange(8, dtype=jnp.int32))
    assert 0 not in run.tell(state, forgotten).archive.told.trial.tolist()
    assert float(late.archive.told.fitness[0]) == 9.0


def test_a_search_that_gets_better_forgets_nothing() -> None:
    search = dataclasses.replace(
        SEARCH, surrogate=dataclasses.replace(LITTLE, patience=8)
    )
    run = harness(search, SPACE)
    state = run.start()
    for generation in range(6):
        proposal = run.ask(jax.random.key(generation), state)
        state = run.tell(state, finish(proposal, np.asarray(proposal.trial)))
    assert int(state.archive.start) == 0
    assert int((state.archive.told.trial != EMPTY).sum()) == 48


def test_one_trial_at_a_time_and_more_rows_than_candidates() -> None:
    many = GeneticAlgorithm(
        population_size=80,
        surrogate=dataclasses.replace(LITTLE, candidates=8, shortlist=2),
    )
    state = jax.eval_shape(lambda: many.init(jax.random.key(0), SPACE))
    assert jax.eval_shape(many.ask, jax.random.key(0), state).x.shape == (80, 3)
    run = harness(SEARCH, SPACE)
    state = run.start()
    for number in range(10):
        proposal = run.ask(jax.random.key(number), state)
        told = part(finish(proposal, _score(proposal.x)), np.arange(8) == 0)
        state = run.tell(state, told)
    assert int(state.next_trial) == 10


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"candidates": 2}, "`candidates` must be an integer of at least 8"),
        ({"shortlist": 0}, "`shortlist`"),
        ({"shortlist": 2048}, "`shortlist` must not exceed `candidates`"),
        ({"filling": 1.5}, "`filling` must be a number from 0 to 1"),
        ({"trials": 1}, "`trials`"),
        ({"steps": -1}, "`steps`"),
        ({"differing": -0.1}, "`differing` must be a number from 0 to 1"),
        ({"least_chosen": 2.0}, "`least_chosen` must be a number from 0 to 1"),
        ({"chosen": -1}, "`chosen` must be an integer of at least 0"),
        ({"narrowest": 0.0}, "`narrowest` must be a number from"),
        ({"patience": 0}, "`patience` must be an integer of at least 1"),
    ],
)
def test_bad_settings_are_named_with_the_way_out(settings, words) -> None:
    with pytest.raises(ValueError, match="Use for example") as error:
        Surrogate(**settings)
    assert words in str(error.value)


def test_what_is_no_surrogate_is_an_error() -> None:
    with pytest.raises(ValueError, match="`surrogate` must be a `Surrogate` or None"):
        GeneticAlgorithm(surrogate="gp")
