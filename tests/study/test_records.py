"""Tables of trials as Optuna has them, and many of them."""

from __future__ import annotations

import datetime as dt
import math
import sys
import time

import numpy as np
import optuna
import pytest

from evotune._errors import MissingExtraError
from evotune.study import FrozenTrial, Trial, TrialState
from evotune.study._events import Told
from evotune.study._record import Record
from evotune.study._rows import Row, outcome
from tests.study.fakes import FakeEngine, make_space

optuna.logging.set_verbosity(optuna.logging.ERROR)


def test_states_have_optunas_names_and_numbers():
    theirs = {state.name: state.value for state in optuna.trial.TrialState}
    assert {state.name: state.value for state in TrialState} == theirs
    for state in TrialState:
        assert state.is_finished() == optuna.trial.TrialState(state).is_finished()


def twin(trials):
    """An Optuna study with the same trials."""
    study = optuna.create_study()
    ranges = {
        "learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
        "width": optuna.distributions.IntDistribution(16, 64),
        "activation": optuna.distributions.CategoricalDistribution(["relu", "tanh"]),
    }
    for trial in trials:
        other = optuna.trial.FrozenTrial(
            number=-1,
            trial_id=-1,
            state=optuna.trial.TrialState[trial.state.name],
            value=trial.value,
            values=None,
            datetime_start=trial.datetime_start,
            datetime_complete=trial.datetime_complete,
            params=trial.params,
            distributions={name: ranges[name] for name in trial.params},
            user_attrs=trial.user_attrs,
            system_attrs=trial.system_attrs,
            intermediate_values={},
        )
        study.add_trial(other)
    return study


def test_the_dataframe_is_optunas(make_study, space):
    study = make_study()
    study.enqueue_trial({"width": 40}, user_attrs={"note": "a"})
    study.run(FakeEngine(space, diverge=0.7), generations=2, progress=False)
    study.ask()
    ours, theirs = study.trials_dataframe(), twin(study.trials).trials_dataframe()
    assert list(ours.columns) == list(theirs.columns)
    assert ours.dtypes.to_dict() == theirs.dtypes.to_dict()
    import pandas as pd

    pd.testing.assert_frame_equal(ours, theirs)
    assert "FAIL" in set(ours["state"])


def test_the_dataframe_of_no_trials_and_of_other_columns(make_study, space):
    study = make_study()
    assert study.trials_dataframe().empty
    study.run(FakeEngine(space), generations=1, progress=False)
    frame = study.trials_dataframe(attrs=("number", "generation"))
    assert list(frame.columns) == ["number", "generation"]


def test_without_pandas_the_error_says_what_to_install(make_study, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'evotune\[dataframe\]'"):
        make_study().trials_dataframe()


def test_best_trials_are_optunas(make_study):
    study = make_study(direction="minimize")
    trials = study.ask(6)
    study.tell(trials, [2.0, 1.0, math.nan, 1.0, 3.0, 2.0])
    theirs = twin(study.trials)
    assert [t.number for t in study.best_trials] == [
        t.number for t in theirs.best_trials
    ]
    assert study.best_trial.number == theirs.best_trial.number


def test_frozen_trials_compare_without_their_curves():
    one = FrozenTrial(number=1, value=2.0, curves={"loss": np.zeros(3)})
    assert one == FrozenTrial(number=1, value=2.0, curves={})
    start = dt.datetime(2026, 1, 1, 12)
    done = FrozenTrial(
        datetime_start=start, datetime_complete=start + dt.timedelta(seconds=3)
    )
    assert done.duration == dt.timedelta(seconds=3)
    assert one.duration is None


def test_trials_hash_by_number_and_compare_as_mappings():
    one = Trial(3, {"x": 1}, {"epochs": 2})
    assert one == {"x": 1, "epochs": 2}
    assert one == Trial(3, {"x": 1}, {"epochs": 2})
    assert one != Trial(4, {"x": 1}, {"epochs": 2})
    assert len({one, Trial(3, {"x": 1}, {"epochs": 2})}) == 1


def fill(record, trials, rows=500):
    """Trials in generations, with curves, as a run leaves them."""
    rng = np.random.default_rng(0)
    for first in range(0, trials, rows):
        numbers = np.arange(first, first + rows)
        x = rng.random((rows, 3), np.float32)
        for index, number in enumerate(numbers.tolist()):
            record.start(Row(x=x[index], trial=number, generation=first // rows), 1.0)
        curve = rng.random((rows, 20), np.float32)
        told = outcome(
            trial=numbers.astype(np.int32),
            fitness=curve[:, -1:],
            status=np.ones((rows,), np.int32),
            curve_len=np.full((rows,), 20, np.int32),
        )
        values = curve[:, -1].astype(np.float64)
        record.tell(Told(at=2.0, outcome=told, values=values, metrics={"m": curve}))


def test_a_hundred_thousand_trials_are_fine():
    space = make_space()
    record = Record(3, (1,), space.params)
    start = time.process_time()
    fill(record, 100_000)
    assert record.size == record.finished == record.started == 100_000
    trials = record.freeze(range(record.size))
    seconds = time.process_time() - start
    assert seconds < 30, f"{seconds:.1f} s"
    assert trials[-1].generation == 199
    best = max(trials, key=lambda trial: trial.value)
    assert record.freeze([record.best]) == [best]
    start = time.process_time()
    record.freeze(range(record.size))
    assert time.process_time() - start < 2, "frozen trials are kept"


def test_a_trial_that_goes_on_is_running_again_and_may_lose_its_place():
    space = make_space()
    record = Record(3, (1,), space.params)
    fill(record, 4, rows=4)
    first = record.best
    number = int(record.column("number")[first])
    record.start(Row(x=record.x[first], trial=number, until=9.0), 3.0)
    assert record.size == 4
    assert record.freeze([first])[0].state is TrialState.RUNNING
    told = outcome(
        trial=np.array([number], np.int32),
        fitness=np.zeros((1, 1), np.float32),
        status=np.ones((1,), np.int32),
    )
    values = np.array([-5.0])
    record.tell(Told(at=4.0, outcome=told, values=values, metrics={}))
    assert record.best != first
    assert record.finished == 4
