"""Costs measured on the devices at hand: found, kept, told apart, and recorded."""

from __future__ import annotations

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

import evotune as et
from evotune._contracts import Binding
from evotune.engine import _calibrate, _experiments
from evotune.engine._arithmetic import count_epoch, count_work
from evotune.engine._calibrated import machine, path_of, store_costs, stored_costs
from evotune.engine._costs import ACCELERATOR, CPU, Costs, default_costs
from evotune.engine._devices import local_mesh
from evotune.engine._experiments import Measured, fitted, mlp, run
from evotune.engine._inputs import searched_inputs

OTHER = dataclasses.replace(
    CPU, compile_seconds=0.1, multiply_add_seconds=1e-9, window_seconds=2e-9
)
SPACE = et.Space(
    learning_rate=et.Float(1e-3, 1e-1, log=True),
    width=et.Int(4, 64, log=True),
    epochs=2,
    batch_size=20,
)
ALGORITHM = et.RandomSearch(batch_size=8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder of this test's own."""
    monkeypatch.setenv("EVOTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def task():
    return et.tasks.Classification(et.datasets.wine(), model=et.models.MLP(depth=1))


def planned(task, **options):
    return et.plan(task, SPACE, algorithm=ALGORITHM, n_trials=10_000, **options)


def result_of(steps, multiply_adds, windows, *, updates=0.0, compiling=1.0):
    """An experiment on a machine whose costs are known."""
    seconds = steps * 3e-5 + multiply_adds * 2e-11 + windows * 4e-9 + updates * 3e-9
    return Measured(
        compile_seconds=compiling,
        epoch_seconds=seconds,
        steps=steps,
        multiply_adds=multiply_adds,
        windows=windows,
        updates=updates,
    )


def test_the_fit_finds_the_costs_that_made_the_seconds():
    results = [
        result_of(20, 1e6, 0.0),
        result_of(20, 4e8, 0.0),
        result_of(20, 2e9, 0.0),
        result_of(20, 5e7, 3e6),
        result_of(20, 5e8, 8e6),
        result_of(80, 2e9, 0.0, updates=8e6),
    ]
    found = fitted(results)
    assert found == pytest.approx(
        {
            "step_seconds": 3e-5,
            "multiply_add_seconds": 2e-11,
            "window_seconds": 4e-9,
            "update_seconds": 3e-9,
        }
    )
    assert "window_seconds" not in fitted(results[:3])
    assert "update_seconds" not in fitted(results[:5])


def test_experiments_give_the_costs_that_they_show_and_no_others():
    results = {
        "fit step": result_of(20, 1e6, 0.0),
        "fit typical": result_of(20, 4e8, 0.0, compiling=3.0),
    }
    lanes = {"lanes 8": 8, "lanes 16": 16, "lanes 32": 32}
    few = _calibrate.measured_costs(results, lanes)
    assert few.keys() == {"step_seconds", "multiply_add_seconds", "compile_seconds"}
    assert few["compile_seconds"] == 3.0
    slow = dataclasses.replace(
        results["fit typical"],
        compile_seconds=2.0,
        epoch_seconds=1.5 * results["fit typical"].epoch_seconds,
    )
    swept = {  # 16 members are cheapest each, 32 cost a tenth more, 64 half more
        "lanes 8": 1.3,
        "lanes 16": 1.0,
        "lanes 32": 1.09,
        "lanes 64": 1.5,
    }
    lanes["lanes 64"] = 64
    results["fast"] = slow
    results |= {
        name: dataclasses.replace(slow, epoch_seconds=lanes[name] * seconds)
        for name, seconds in swept.items()
    }
    incomplete = {name: results[name] for name in [*results][:-1]}
    assert "max_lanes" not in _calibrate.measured_costs(incomplete, lanes)
    every = _calibrate.measured_costs(results, lanes)
    assert every["fast_slowdown"] == pytest.approx(1.5)
    assert every["fast_compile_seconds"] == 2.0
    assert every["max_lanes"] == 32


@pytest.mark.parametrize(("alone", "fewest"), [(1.2, 2), (0.8, 1)])
def test_members_train_in_pairs_where_that_takes_less_each(alone, fewest):
    pair = dataclasses.replace(result_of(20, 4e8, 0.0), epoch_seconds=2.0)
    results = {
        "fit wide": pair,
        "alone": dataclasses.replace(pair, epoch_seconds=alone),
    }
    found = _calibrate.measured_costs(results, {"fit wide": 2, "alone": 1})
    assert found["min_lanes"] == fewest


@pytest.mark.parametrize("costs", [CPU, ACCELERATOR, OTHER])
def test_costs_are_json_and_back(costs):
    text = json.dumps(costs.to_json(), allow_nan=False)
    assert Costs.from_json(json.loads(text)) == costs
    assert Costs.from_json({**costs.to_json(), "unknown": 1}) == costs


@pytest.mark.parametrize("wrong", ["fast", True, -1.0, float("nan")])
def test_costs_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match="step_seconds must be a number"):
        Costs.from_json({**CPU.to_json(), "step_seconds": wrong})
    with pytest.raises(ValueError, match="missing"):
        Costs.from_json({"step_seconds": 1.0})


def test_what_is_stored_is_what_later_plans_rest_on(task, folder):
    shipped = planned(task)
    assert shipped.costs == default_costs("cpu")
    assert "calibrated" not in str(shipped)
    path = store_costs(local_mesh(), OTHER)
    assert path is not None
    assert path.parent == folder / "calibration"
    plan = planned(task)
    assert plan.costs == OTHER == Costs.from_json(json.loads(plan.to_json())["costs"])
    assert f"calibrated, {OTHER.digest}" in str(plan)
    assert len(plan.programs) > len(shipped.programs)  # as compiling is cheap here
    path.unlink()
    assert planned(task).to_json() == shipped.to_json()


def test_another_machine_has_another_calibration(folder, monkeypatch):
    mesh = local_mesh()
    mine = store_costs(mesh, OTHER)
    known = machine(mesh)
    for name in ("device_kind", "devices", "processor", "cores", "jax", "jaxlib"):
        monkeypatch.setattr(
            "evotune.engine._calibrated.machine",
            lambda _, name=name: {**known, name: "other"},
        )
        assert path_of(mesh) != mine
        assert stored_costs(mesh) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"costs": 3}'])
