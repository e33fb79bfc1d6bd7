"""The host loop: budgets, stopping, divergence, and what it costs."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from evotune._errors import AllDivergedError
from evotune.study import TrialState
from tests.study.fakes import POINTS, FakeEngine, MiniSearch, checksum, facts


def numbers(study, state=TrialState.COMPLETE):
    return [trial.number for trial in study.trials if trial.state is state]


def test_a_run_needs_a_budget(make_study, space):
    with pytest.raises(ValueError, match="needs a budget"):
        make_study().run(FakeEngine(space), progress=False)
    with pytest.raises(ValueError, match="has 2 problems"):
        make_study().run(FakeEngine(space), generations=0, timeout=-1, progress=False)
    with pytest.raises(ValueError, match="n_trials must be an integer"):
        make_study().run(FakeEngine(space), n_trials=2.5, progress=False)


def test_generations_count_proposals(make_study, space):
    study = make_study()
    study.run(FakeEngine(space), generations=3, progress=False)
    assert numbers(study) == list(range(24))
    assert study.stopped_by == "generations"
    assert [t.generation for t in study.trials] == [n // 8 for n in range(24)]
    study.run(FakeEngine(space), generations=3, progress=False)
    assert len(study) == 24, "generations are those of the whole study"


def test_n_trials_cuts_the_last_generation(make_study, space):
    study, whole = make_study(), make_study()
    study.run(FakeEngine(space), n_trials=19, progress=False)
    assert numbers(study) == list(range(19))
    assert study.stopped_by == "n_trials"
    study.run(FakeEngine(space), n_trials=29, generations=3, progress=False)
    assert study.stopped_by == "generations"
    whole.run(FakeEngine(space), generations=3, progress=False)
    assert facts(study) == facts(whole), "the rest of the generation was kept"


def test_an_algorithm_may_finish(make_study, space):
    study = make_study(algorithm=MiniSearch(limit=13))
    study.run(FakeEngine(space), generations=100, progress=False)
    assert len(study) == 13
    assert study.stopped_by == "algorithm"


def test_timeout_drops_what_has_not_started(make_study, space):
    study = make_study()
    engine = FakeEngine(space, lanes=1, pause=0.03)
    start = time.monotonic()
    study.run(engine, timeout=0.1, progress=False)
    assert time.monotonic() - start < 5.0
    assert study.stopped_by == "timeout"
    assert numbers(study, TrialState.WAITING)
    assert engine.pending == 0
    whole = make_study()
    study.run(FakeEngine(space, lanes=1), generations=3, progress=False)
    whole.run(FakeEngine(space, lanes=1), generations=3, progress=False)
    assert numbers(study) == list(range(24))
    assert [fact[:4] for fact in facts(study)] == [fact[:4] for fact in facts(whole)]


def test_outcomes_are_recorded_with_curves_and_signs(make_study, space):
    for direction in ("maximize", "minimize"):
        study = make_study(direction=direction)
        engine = FakeEngine(space, direction=direction)
        study.run(engine, generations=2, progress=False)
        sign = 1 if direction == "maximize" else -1
        values = [trial.value for trial in study.trials]
        assert study.best_value == (max if sign > 0 else min)(values)
        assert study.metric == "val_accuracy"
        for trial in study.trials:
            curve = trial.curves["val_accuracy"]
            assert len(curve) in (POINTS, POINTS - 2)
            assert float(curve[-1]) == trial.value
            assert trial.curves["train_loss"].dtype == np.float32
            assert trial.duration.total_seconds() >= 0
        assert float(study._ledger.search.state().best) == sign * study.best_value


def test_diverged_members_harm_nobody(make_study, space):
    study = make_study()
    study.run(FakeEngine(space, diverge=0.6), generations=3, progress=False)
    failed = [t for t in study.trials if t.state is TrialState.FAIL]
    assert 0 < len(failed) < 24
    assert all(t.value is None for t in failed)
    assert all(t.system_attrs == {"status": "diverged"} for t in failed)
    assert np.isnan(failed[0].curves["val_accuracy"]).all()


def test_an_all_diverged_generation_is_an_error_that_loses_nothing(make_study, space):
    study = make_study(stored=True)
    with pytest.raises(AllDivergedError, match=r"learning_rate was too high.*resumed"):
        study.run(FakeEngine(space, diverge=-1.0), generations=3, progress=False)
    assert numbers(study, TrialState.FAIL) == list(range(8))
    study.close()
    again = make_study(stored=True, resume=True)
    assert facts(again) == facts(study)
    again.run(FakeEngine(space), generations=2, progress=False)
    assert len(again) == 16


def test_a_single_diverged_member_is_no_all_diverged_generation(make_study, space):
    study = make_study(algorithm=MiniSearch(batch_size=1))
    study.run(FakeEngine(space, rows=1, diverge=-1.0), generations=3, progress=False)
    assert numbers(study, TrialState.FAIL) == [0, 1, 2]


def test_callbacks_see_every_trial_and_can_stop(make_study, space):
    study, seen = make_study(), []

    def callback(same, trial):
        assert same is study
        seen.append(trial)
        if len(seen) == 10:
            same.stop()

    study.run(FakeEngine(space), generations=9, callbacks=[callback], progress=False)
    assert study.stopped_by == "stop"
    assert 10 <= len(seen) < 16
    assert {t.number for t in seen} == set(numbers(study))
    assert all(trial.state is TrialState.COMPLETE for trial in seen)


def test_a_callback_that_raises_loses_nothing(make_study, space):
    study = make_study(stored=True)

    def callback(_, trial):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        study.run(
            FakeEngine(space), generations=9, callbacks=[callback], progress=False
        )
    study.run(FakeEngine(space), generations=1, progress=False)
    assert numbers(study) == list(range(8))


@pytest.fixture
def listens_to_ctrl_c():
    """Python's own handler, which a shell's background job starts without."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("listens_to_ctrl_c")
