"""Where the time went: seconds, lanes, operations, and the plan's own figures."""

from __future__ import annotations

import math

import evotune as et
from evotune.engine._peak import peak_flops


def tuned(**changes):
    task = et.tasks.Classification(et.datasets.wine(), model=et.models.MLP())
    space = et.Space(
        learning_rate=et.Float(1e-3, 1e-1, log=True),
        width=16,
        depth=1,
        epochs=3,
        batch_size=20,
    )
    algorithm = et.RandomSearch(batch_size=16)
    return task, et.tune(
        task, space, algorithm=algorithm, n_trials=32, progress=False, **changes
    )


def test_seconds_add_up_and_operations_are_counted(capsys):
    task, result = tuned()
    profile = result.profile
    (program,) = profile.programs
    assert program.finished == 32
    assert program.member_epochs == 32 * 3
    assert program.lane_epochs == program.blocks * program.spec.lanes * 3
    assert profile.utilisation == 32 / (program.blocks * program.spec.lanes)
    assert 0 < program.seconds == profile.train_seconds < profile.total_seconds
    assert profile.compile_seconds == result.seconds["compile"]
    expected = max(
        profile.total_seconds - profile.compile_seconds - profile.train_seconds, 0.0
    )
    assert profile.host_seconds == expected
    hp = {**result.best_params, "width": 16, "depth": 1, "batch_size": 20, "epochs": 3}
    work = task.multiply_adds(hp)
    assert program.spec.epoch_work == work
    assert program.flops == 2 * work * program.lane_epochs / program.seconds
    assert program.flops < peak_flops()
    text = str(profile)
    for word in ("compiling", "training", "host", "lanes used", program.spec.name):
        assert word in text
    capsys.readouterr()


def test_the_last_line_of_a_run_names_the_lanes_used(capsys):
    task = et.tasks.Function(lambda hp: hp.x**2)
    et.tune(task, et.Space(x=et.Float(-1.0, 1.0)), generations=2)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "trainings/s on 100% of the lanes" in last


def test_before_anything_ran_nothing_is_known():
    _, result = tuned()
    profile = type(result.profile)(result.plan.programs)
    assert math.isnan(profile.utilisation)
    assert math.isnan(profile.members_per_second)
    assert profile.train_seconds == 0.0