def test_a_damaged_calibration_costs_a_warning(folder, content):
    mesh = local_mesh()
    path = store_costs(mesh, OTHER)
    if content == '{"costs": 3}':
        content = json.dumps({**machine(mesh), "costs": {"step_seconds": 3}})
    path.write_text(content)
    if content == "{}":  # of another machine, for all that it says
        assert stored_costs(mesh) is None
        return
    with pytest.warns(UserWarning, match="cannot be read.*calibrate"):
        assert stored_costs(mesh) is None


def test_a_study_goes_on_with_the_costs_it_began_with(task, folder, tmp_path):
    def tune(trials, name="study"):
        return et.tune(
            task,
            SPACE,
            algorithm=ALGORITHM,
            n_trials=trials,
            storage=tmp_path,
            study_name=name,
            resume=True,
            progress=False,
        )

    first = tune(8)
    store_costs(local_mesh(), OTHER)
    resumed = tune(16)
    assert resumed.plan.costs == first.plan.costs == CPU
    assert resumed.study.plan["costs"] == CPU.to_json()
    # A record of before there were costs in it was planned with the shipped ones.
    journal = tmp_path / "study" / "journal.jsonl"
    lines = []
    for line in journal.read_text().splitlines():
        event = json.loads(line)
        if isinstance(event.get("plan"), dict):
            del event["plan"]["costs"]
        lines.append(json.dumps(event))
    journal.write_text("\n".join(lines) + "\n")
    assert tune(16).plan.costs == CPU


def test_a_plan_for_other_devices_does_not_count(task, folder):
    plan = json.loads(planned(task).to_json())
    store_costs(local_mesh(), OTHER)
    engine = et.engine.Engine(task, SPACE, rows=8, recorded_plan=plan)
    assert engine.plan.costs == CPU
    plan["device_kind"] = "another"
    engine = et.engine.Engine(task, SPACE, rows=8, recorded_plan=plan)
    assert engine.plan.costs == OTHER


def test_calibrating_measures_stores_and_shows_itself(folder, monkeypatch, capsys):
    results = []

    def keep(*arguments):
        results.append(run(*arguments))
        return results[-1]

    monkeypatch.setattr(_calibrate, "run", keep)
    monkeypatch.setattr(
        _calibrate, "_cpu_experiments", lambda: {"fit typical": mlp(4, lanes=2)}
    )
    monkeypatch.setattr(_experiments, "_LEAST_SECONDS", 0.01)
    found = et.calibrate()
    assert "calibrating, 1 of 1: MLP 4-4, 2 a device" in capsys.readouterr().err
    assert stored_costs(local_mesh()) == found.measured != CPU
    (result,) = results
    assert found.measured.compile_seconds == result.compile_seconds
    assert result.compile_seconds > 0.05  # no cache has known the program
    assert result.steps == 20
    assert result.multiply_adds == 2 * (64 * 4 + 4 * 4 + 4 * 10) * 64 * (3 * 20 + 2)
    assert result.windows == 0.0
    assert 0 < result.epoch_seconds < 10
    assert "step_seconds" in found.missing  # one experiment alone cannot tell
    assert found.measured.step_seconds == CPU.step_seconds
    text = str(found)
    for word in ("2 cpu devices", str(found.path), "measured", "shipped", "a step"):
        assert word in text
    (row,) = (line for line in text.splitlines() if "at most" in line)
    assert row.split()[-2:] == ["-", "16"]