def test_ctrl_c_returns_what_there_is(make_study, space):
    study, whole = make_study(stored=True), make_study()
    before = signal.getsignal(signal.SIGINT)

    presses = []

    def press(_, trial):
        if trial.generation == 1 and not presses:
            presses.append(os.kill(os.getpid(), signal.SIGINT))

    engine = FakeEngine(space, lanes=8)
    study.run(engine, generations=5, callbacks=[press], progress=False)
    assert study.stopped_by == "interrupt"
    assert signal.getsignal(signal.SIGINT) is before
    assert 8 < len(numbers(study)) <= 16
    study.close()
    again = make_study(stored=True, resume=True)
    again.run(FakeEngine(space, lanes=8), generations=5, progress=False)
    whole.run(FakeEngine(space, lanes=8), generations=5, progress=False)
    assert facts(again) == facts(whole)
    assert checksum(again) == checksum(whole)


@pytest.mark.usefixtures("listens_to_ctrl_c")
def test_a_second_ctrl_c_raises(make_study, space):
    study = make_study()

    def press(_, trial):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        study.run(FakeEngine(space), generations=5, callbacks=[press], progress=False)
    study.run(FakeEngine(space), generations=1, progress=False)
    assert len(numbers(study)) == 8


def test_a_keyboard_interrupt_of_another_kind_stops_too(make_study, space):
    study, engine = make_study(), FakeEngine(space)
    collect = engine.collect

    def interrupted():
        if len(engine.collected) > 9:
            raise KeyboardInterrupt
        return collect()

    engine.collect = interrupted
    study.run(engine, generations=5, progress=False)
    assert study.stopped_by == "interrupt"
    assert len(numbers(study)) > 8


def test_trials_asked_by_hand_are_left_to_the_hand(make_study, space):
    study, engine = make_study(), FakeEngine(space)
    mine = study.ask(2)
    study.run(engine, generations=1, progress=False)
    study.run(engine, generations=2, progress=False)
    assert engine.submitted == list(range(2, 16))
    assert numbers(study, TrialState.RUNNING) == [0, 1]
    study.tell(mine, [0.1, 0.2])


def test_enqueued_trials_are_trained_first(make_study, space):
    study = make_study()
    params = {"learning_rate": 0.002, "width": 33, "activation": "tanh"}
    study.enqueue_trial(params)
    study.run(FakeEngine(space), generations=1, progress=False)
    assert study.trials[0].params == params


def test_after_the_first_generation_nothing_compiles(make_study, space, count_compiles):
    study, engine = make_study(stored=True), FakeEngine(space, diverge=0.9)
    with count_compiles() as first:
        study.run(engine, generations=1, progress=False)
    assert set(first) <= {"_search_init", "_search_ask", "_search_tell"}
    with count_compiles() as later:
        study.run(engine, generations=6, progress=False, callbacks=[lambda *_: None])
        study.enqueue_trial({"width": 20})
        study.run(engine, n_trials=53, progress=False)
        _ = study.trials, study.best_trial
    assert later.total() == 0
    with count_compiles() as other:
        make_study(seed=5).run(FakeEngine(space), generations=2, progress=False)
    assert other.total() == 0, "another study of the same shape compiles nothing"


def test_engines_that_do_not_fit_are_refused(make_study, space):
    study = make_study()
    with pytest.raises(ValueError, match="as many rows"):
        study.run(FakeEngine(space, rows=4), generations=1, progress=False)
    with pytest.raises(ValueError, match="one direction"):
        study.run(
            FakeEngine(space, direction="minimize"), generations=1, progress=False
        )
    study.run(FakeEngine(space), generations=1, progress=False)
    other = FakeEngine(space)
    other.metric = "val_loss"
    with pytest.raises(ValueError, match="one metric"):
        study.run(other, generations=2, progress=False)


def test_the_state_of_the_best_trial_is_kept(make_study, space):
    study, engine = make_study(), FakeEngine(space)
    study.run(engine, generations=4, progress=False)
    state = study.best_state(engine)
    assert int(state["step"]) == study.best_trial.number
    np.testing.assert_array_equal(
        state["params"]["w"], study.coordinates(study.best_trial.number)
    )
    assert len(engine.members) < 16, "only improvements are fetched"


def test_the_loop_fits_on_one_screen():
    import inspect

    from evotune.study import _run

    assert len(inspect.getsource(_run.run).splitlines()) <= 52


def test_host_overhead_of_a_generation_is_small(space, make_study):
    study = make_study(algorithm=MiniSearch(batch_size=64))
    engine = FakeEngine(space, rows=64, lanes=16)
    study.run(engine, generations=2, progress=False)
    best = min(_seconds(study, engine, 2 + 3 * (turn + 1)) for turn in range(5))
    assert best / 3 < 0.050, f"{best / 3:.4f} s a generation, fake engine included"


def _seconds(study, engine, generations):
    start = time.process_time()
    study.run(engine, generations=generations, progress=False)
    return time.process_time() - start
