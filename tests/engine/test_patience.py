"""Members that no longer improve end their training, and only they."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evotune as et
from evotune import datasets, models
from evotune._contracts import Status, fresh
from evotune.engine import Engine
from evotune.space import Float, Int, Space
from evotune.tasks import Classification, Task
from tests.engine.test_parity import collect_all


class Scripted(Task):
    """Its objective falls until epoch ``hp.turn``, then rises again."""

    metric, direction = "height", "minimize"
    epochs, steps_per_epoch = 12, 1

    def init(self):
        return jnp.zeros(())

    def step(self, state):
        return state + 1.0

    def evaluate(self, hp, state):
        return {"height": jnp.abs(state - hp.turn)}


def first_stop(curve, patience, min_delta, sign):
    """Epochs that a member runs, by the rule in plain Python."""
    best, waited = -np.inf, 0
    for index, value in enumerate(sign * np.asarray(curve, np.float32)):
        if value > np.float32(best + min_delta):
            best, waited = value, 0
        else:
            waited += 1
        if waited >= patience:
            return index + 1
    return len(curve)


def outcomes(engine):
    """{trial: (status, spent, curve_len, curve)} of everything pending."""
    found = {}
    while engine.pending:
        outcome = engine.collect().outcome
        for row in np.flatnonzero(outcome.trial >= 0):
            found[int(outcome.trial[row])] = (
                outcome.status[row],
                outcome.spent[row],
                outcome.curve_len[row],
                outcome.curve[row],
            )
    return found


SPACE = Space(turn=Float(0.0, 12.0), patience=Int(1, 6), min_delta=0.5)


@pytest.mark.parametrize("value", ["last", "best"])
def test_members_stop_when_they_have_waited_long_enough(value):
    configs = [
        {"turn": 4.0, "patience": 2},
        {"turn": 4.0, "patience": 5},
        {"turn": 12.0, "patience": 1},
        {"turn": 1.0, "patience": 1},
    ]
    engine = Engine(Scripted(), SPACE, rows=4, value=value)
    engine.submit(fresh(SPACE.encode(configs), np.arange(4)))
    found = collect_all(engine)
    for trial, epochs in enumerate((6, 9, 12, 2)):
        got, curves, length, state = found[trial]
        turn = configs[trial]["turn"]
        expected = np.abs(np.arange(1, 13) - turn)
        assert length == epochs
        np.testing.assert_allclose(curves["height"][:epochs], expected[:epochs])
        assert np.all(np.isnan(curves["height"][epochs:]))
        end = min(turn, epochs) if value == "best" else epochs
        assert float(state) == end
        assert got == pytest.approx(abs(end - turn))


def test_a_stopped_member_is_complete_and_has_spent_its_epochs():
    engine = Engine(Scripted(), SPACE, rows=2)
    configs = [{"turn": 2.0, "patience": 3}, {"turn": 11.0, "patience": 3}]
    engine.submit(fresh(SPACE.encode(configs), np.arange(2)))
    found = outcomes(engine)
    for trial, epochs in enumerate((5, 12)):
        status, spent, length, curve = found[trial]
        assert (status, spent, length) == (Status.COMPLETE, epochs, epochs)
        assert np.all(curve[epochs:] == 0.0)


def test_nothing_runs_once_all_have_stopped():
    seen = []

    class Watched(Scripted):
        def evaluate(self, hp, state):
            jax.debug.callback(lambda epoch: seen.append(float(epoch)), state)
            return super().evaluate(hp, state)

    space = Space(turn=Float(0.0, 12.0), patience=2)
    engine = Engine(Watched(), space, rows=2)
    engine.submit(fresh(space.encode([{"turn": 3.0}, {"turn": 4.0}]), np.arange(2)))
    collect_all(engine)
    jax.effects_barrier()
    assert max(seen) <= 6.0


def test_members_ask_no_other_device_whether_all_have_stopped():
    engine = Engine(Scripted(), SPACE, rows=4)
    assert engine.plan.devices == 2
    text = engine._programs[0].train.lower(Scripted().data()).as_text()
    assert "while" in text
    for word in ("all_reduce", "all_gather", "all_to_all", "collective_permute"):
        assert word not in text


def test_patience_and_own_number_of_epochs_go_together():
    space = Space(turn=Float(0.0, 12.0), patience=3, epochs=Int(1, 12))
    configs = [
        {"turn": 2.0, "epochs": 12},
        {"turn": 2.0, "epochs": 4},
        {"turn": 9.0, "epochs": 7},
    ]
    engine = Engine(Scripted(), space, rows=3)
    engine.submit(fresh(space.encode(configs), np.arange(3)))
    found = collect_all(engine)
    assert [found[trial][2] for trial in range(3)] == [5, 4, 7]
    assert [float(found[trial][3]) for trial in range(3)] == [5.0, 4.0, 7.0]


def test_a_member_that_diverges_while_it_waits_has_diverged():
    class Breaks(Scripted):
        def evaluate(self, hp, state):
            return {"height": jnp.where(state > hp.turn, jnp.nan, 10.0 - state)}

    space = Space(turn=Float(0.0, 20.0), patience=2)
    engine = Engine(Breaks(), space, rows=2)
    engine.submit(fresh(space.encode([{"turn": 3.0}, {"turn": 20.0}]), np.arange(2)))
    found = outcomes(engine)
    assert found[0][:3] == (Status.DIVERGED, 3, 3)
    assert found[1][:3] == (Status.COMPLETE, 12, 12)


@pytest.fixture(scope="module")
def wine():
    return Classification(datasets.wine(), model=models.MLP(width=8, depth=1))


RATES = Float(1e-3, 0.3, log=True)


def test_networks_stop_as_the_rule_says_of_their_whole_curve(wine):
    whole = Space(learning_rate=RATES, epochs=12)
    x = np.random.default_rng(0).random((4, 1)).astype(np.float32)
    engine = Engine(wine, whole, rows=4)
    engine.submit(fresh(x, np.arange(4)))
    expected = collect_all(engine)
    space = Space(learning_rate=RATES, epochs=12, patience=Int(1, 4), min_delta=0.01)
    patience = np.asarray([1, 2, 3, 4])
    rows = [
        {**params, "patience": int(n)}
        for params, n in zip(whole.params(x), patience, strict=True)
    ]
    engine = Engine(wine, space, rows=4)
    engine.submit(fresh(space.encode(rows), np.arange(4)))
    found = collect_all(engine)
    lengths = []
    for trial in range(4):
        curve = expected[trial][1]["val_accuracy"]
        length = first_stop(curve, patience[trial], 0.01, 1.0)
        assert found[trial][2] == length
        for name, values in found[trial][1].items():
            np.testing.assert_allclose(
                values[:length], expected[trial][1][name][:length], rtol=1e-3
            )
        assert found[trial][0] == pytest.approx(curve[length - 1], abs=1e-6)
        lengths.append(length)
    assert min(lengths) < 12


def test_curves_of_trials_end_there_and_resuming_gives_the_same(wine, tmp_path):
    space = Space(learning_rate=RATES, epochs=8, patience=Int(1, 3))

    def evolve(**options):
        algorithm = et.GeneticAlgorithm(population_size=4, surrogate=None)
        return et.tune(wine, space, algorithm=algorithm, progress=False, **options)

    def of(result):
        return [(t.value, t.params, len(t.curves["val_loss"])) for t in result.trials]

    one = evolve(generations=2)
    assert {trial.state for trial in one.trials} == {et.TrialState.COMPLETE}
    assert min(length for *_, length in of(one)) < 8
    evolve(n_trials=3, storage=tmp_path)
    resumed = evolve(generations=2, storage=tmp_path, resume=True)
    assert of(resumed) == of(one)
    frame = resumed.trials_dataframe()
    assert len(frame) == 8
    assert resumed.best_model().predict(wine.splits.test.x).shape[1] == 3
