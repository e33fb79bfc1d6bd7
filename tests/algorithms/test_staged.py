"""A staged search varies the dimensions of its stage, and keeps what was best."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import evotune as et
from evotune._contracts import EMPTY, Status, pending
from evotune.algorithms import LatinHypercubeSearch, StagedSearch
from evotune.testing import choice, cube, finish, floating, part
from evotune.testing._harness import harness

SPACE = cube(floating(), floating(), choice(3), floating())
SEARCH = StagedSearch(
    stages=[(0, 2), (1,)], trials=12, inner=LatinHypercubeSearch(batch_size=8)
)


def _batch(run, state, number, fitness=None):
    """One batch: what was proposed, and the state after it."""
    proposal = run.ask(jax.random.key(number), state)
    state = run.tell(state, pending(proposal))
    score = run.score(proposal) if fitness is None else fitness
    return proposal, run.tell(state, finish(proposal, score))


def test_stages_vary_their_own_dimensions_about_the_best_so_far() -> None:
    run = harness(SEARCH, SPACE)
    state, x, scores, sizes = run.start(), [], [], []
    for number in range(8):
        proposal, state = _batch(run, state, number)
        real = np.asarray(proposal.trial) != EMPTY
        sizes.append(int(real.sum()))
        x.append(np.asarray(proposal.x)[real])
        scores.append(run.score(proposal)[real])
    assert sizes == [8, 4] * 4
    best, top = np.asarray(SPACE.canonical, np.float32), -np.inf
    for stage in range(4):
        rows = np.concatenate(x[2 * stage : 2 * stage + 2])
        values = np.concatenate(scores[2 * stage : 2 * stage + 2])
        varied, fixed = ([0, 2], [1, 3]) if stage % 2 == 0 else ([1], [0, 2, 3])
        np.testing.assert_allclose(rows[:, fixed], best[None, fixed].repeat(12, 0))
        assert (np.ptp(rows[:, varied], axis=0) > 0.5).all()
        if values.max() > top:
            best, top = rows[values.argmax()], values.max()
    np.testing.assert_allclose(state.best.x[0], best)


def test_a_stage_waits_for_its_last_result() -> None:
    run = harness(SEARCH, SPACE)
    _, state = _batch(run, run.start(), 0)
    proposal = run.ask(jax.random.key(1), state)
    state = run.tell(state, pending(proposal))
    outcome = finish(proposal, 0.0, status=Status.FAILED)
    state = run.tell(state, part(outcome, np.arange(8) < 3))
    assert int(state.stage) == 0
    more = run.ask(jax.random.key(2), state)
    assert (np.asarray(more.trial) == np.arange(12, 20)).all()
    np.testing.assert_array_equal(np.asarray(more.x)[:, 3], 0.5)
    state = run.tell(state, part(outcome, np.arange(8) == 3))
    assert int(state.stage) == 1
    assert int(state.first) == 12


def test_the_inner_search_starts_anew_and_sees_its_own_stage_alone() -> None:
    inner = et.GeneticAlgorithm(population_size=8, history_size=64)
    run = harness(StagedSearch(stages=[(0,), (1,)], trials=8, inner=inner), SPACE)
    state = run.start()
    first, state = _batch(run, state, 0)
    assert (state.inner.seats.holders.trial == EMPTY).all()
    second, state = _batch(run, state, 1)
    late = finish(first, np.full(8, 9.0))  # of an earlier stage, told again
    state = run.tell(state, late)
    assert (state.inner.seats.holders.trial == EMPTY).all()
    assert int(state.best.trial[0]) in first.trial.tolist()
    assert second.trial.tolist() == list(range(8, 16))


def test_a_study_knows_dimensions_by_name() -> None:
    space = et.Space(
        rate=et.Float(0.1, 1.0), width=et.Int(1, 8), depth=et.Int(1, 3), epochs=3
    )
    search = StagedSearch(
        stages=["rate", ("depth", "width")],
        trials=4,
        inner=LatinHypercubeSearch(batch_size=4),
    )
    study = et.Study(space, algorithm=search, seed=0)
    for number in range(2):
        trials = study.ask(4)
        assert (len({trial["rate"] for trial in trials}) > 1) == (number == 0)
        assert (len({trial["width"] for trial in trials}) > 1) == (number == 1)
        for trial in trials:
            study.tell(trial, trial["rate"] * trial["width"])
    with pytest.raises(ValueError, match=r"got 'wdith'. Did you mean 'width'"):
        et.Study(space, algorithm=StagedSearch(stages=["wdith"]))


def test_names_without_a_study_are_refused() -> None:
    for stages in (["rate"], [(4,)], [(-1,)]):
        with pytest.raises(ValueError, match=r"indices from 0 to 3 .*with_names"):
            StagedSearch(stages=stages).init(jax.random.key(0), SPACE)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"stages": []}, "one stage at least"),
        ({"stages": [()]}, r"stage 0 is \(\)"),
        ({"stages": [("a", "a")]}, "none twice"),
        ({"stages": [("a",)], "trials": 0}, "`trials` must be an integer of at least"),
    ],
)
def test_bad_settings_are_named_with_the_way_out(settings, words) -> None:
    with pytest.raises(ValueError, match=rf"{words}.*Use for example"):
        StagedSearch(**settings)
