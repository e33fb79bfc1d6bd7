"""What a surrogate promises: it learns from all that is told, and picks good rows."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import EMPTY, Status, pending
from evotune.algorithms import GeneticAlgorithm, Surrogate
from evotune.algorithms._archive import WORST, empty_archive, file
from evotune.study import simulate
from evotune.testing import choice, cube, finish, floating, integer, part
from evotune.testing._harness import harness
from evotune.testing._haste import hasty_jit
from tests.algorithms.bowl import SPACE, foreign, knowing, score

LITTLE = Surrogate(
    until=100_000, candidates=256, shortlist=64, trials=64, fitted=32, steps=20
)
SEARCH = GeneticAlgorithm(population_size=8, surrogate=LITTLE, history_size=512)
ALL_CHOSEN = dataclasses.replace(
    SEARCH, surrogate=dataclasses.replace(LITTLE, least_chosen=1.0)
)


@pytest.fixture(scope="module")
def run():
    return harness(SEARCH, SPACE)


def test_configurations_that_others_tried_inform_the_first_proposal(run) -> None:
    state = knowing(run, foreign(40))
    informed = score(run.ask(jax.random.key(1), state).x)
    blind = score(run.ask(jax.random.key(1), run.start()).x)
    assert np.median(informed) > np.median(blind) + 0.1
    assert informed.max() > -0.01


def test_a_proposal_is_of_new_and_different_rows(run) -> None:
    state, seen = run.start(), []
    for generation in range(4):
        proposal = run.ask(jax.random.key(generation), state)
        seen += [tuple(row) for row in np.asarray(proposal.x).tolist()]
        state = run.tell(state, finish(proposal, score(proposal.x)))
    assert len(set(seen)) == 32
    spread = np.asarray(proposal.x)[:, :2]
    apart = np.linalg.norm(spread[:, None] - spread[None], axis=2)
    same = np.asarray(proposal.x[:, 2])[:, None] == np.asarray(proposal.x[:, 2])[None]
    assert (apart + ~same)[~np.eye(8, dtype=bool)].min() > 1e-3


def test_trials_under_way_are_believed() -> None:
    """A second batch, asked for before the first has ended, keeps away from it."""
    run = harness(ALL_CHOSEN, SPACE)
    state = knowing(run, foreign(40))
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
    done = run.tell(waiting, finish(first, score(first.x)))
    assert (done.archive.running.trial == EMPTY).all()


def test_where_trials_diverge_few_are_proposed(run) -> None:
    bad = np.asarray(foreign(48).x[:, 0]) > 0.6  # the best would be at 0.7
    status = np.where(bad, Status.DIVERGED, Status.COMPLETE)
    state = knowing(run, foreign(48, status=status))
    for seed in range(3):
        proposed = np.asarray(run.ask(jax.random.key(seed), state).x[:, 0])
        assert np.mean(proposed > 0.65) < 0.4
        assert np.mean((proposed > 0.3) & (proposed < 0.65)) > 0.4


def test_who_failed_says_nothing_and_who_diverged_is_the_worst() -> None:
    status = [Status.FAILED, Status.PRUNED, Status.DIVERGED, Status.COMPLETE] * 2
    told = foreign(8, status=status)
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
        told = foreign(8, fitness=fitness[block])
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


def test_the_share_that_is_chosen_falls_with_the_trials() -> None:
    surrogate = dataclasses.replace(LITTLE, chosen=16, until=96)
    takes = [
        np.asarray(surrogate.takes(jnp.arange(8) + 8 * generation, 8))
        for generation in range(14)
    ]
    counts = [int(each.sum()) for each in takes]
    assert counts == [8, 8, 8, 5, 4, 3, 3, 2, 2, 2, 2, 2, 0, 0]
    # Each seat has its turn, whatever its number.
    assert np.sum(takes[7:12], axis=0).max() <= 2


def test_who_asks_for_one_trial_has_the_one_that_promises_most(run) -> None:
    """The rest of a proposal are children as they are born, the chosen ones in turn."""
    search = dataclasses.replace(
        SEARCH, surrogate=dataclasses.replace(LITTLE, chosen=16)
    )
    state = knowing(run, foreign(48))
    shared = np.asarray(harness(search, SPACE).ask(jax.random.key(3), state).x)
    chosen = np.asarray(harness(ALL_CHOSEN, SPACE).ask(jax.random.key(3), state).x)
    trial = int(state.next_trial) + jnp.arange(8)
    takes = np.asarray(search.surrogate.takes(trial, 8))
    assert takes.sum() == 2
    np.testing.assert_array_equal(shared[takes], chosen[:2])
    assert not (shared[~takes][:, None] == chosen[None]).all(axis=2).any()


def test_nothing_is_chosen_after_the_first_contest(run) -> None:
    state = knowing(run, foreign(48))
    chosen = np.asarray(run.ask(jax.random.key(3), state).x)
    later = dataclasses.replace(
        state, seats=dataclasses.replace(state.seats, start=jnp.int32(8))
    )
    assert not (np.asarray(run.ask(jax.random.key(3), later).x) == chosen).all()


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
        told = part(finish(proposal, score(proposal.x)), np.arange(8) == 0)
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
        ({"until": -1}, "`until` must be an integer of at least 0"),
    ],
)
def test_bad_settings_are_named_with_the_way_out(settings, words) -> None:
    with pytest.raises(ValueError, match="Use for example") as error:
        Surrogate(**settings)
    assert words in str(error.value)


def test_what_is_no_surrogate_is_an_error() -> None:
    with pytest.raises(ValueError, match="`surrogate` must be a `Surrogate` or None"):
        GeneticAlgorithm(surrogate="gp")
