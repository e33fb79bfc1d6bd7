"""Running out of memory: half the lanes, and the same results."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest

import evotune as et
from evotune._contracts import fresh
from evotune._errors import EvotuneError
from evotune.engine import Engine, _engine, _memory
from evotune.engine._execution import Execution
from evotune.engine._program import Program
from tests.engine.test_parity import collect_all
from tests.engine.test_pool import propose

SPACE = et.Space(
    learning_rate=et.Float(1e-3, 1e-1, log=True), width=8, epochs=4, batch_size=20
)
X = np.random.default_rng(0).random((12, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def task():
    return et.tasks.Classification(et.datasets.wine(), model=et.models.MLP(depth=1))


@pytest.fixture(scope="module")
def expected(task):
    engine = Engine(task, SPACE, rows=12)
    engine.submit(fresh(X, np.arange(12)))
    return collect_all(engine)


@pytest.fixture
def out_of_memory(monkeypatch):
    """A device that holds so many members at most."""

    def limit(most):
        train = Execution.__call__

        def limited(self, block):
            if self._programs[block.program].spec.lanes > most:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
            return train(self, block)

        monkeypatch.setattr(Execution, "__call__", limited)

    return limit


def same(found, expected):
    for trial, (value, curves, length, _) in expected.items():
        assert found[trial][0] == pytest.approx(value, rel=1e-4)
        assert found[trial][2] == length
        for name, curve in curves.items():
            np.testing.assert_allclose(found[trial][1][name], curve, rtol=1e-4)


def test_lanes_are_halved_until_they_fit_and_nothing_is_lost(
    task, expected, out_of_memory
):
    out_of_memory(4)
    told = []
    engine = Engine(task, SPACE, rows=12, on_event=told.append)
    assert engine.plan.programs[0].lanes == 12
    engine.submit(fresh(X, np.arange(12)))
    assert engine.pending == 12
    same(collect_all(engine), expected)
    assert engine.plan.programs[0].lanes == 2 * (12 // 2 // 2 // 2)
    messages = [line for line in told if "out of memory" in line]
    assert [line.split(" lanes")[0].split()[-1] for line in messages] == ["6", "2"]
    assert engine.profile.programs[0].member_epochs == 12 * 4


def test_states_from_before_are_continued(task, expected, out_of_memory):
    engine = Engine(task, SPACE, rows=12)
    slots = np.arange(12)
    engine.submit(propose(X, slots, slot=slots, until=2))
    collect_all(engine)
    out_of_memory(6)
    engine.submit(propose(X, slots, source=slots))
    same(collect_all(engine), expected)


def test_one_member_a_device_is_the_end(task, out_of_memory):
    out_of_memory(0)
    engine = Engine(task, SPACE, rows=4)
    engine.submit(fresh(X[:4], np.arange(4)))
    with pytest.raises(EvotuneError, match=r"at least one member.*Lower batch_size"):
        engine.collect()


def test_another_error_is_not_mistaken_for_it(task, monkeypatch):
    def fails(self, block):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(Execution, "__call__", fails)
    engine = Engine(task, SPACE, rows=4)
    engine.submit(fresh(X[:4], np.arange(4)))
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        engine.collect()


def test_programs_are_made_to_fit_before_they_run(task, expected, monkeypatch):
    engine = Engine(task, SPACE, rows=12)
    engine._session.preparation.finish(gather=False)
    stats = engine._programs[0].train.compiled.memory_analysis()
    needed = stats.argument_size_in_bytes + stats.temp_size_in_bytes
    monkeypatch.setattr(_memory, "device_bytes", lambda _: 0.8 * needed)
    engine.submit(fresh(X, np.arange(12)))
    assert engine.plan.programs[0].lanes < 12
    same(collect_all(engine), expected)


def test_a_study_records_the_plan_it_went_on_with(task, out_of_memory, tmp_path):
    out_of_memory(4)
    result = et.tune(
        task,
        SPACE,
        algorithm=et.RandomSearch(batch_size=12),
        n_trials=12,
        storage=tmp_path,
        progress=False,
    )
    assert len(result.trials) == 12
    journal = (tmp_path / "study" / "journal.jsonl").read_text()
    recorded = [line for line in journal.splitlines() if '"plan"' in line]
    assert '"lanes": 12' in recorded[0].replace('":', '": ').replace(":  ", ": ")
    assert '"lanes": 2' in recorded[-1].replace('":', '": ').replace(":  ", ": ")


def test_the_shipped_limits_are_those_of_the_devices():
    mesh = _engine.local_mesh()
    assert 2**28 < _memory.device_bytes(mesh) < 2**50
    spec = Engine(
        et.tasks.Function(lambda hp: hp.x), et.Space(x=et.Float(0, 1)), rows=8
    )
    lanes = spec.plan.programs[0].lanes
    smaller = _memory.halved(spec.plan.programs[0], mesh.size)
    assert smaller == dataclasses.replace(spec.plan.programs[0], lanes=lanes // 2)


@pytest.mark.parametrize("value", ["last", "best"])
def test_the_plan_says_what_a_member_and_the_data_take(task, value, monkeypatch):
    engine = Engine(task, SPACE, rows=12, value=value)
    (program,) = engine.whole_plan().programs
    weights = 13 * 8 + 8 + 8 * 3 + 3
    state = 4 * (3 * weights + 1)  # Adam has two moments, and a count
    curves = 4 * 4 * (1 + 3)  # sound, train_loss, val_loss, val_accuracy
    best = state + 4 + 1 if value == "best" else 0
    assert program.member_bytes == state + curves + best
    engine.submit(fresh(X, np.arange(12)))
    block = engine._session._running[0][1].result()
    found = sum(leaf.nbytes for leaf in jax.tree.leaves(block))
    assert found == program.lanes * program.member_bytes
    monkeypatch.setattr(Program, "member", None)  # each is looked at once a task
    plan = Engine(task, SPACE, rows=12, value=value).whole_plan()
    assert plan.programs == engine.whole_plan().programs
    assert plan.data_bytes == sum(x.nbytes for x in jax.tree.leaves(task.data()))
    assert plan.device_bytes == _memory.device_bytes(engine._mesh)


def test_lanes_on_accelerators_are_planned_by_memory(task, expected, monkeypatch):
    monkeypatch.setattr(_engine, "shares_host_memory", lambda _: False)
    free = Engine(task, SPACE, rows=12)
    (program,), data = free.plan.programs, free.plan.data_bytes
    assert program.lanes == 12

    def device_with_room_for(members):
        room = _memory._COPIES * members * program.member_bytes + data
        monkeypatch.setattr(_engine, "known_bytes", lambda _: room / _memory._SHARE)
        return Engine(task, SPACE, rows=12)

    assert device_with_room_for(7).plan.programs[0].lanes == 12
    assert device_with_room_for(0.1).plan.programs[0].lanes == 2  # one a device
    engine = device_with_room_for(4.5)
    assert engine.plan.programs[0].lanes == 8
    assert engine.plan.programs[0].member_bytes == program.member_bytes
    engine.submit(fresh(X, np.arange(12)))
    same(collect_all(engine), expected)
    recorded = json.loads(engine.plan.to_json())
    device_with_room_for(7)
    again = Engine(task, SPACE, rows=12, recorded_plan=recorded)
    assert again.plan == engine.plan
    monkeypatch.setattr(_engine, "known_bytes", lambda _: None)
    unknown = Engine(task, SPACE, rows=12)
    assert unknown.plan.programs[0].lanes == 12
    assert "memory" not in str(unknown.plan)
