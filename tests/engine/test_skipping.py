"""Layers that no member of a block needs are passed by, and nobody can tell."""

import dataclasses

import jax
import numpy as np
import pytest

from evotune import datasets, models
from evotune._contracts import fresh as jax_fresh
from evotune.engine import Engine, _engine
from evotune.engine._costs import CPU
from evotune.space import Categorical, Float, Int, Space
from evotune.tasks import Classification
from tests.engine.test_parity import collect_all

FAMILIES = {
    "mlp": (models.MLP(width=6, norm="batch", residual=True), {"dropout": 0.3}),
    "cnn": (models.CNN(channels=2, width=4, norm="batch"), {"dropout": 0.3}),
    "resnet": (models.ResNet(channels=2, stages=1), {"drop_path": 0.4}),
    "rnn": (models.RNN(width=4, patch=16, norm="layer"), {"dropout": 0.3}),
    "transformer": (
        models.Transformer(width=4, heads=1, head_size=4, patch=4),
        {"dropout": 0.3, "drop_path": 0.2},
    ),
}


def fresh(x, trials):
    """A proposal of fresh members, in numpy."""
    proposal = jax_fresh(np.asarray(x, np.float32), np.asarray(trials, np.int32))
    return jax.tree.map(np.asarray, proposal)


def branches(engine):
    return engine._programs[0].train.lower(engine.task.data()).as_text().count(".case")


@pytest.fixture(params=FAMILIES)
def engine(request, monkeypatch):
    """One program with two lanes a device."""
    costs = dataclasses.replace(CPU, max_lanes=2)
    monkeypatch.setattr(_engine, "default_costs", lambda _: costs)
    model, constants = FAMILIES[request.param]
    space = Space(
        learning_rate=Float(1e-3, 1e-2, log=True),
        depth=Int(1, 3),
        optimizer=Categorical(["adamw", "momentum"]),
        gradient_clip=1.0,
        batch_size=256,
        epochs=2,
        **constants,
    )
    task = Classification(datasets.digits(), model=model)
    return Engine(task, space, rows=4, trainings=1000)


def test_a_member_has_the_same_bits_among_shallow_and_among_deep_ones(engine):
    (spec,) = engine.plan.programs
    assert spec.lanes == 4
    assert spec.capacity == {"depth": 3}
    assert branches(engine) >= 2 * 3  # layers; forward, backward and evaluation
    depths = [1, 2, 3, 1]
    params = [
        {"learning_rate": 5e-3, "depth": depth, "optimizer": optimizer}
        for depth, optimizer in zip(depths, ["adamw", "momentum"] * 2, strict=True)
    ]
    x = engine.space.encode(params)
    engine.submit(fresh(x, range(4)))
    together = collect_all(engine)
    for trial in range(4):
        rows = np.full(4, -1)
        rows[0] = trial
        engine.submit(fresh(np.stack([x[trial]] * 4), rows))
        alone = collect_all(engine)[trial]
        assert np.isfinite(alone[0])
        assert alone[0] == together[trial][0]
        for a, b in zip(
            jax.tree.leaves(alone[3]), jax.tree.leaves(together[trial][3]), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_a_depth_that_all_share_is_compiled_without_branches():
    task = Classification(datasets.digits(), model=models.MLP(width=4))
    rate = Float(1e-3, 1e-2)
    searched = Engine(task, Space(learning_rate=rate, depth=Int(1, 3)), rows=4)
    fixed = Engine(task, Space(learning_rate=rate, depth=3), rows=4)
    assert branches(searched) > 0
    assert branches(fixed) == 0


def test_blocks_are_of_like_depth_and_programs_are_not_cut_by_it():
    task = Classification(datasets.digits(), model=models.MLP())
    space = Space(width=Int(64, 65), depth=Int(1, 4), epochs=Int(1, 40), batch_size=64)
    engine = Engine(task, space, rows=64, trainings=100_000)
    assert {spec.capacity["depth"] for spec in engine.plan.programs} == {4}
    x = np.random.default_rng(0).random((64, 3)).astype(np.float32)
    jobs = engine._intake.jobs(fresh(x, range(64)), None)
    schedule = engine._session._schedule
    schedule.lanes = [8 for _ in schedule.lanes]
    schedule.add(jobs)
    computed = needed = 0
    while (block := schedule.next()) is not None:
        computed += len(block.jobs) * max(job.values["depth"] for job in block.jobs)
        needed += sum(job.values["depth"] for job in block.jobs)
    assert computed <= 1.15 * needed
