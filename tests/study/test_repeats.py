"""Several trainings of each trial: told as one, recorded apart, resumed apart."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from evotune._contracts import DROP, FRESH, Status
from evotune._errors import AllDivergedError, JournalError
from evotune.study import Study, TrialState, create_trial
from evotune.study._journal import FILE_NAME
from evotune.study._repeats import Repeats
from evotune.study._rows import Row
from tests.study.fakes import FakeEngine, MiniSearch, checksum, facts

SMALL = MiniSearch(batch_size=4)


def engine_of(space, **options):
    """Trains four trials three times each, in blocks that end within trials."""
    return FakeEngine(space, rows=12, **{"lanes": 4, **options})


def told_to(study):
    """What the algorithm of ``study`` is told from now on; results only."""
    told, tell = [], study._ledger.search.tell

    def listening(outcome):
        if not np.any(outcome.status == Status.RUNNING):
            told.append(outcome)
        tell(outcome)

    study._ledger.search.tell = listening
    return told


def all_facts(study):
    return [
        (*fact, trial.repeats)
        for fact, trial in zip(facts(study), study.trials, strict=True)
    ]


@pytest.mark.parametrize("repeats", [0, -1, 1.5, "3", True, None])
def test_a_number_of_repeats_that_is_none_is_refused(make_study, repeats):
    with pytest.raises(ValueError, match=r"repeats must be an integer.*repeats=3"):
        make_study(repeats=repeats)


def test_the_algorithm_is_told_one_row_a_trial(make_study, space):
    study = make_study(algorithm=SMALL, repeats=3, direction="minimize")
    told = told_to(study)
    engine = engine_of(space, direction="minimize")
    study.run(engine, generations=2, progress=False)
    assert len(engine.trained) == 24
    assert engine.trained[:4] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    rows = {
        int(outcome.trial[row]): (outcome, row)
        for outcome in told
        for row in range(len(outcome.trial))
    }
    assert sum(len(outcome.trial) for outcome in told) == len(rows) == 8
    for trial in study.trials:
        outcome, row = rows[trial.number]
        values = np.asarray(trial.repeats)
        assert values.shape == (3,)
        assert len(set(trial.repeats)) == 3
        assert trial.value == np.mean(values)
        assert trial.spread == pytest.approx(np.std(values, ddof=1))
        assert outcome.fitness[row, 0] == np.float32(-np.mean(values))
        error = np.var(values, ddof=1) / 3
        assert outcome.variance[row, 0] == pytest.approx(error, rel=1e-5)
        assert outcome.replica[row] == 0
        assert outcome.status[row] == Status.COMPLETE
        np.testing.assert_array_equal(outcome.x[row], study.coordinates(trial.number))
    assert study.best_value == min(trial.value for trial in study.trials)
    assert float(study._ledger.search.state().best) == np.float32(-study.best_value)


def test_budgets_and_callbacks_count_trials(make_study, space):
    seen = []
    study = make_study(algorithm=SMALL, repeats=3)
    engine = engine_of(space)
    study.run(
        engine,
        n_trials=6,
        callbacks=[lambda _, trial: seen.append(trial.number)],
        progress=False,
    )
    assert (len(study), len(engine.trained)) == (6, 18)
    assert study.stopped_by == "n_trials"
    assert sorted(seen) == list(range(6))
    study.run(engine, generations=2, progress=False)
    assert len(study) == 8


def test_the_engine_must_have_room_for_the_repeats(make_study, space):
    with pytest.raises(ValueError, match=r"3 times each.*batch_size \* 3"):
        make_study(repeats=3).run(FakeEngine(space), generations=1, progress=False)


def test_a_timeout_keeps_the_repeats_that_are_back(make_study, space):
    study = make_study(algorithm=SMALL, repeats=3)
    first = engine_of(space, pause=0.06)
    study.run(first, timeout=0.05, progress=False)
    assert 0 < len(first.trained) < 12
    assert len(first.trained) % 3
    second = engine_of(space)
    study.run(second, generations=2, progress=False)
    assert len(set(first.trained + second.trained)) == 24
    assert len(first.trained + second.trained) == 24, "no training was repeated"
    whole = make_study(algorithm=SMALL, repeats=3)
    whole.run(engine_of(space), generations=2, progress=False)
    assert all_facts(study) == all_facts(whole)
    assert checksum(study) == checksum(whole)


def test_a_trial_with_a_diverged_repeat_has_diverged(make_study, space):
    study = make_study(algorithm=SMALL, repeats=3)
    told = told_to(study)
    study.run(engine_of(space, fragile=0.6), generations=4, progress=False)
    failed = [trial for trial in study.trials if trial.state is TrialState.FAIL]
    assert 0 < len(failed) < 16
    for trial in failed:
        assert trial.value is None
        assert trial.system_attrs == {"status": "diverged"}
        assert [math.isnan(value) for value in trial.repeats] == [False, True, False]
        assert len(trial.curves["val_accuracy"]) == 1, "up to where the second diverged"
    numbers = {trial.number for trial in failed}
    for outcome in told:
        for row, number in enumerate(outcome.trial.tolist()):
            bad = number in numbers
            assert (outcome.status[row] == Status.DIVERGED) == bad
            assert np.isneginf(outcome.fitness[row, 0]) == bad
            assert np.all(outcome.variance[row] == 0.0) == bad
    assert study.best_trial.number not in numbers


def test_a_generation_of_which_every_trial_diverged_is_an_error(make_study, space):
    study = make_study(algorithm=SMALL, repeats=3)
    with pytest.raises(AllDivergedError, match=r"from each of 3 seeds, but all 4"):
        study.run(engine_of(space, fragile=-1.0), generations=2, progress=False)


def test_curves_are_means_that_end_at_the_value(make_study, space):
    study, single = make_study(algorithm=SMALL, repeats=3), make_study(algorithm=SMALL)
    study.run(engine_of(space), generations=1, progress=False)
    single.run(FakeEngine(space, rows=4), generations=1, progress=False)
    for trial, first in zip(study.trials, single.trials, strict=True):
        curve = trial.curves["val_accuracy"]
        assert trial.repeats[0] == first.value, "the first repeat is the plain training"
        assert len(curve) == len(first.curves["val_accuracy"])
        assert float(curve[-1]) == pytest.approx(trial.value, rel=1e-6)
        total = np.asarray(curve) + trial.curves["train_loss"]
        np.testing.assert_allclose(total, 1.0, rtol=1e-6)


def journal_of(tmp_path: Path) -> Path:
    return tmp_path / "study" / FILE_NAME


@pytest.mark.parametrize("kept", range(4, 12))
def test_a_killed_study_repeats_nothing_and_loses_nothing(
    make_study, space, tmp_path, kept
):
    options = {"algorithm": SMALL, "repeats": 3, "stored": True}
    study = make_study(**options)
    study.run(engine_of(space), generations=2, progress=False)
    study.close()
    path = journal_of(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) > kept
    path.write_bytes(b"".join(lines[:kept]) + lines[kept][:9])
    told = [json.loads(line) for line in lines[:kept] if b'"told"' in line]
    recorded = {
        pair
        for line in told
        for pair in zip(
            line["trial"], line.get("replica", [0] * len(line["trial"])), strict=True
        )
    }
    again = make_study(resume=True, **options)
    engine = engine_of(space)
    again.run(engine, generations=2, progress=False)
    everything = {(trial, replica) for trial in range(8) for replica in range(3)}
    assert sorted(engine.trained) == sorted(everything - recorded)
    assert all_facts(again) == all_facts(study)
    assert checksum(again) == checksum(study)
    again.close()
    loaded = Study.load(tmp_path)
    assert loaded.repeats == 3
    assert all_facts(loaded) == all_facts(study)
    state = again.best_state(engine_of(space))
    assert state["params"]["w"].tobytes() == best_state_of(study).tobytes()


def best_state_of(study):
    """What the fake engine returns for the best repeat of the best trial."""
    best = study.best_trial
    replica = int(np.argmax(best.repeats))
    return study.coordinates(best.number) + np.float32(replica)


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 5, 12])
def test_the_best_state_is_that_of_the_best_repeat(make_study, space, lanes):
    study = make_study(algorithm=SMALL, repeats=3)
    study.run(engine_of(space, lanes=lanes), generations=3, progress=False)
    unused = engine_of(space)
    state = study.best_state(unused)
    assert unused.trained == [], "kept, not trained again"
    assert state["params"]["w"].tobytes() == best_state_of(study).tobytes()
    other = min(study.trials, key=lambda trial: trial.value)
    state = study.state_of(other.number, unused)
    assert unused.trained == [(other.number, int(np.argmax(other.repeats)))]


def test_another_number_of_repeats_is_another_study(make_study, space, tmp_path):
    study = make_study(algorithm=SMALL, repeats=3, stored=True)
    study.run(engine_of(space), generations=1, progress=False)
    study.close()
    header = json.loads(journal_of(tmp_path).read_text().splitlines()[0])
    assert (header["schema_version"], header["repeats"]) == (3, 3)
    with pytest.raises(JournalError, match="another repeats: recorded 3, now 1"):
        make_study(algorithm=SMALL, stored=True, resume=True)


def test_a_study_without_repeats_is_written_as_ever(make_study, space, tmp_path):
    study = make_study(stored=True, repeats=1)
    study.run(FakeEngine(space), generations=1, progress=False)
    lines = [json.loads(line) for line in journal_of(tmp_path).read_text().splitlines()]
    assert lines[0]["schema_version"] == 1
    assert "repeats" not in lines[0]
    assert not any("replica" in line or "variance" in line for line in lines)
    assert all(trial.repeats == () and trial.spread is None for trial in study.trials)


def test_enqueued_trials_are_repeated_and_added_ones_are_not(make_study, space):
    study = make_study(algorithm=SMALL, repeats=3)
    study.enqueue_trial({"width": 40}, user_attrs={"why": "a guess"})
    engine = engine_of(space)
    study.run(engine, generations=1, progress=False)
    assert study.trials[0].params["width"] == 40
    assert study.trials[0].user_attrs == {"why": "a guess"}
    assert len(study.trials[0].repeats) == 3
    study.add_trial(create_trial(params=study.trials[0].params, value=0.5))
    assert (study.trials[-1].value, study.trials[-1].repeats) == (0.5, ())
    study.run(engine, generations=2, progress=False)
    assert len(study) == 9


def test_by_hand_a_trial_is_told_as_many_values(make_study):
    study = make_study(repeats=2)
    first, second = study.ask(2)
    assert first.replicas == (0, 1)
    assert study.tell(first, [0.25, 0.75]).value == 0.5
    assert study.trials[0].repeats == (0.25, 0.75)
    assert study.tell(second, [0.25, math.nan]).state is TrialState.FAIL
    third = study.ask()
    for wrong in (0.5, [0.5], [0.1, 0.2, 0.3]):
        with pytest.raises(ValueError, match=r"has 2 values.*trial.replicas"):
            study.tell(third, wrong)
    frozen = study.tell([third, study.ask()], np.asarray([[1.0, 2.0], [3.0, 5.0]]))
    assert [trial.value for trial in frozen] == [1.5, 4.0]
    assert study.tell(study.ask(), state=TrialState.FAIL).value is None
    assert study.tell(study.ask(), [1.0, 3.0], state=TrialState.PRUNED).value == 2.0
    assert study.best_value == 4.0


def test_by_hand_several_objectives(space):
    study = Study(space, directions=["minimize", "maximize"], repeats=2)
    trial = study.tell(study.ask(), [(1.0, 2.0), (3.0, 6.0)])
    assert trial.values == (2.0, 4.0)
    assert trial.repeats == ((1.0, 2.0), (3.0, 6.0))
    assert trial.spread == pytest.approx((np.sqrt(2.0), np.sqrt(8.0)))
    frame = study.trials_dataframe()
    assert frame["repeats_0_1"].tolist() == [3.0]
    assert frame["spread_1"].tolist() == pytest.approx([np.sqrt(8.0)])


def test_a_hand_finishes_what_an_engine_has_begun(make_study, space):
    study = make_study(algorithm=SMALL, repeats=3)
    engine = engine_of(space, pause=0.06)
    study.run(engine, timeout=0.05, progress=False)
    by_trial = dict(engine.trained)
    torn = next(
        trial
        for trial in study.ask(4)
        if trial.number in by_trial and len(trial.replicas) < 3
    )
    done = study.tell(torn, [0.5] * len(torn.replicas))
    assert done.state is TrialState.COMPLETE
    assert len(done.repeats) == 3
    assert done.value == np.mean(done.repeats)


def test_tables_have_the_repeats_and_their_spread(make_study, space):
    study = make_study(algorithm=SMALL, repeats=3)
    study.run(engine_of(space, fragile=0.6), generations=2, progress=False)
    study.ask()
    frame = study.trials_dataframe()
    names = ["value", "repeats_0", "repeats_1", "repeats_2", "spread"]
    assert list(frame.columns[1:6]) == names
    each = frame[names[1:4]].to_numpy()
    np.testing.assert_allclose(frame["value"], each.mean(axis=1))
    np.testing.assert_allclose(frame["spread"], each.std(axis=1, ddof=1))
    assert np.isnan(frame["value"].iloc[-1])
    plain = make_study()
    plain.run(FakeEngine(space), generations=1, progress=False)
    assert "spread" not in plain.trials_dataframe()


def test_members_have_keys_and_slots_of_their_own():
    repeats = Repeats(3)
    first, second = (
        Row(x=np.zeros(1, np.float32), trial=7, replica=a, source=5, slot=4)
        for a in (0, 1)
    )
    members = [*repeats.members(first), *repeats.members(second)]
    assert [member.replica for member in members] == list(range(6))
    assert {repeats.key(member) for member in members} == {(7, 0), (7, 1)}
    assert [member.slot for member in members[:3]] == [12, 13, 14]
    assert [member.source for member in members[:3]] == [15, 16, 17]
    loose = repeats.members(Row(x=np.zeros(1, np.float32), trial=7))
    assert {(member.source, member.slot) for member in loose} == {(FRESH, DROP)}
    assert Repeats(1).members(first) == [first]