@pytest.mark.parametrize("kind", ["cpu", "accelerator"])
def test_the_experiments_of_a_kind_of_device_show_all_that_plans_weigh_there(kind):
    planned = getattr(_calibrate, f"_{kind}_experiments")()
    names = [experiment.name for experiment in planned.values()]
    assert len(set(names)) == len(names)
    results = {
        name: result_of(
            64 / experiment.batch_size * 20,
            1e6 * 4**k,
            1e5 * 2**k * ("cnn" in name),
            updates=64 / experiment.batch_size * 1e5 * 3**k,
        )
        for k, (name, experiment) in enumerate(planned.items())
    }
    lanes = {name: experiment.lanes for name, experiment in planned.items()}
    found = _calibrate.measured_costs(results, lanes)
    shipped = set()
    if kind != "cpu":
        shipped = {"fast_compile_seconds", "fast_slowdown", "min_lanes", "max_lanes"}
    assert CPU.to_json().keys() - found.keys() == shipped


def test_what_there_is_no_time_for_stays_as_shipped(monkeypatch, capsys):
    times = iter([0.0, 30.0, 61.0, 62.0])
    monkeypatch.setattr(_calibrate.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(_calibrate, "load", lambda: 1.2)
    monkeypatch.setattr(_calibrate, "cores", lambda: 2)
    one = result_of(20, 4e8, 0.0)
    monkeypatch.setattr(_calibrate, "run", lambda experiment, costs: one)
    found = et.calibrate(timeout=60.0, store=False)
    assert [line.split(": ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "calibrating, 1 of 12",
        "calibrating, 2 of 12",
    ]
    assert found.is_doubtful
    assert "a load of 1.2 on 2 cores. Measure again" in str(found)
    quiet = dataclasses.replace(found, load=0.9)
    assert "Measure again" not in str(quiet)
    assert not dataclasses.replace(found, load=None).is_doubtful
    assert {"fast_slowdown", "max_lanes"} < set(found.missing)
    assert found.measured.max_lanes == CPU.max_lanes
    assert found.measured.compile_seconds == one.compile_seconds


def test_where_nothing_is_kept_calibrating_says_so(monkeypatch):
    monkeypatch.setattr(_calibrate, "_cpu_experiments", dict)
    with pytest.warns(UserWarning, match="not stored.*EVOTUNE_CACHE is off"):
        assert et.calibrate().path is None
    assert "not stored" in str(et.calibrate(store=False))
    with pytest.raises(ValueError, match="timeout must be a positive"):
        et.calibrate(timeout=0.0)


@pytest.mark.parametrize(
    "model",
    [
        et.models.CNN(channels=6, depth=2, width=4, shape=(8, 8, 1)),
        et.models.ResNet(channels=6, stages=2, norm="none", shape=(8, 8, 1)),
    ],
)
def test_what_a_family_says_of_its_convolutions_is_what_is_traced(model):
    task = et.tasks.Classification(et.datasets.digits(), model=model)
    space = et.Space(learning_rate=et.Float(1e-3, 1e-1, log=True), batch_size=64)
    bindings = {"learning_rate": Binding.TRACED}
    epoch = count_epoch(task, space, searched_inputs(space, bindings), {})
    # Rows beyond the last whole batch are not trained on; inputs have no gradient.
    assert epoch.work.multiply_adds == pytest.approx(task.multiply_adds({}), rel=0.15)
    assert epoch.work.windows == pytest.approx(task.window_elements({}), rel=0.15)
    assert epoch.evaluation == pytest.approx(task.evaluation_share({}), rel=0.15)


def test_convolutions_cost_more_where_windows_cost_something():
    task = et.tasks.Classification(
        et.datasets.digits(), model=et.models.CNN(channels=4, shape=(8, 8, 1))
    )
    space = et.Space(learning_rate=et.Float(1e-3, 1e-1, log=True))

    def seconds(costs):
        engine = et.engine.Engine(task, space, rows=16, costs=costs, trainings=9_999)
        return engine.plan.programs[0].seconds

    dear = dataclasses.replace(CPU, window_seconds=1e-9)
    assert seconds(dear) > 1.5 * seconds(CPU)
    assert CPU.dense(7.0, 1e9) == 7.0
    work = count_work(jnp.dot, np.ones((2, 3)), np.ones((3, 5)))
    assert work.multiply_adds == 30.0
    assert work.windows == 0.0
