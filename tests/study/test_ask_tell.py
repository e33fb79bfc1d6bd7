"""Driving a study by hand, in Optuna's words."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest

from evotune._errors import EvotuneError, HyperparameterError
from evotune.space import Float, Space
from evotune.study import FrozenTrial, Study, Trial, TrialState, create_trial
from tests.study.fakes import FakeEngine, MiniSearch, checksum, facts

optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial: Trial) -> float:
    return 1.0 - (math.log10(trial["learning_rate"]) + 2.0) ** 2


def test_a_trial_is_a_mapping_of_params_and_constants(make_study):
    trial = make_study().ask()
    assert trial.number == 0
    assert set(trial.params) == {"learning_rate", "width", "activation"}
    assert dict(trial) == {**trial.params, "epochs": 20}
    assert isinstance(trial["width"], int)
    assert "batch_size" not in trial
    with pytest.raises(KeyError, match="not a parameter of trial 0"):
        trial["batch_size"]


def test_asking_one_by_one_is_asking_for_all(make_study):
    one, many, mixed = make_study(), make_study(), make_study()
    for _ in range(3):
        batch = many.ask(8)
        many.tell(batch, [objective(trial) for trial in batch])
        single = [one.ask() for _ in range(8)]
        for trial in single:
            one.tell(trial, objective(trial))
        portions = [*mixed.ask(3), *mixed.ask(5)]
        mixed.tell(portions[:6], [objective(trial) for trial in portions[:6]])
        mixed.tell(portions[6:], [objective(trial) for trial in portions[6:]])
    assert facts(one) == facts(many) == facts(mixed)
    assert checksum(one) == checksum(many) == checksum(mixed)


def test_best_follows_the_direction_and_the_earliest_of_equals_wins(make_study):
    for direction, best in (("maximize", 3.0), ("minimize", -1.0)):
        study = make_study(direction=direction)
        trials = study.ask(6)
        study.tell(list(reversed(trials)), [2.0, 3.0, -1.0, 3.0, -1.0, 2.0])
        assert study.best_value == best
        same = [trial.number for trial in study.best_trials]
        assert same == sorted(same)
        assert study.best_trial.number == same[0]
        assert study.best_params == trials[same[0]].params


def test_values_differ_by_less_than_float32_resolves(make_study):
    study = make_study(direction="minimize")
    first, second = study.ask(2)
    study.tell([first, second], [1.0, 1.0 - 1e-12])
    assert study.best_trial.number == second.number


def test_what_is_no_finite_number_fails(make_study):
    study = make_study()
    for value in (math.nan, math.inf, None, "oops", [1.0, 2.0]):
        frozen = study.tell(study.ask(), value)
        assert frozen.state is TrialState.FAIL
        assert frozen.value is None
    with pytest.raises(ValueError, match="No trials are completed yet"):
        _ = study.best_trial
    assert study.best_trials == []


def test_states_go_with_values(make_study):
    study = make_study()
    trials = study.ask(8)
    assert study.tell(trials[0], [0.5]).value == 0.5
    assert study.tell(trials[1], state=TrialState.FAIL).state is TrialState.FAIL
    pruned = study.tell(trials[2], 0.9, state=optuna.trial.TrialState.PRUNED)
    assert pruned.state is TrialState.PRUNED
    assert study.best_value == 0.5, "a pruned trial is never the best"
    with pytest.raises(ValueError, match="needs a finite value"):
        study.tell(trials[3], math.nan, state=TrialState.COMPLETE)
    with pytest.raises(ValueError, match="has no value"):
        study.tell(trials[3], 1.0, state="FAIL")
    with pytest.raises(ValueError, match="is told as COMPLETE"):
        study.tell(trials[3], 1.0, state=TrialState.RUNNING)
    with pytest.raises(ValueError, match="must be one of"):
        study.tell(trials[3], 1.0, state="DONE")


def test_telling_is_all_or_nothing(make_study):
    study = make_study()
    trials = study.ask(3)
    study.tell(trials[0].number, 1.0)
    before = facts(study)
    with pytest.raises(ValueError, match="already has its result"):
        study.tell([trials[1], trials[0]], [1.0, 2.0])
    with pytest.raises(ValueError, match="was never asked"):
        study.tell(99, 1.0)
    with pytest.raises(ValueError, match="one entry for each trial"):
        study.tell(trials[1:], [1.0])
    with pytest.raises(ValueError, match="twice"):
        study.tell([trials[1], trials[1]], [1.0, 1.0])
    assert facts(study) == before


def test_enqueued_trials_come_next_and_keep_what_is_not_named(make_study):
    study, plain = make_study(), make_study()
    study.ask(3)
    others = plain.ask(6)[3:]
    study.enqueue_trial(
        {"width": 40, "activation": "tanh"}, user_attrs={"why": "hunch"}
    )
    study.enqueue_trial({"learning_rate": 0.01, "width": 20, "activation": "relu"})
    named, full, last = study.ask(3)
    assert named.params == {**others[0].params, "width": 40, "activation": "tanh"}
    assert full.params == {"learning_rate": 0.01, "width": 20, "activation": "relu"}
    assert last.params == others[2].params
    frozen = study.trials[3]
    assert frozen.user_attrs == {"why": "hunch"}
    assert frozen.system_attrs["fixed_params"] == {"width": 40, "activation": "tanh"}


def test_bad_wishes_are_refused(make_study):
    study = make_study()
    with pytest.raises(HyperparameterError, match="width"):
        study.enqueue_trial({"widht": 40})
    with pytest.raises(HyperparameterError):
        study.enqueue_trial({"width": 4000})
    with pytest.raises(TypeError, match="JSON"):
        study.enqueue_trial({"width": 40}, user_attrs={"a": object()})


def test_added_trials_are_known_to_the_algorithm(make_study):
    study = make_study()
    params = {"learning_rate": 0.01, "width": 20, "activation": "relu"}
    study.ask(3)
    study.add_trial(create_trial(params=params, value=7.0, user_attrs={"from": "x"}))
    assert study.best_value == 7.0
    assert study.best_trial.number == 8, "numbers that are proposed stay free"
    assert study.best_params == params
    assert study.best_trial.generation == -1
    assert study.best_trial.user_attrs == {"from": "x"}
    assert float(study._ledger.search.state().best) == 7.0
    assert [trial.number for trial in study.ask(8)] == [3, 4, 5, 6, 7, 9, 10, 11]
    study.add_trial(create_trial(params=params, state=TrialState.FAIL))
    assert study.trials[-1].state is TrialState.FAIL
    study.add_trial(FrozenTrial(params=params, state=TrialState.WAITING))
    assert study.ask().params == params
    with pytest.raises(ValueError, match="told as COMPLETE"):
        study.add_trial(FrozenTrial(params=params, state=TrialState.RUNNING))
    with pytest.raises(HyperparameterError):
        study.add_trial(create_trial(params={"width": 20, "deepness": 3}, value=1.0))


def test_trials_of_optuna_can_be_added():
    study = Study(Space(x=Float(-1.0, 1.0)), algorithm=MiniSearch())
    other = optuna.create_study()
    other.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=5)
    for trial in other.trials:
        study.add_trial(trial)
    assert study.best_value == other.best_value
    assert study.best_params["x"] == pytest.approx(other.best_params["x"], abs=1e-6)
    assert study.trials[0].datetime_start == other.trials[0].datetime_start


def test_a_finished_algorithm_hands_out_what_there_is(make_study):
    study = make_study(algorithm=MiniSearch(limit=10))
    assert len(study.ask(64)) == 10
    assert study.ask(3) == []
    with pytest.raises(EvotuneError, match="no more points"):
        study.ask()


def test_what_tells_is_compiled_after_the_first_proposal(space, count_compiles):
    study = Study(space, algorithm=MiniSearch(batch_size=7), seed=1)
    with count_compiles() as compiles:
        study.ask(7)
    assert compiles["_search_ask"] == 1
    assert compiles["_search_tell"] == 0
    search = study._ledger.asking()
    with count_compiles() as compiles:
        search.start_compiling()
        search.start_compiling()
        search.settle()
    assert compiles == {"_search_tell": 1}
    with count_compiles() as compiles:
        study.ask(7)
    assert compiles.total() == 0


def test_many_trials_are_told_in_one_shape(make_study, count_compiles):
    study = make_study(algorithm=MiniSearch(batch_size=5))
    for _ in range(2):  # the second time, the algorithm is told of the first
        study.tell(study.ask(3), [1.0, 2.0, 3.0])
    with count_compiles() as compiles:
        for size in (1, 4, 7, 23):
            study.tell(study.ask(size), np.arange(size))
        study.tell(study.ask(), 1)
        _ = study.trials, study.best_trial
    assert compiles.total() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "up"}, "direction must be"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"resume": True}, "needs a storage"),
    ],
)
def test_bad_arguments_are_explained(make_study, options, message):
    with pytest.raises(ValueError, match=message):
        make_study(**options)


def test_seeds_differ_and_repeat(make_study):
    def first(seed):
        return make_study(seed=seed).ask(4)

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert first(2**32 - 1) == first(2**32 - 1)


def test_stop_needs_a_run(make_study):
    with pytest.raises(RuntimeError, match="none goes on"):
        make_study().stop()


def test_a_study_reads_well(make_study, space):
    study = make_study()
    study.run(FakeEngine(space), generations=1, progress=False)
    assert "8 trials, best 0.9" in repr(study)
    assert "maximize" in repr(study)
    assert repr(study.ask()).startswith("Trial(8: epochs=20, learning_rate=")
