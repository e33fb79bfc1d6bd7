"""Where the time went: seconds, lanes, operations, and the plan's own figures."""

from __future__ import annotations

import dataclasses
import math
import time

import jax
import pytest

import evotune as et
from evotune.engine._peak import peak_flops
from evotune.engine._profile import Profile
from evotune.engine._shares import Shares, shares_of


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
    shares = profile.shares()
    assert profile.host_seconds == shares.host * profile.total_seconds > 0
    parts = shares.compile + shares.train + shares.evaluate + shares.search
    assert parts + shares.host == pytest.approx(1.0)
    ran = profile.train_seconds / profile.total_seconds
    assert shares.train + shares.evaluate == pytest.approx(ran)
    assert shares.idle == pytest.approx(1.0 - ran)
    evaluation = task.evaluation_share({})
    assert shares.evaluate == pytest.approx(evaluation * ran)
    assert 0 < shares.compile * profile.total_seconds <= profile.compile_seconds
    hp = {**result.best_params, "width": 16, "depth": 1, "batch_size": 20, "epochs": 3}
    work = task.multiply_adds(hp)
    assert program.spec.epoch_work == work
    assert program.flops == 2 * work * program.lane_epochs / program.seconds
    assert program.flops < peak_flops()
    text = str(profile)
    words = ("compiling", "training", "lanes used", program.spec.name, str(shares))
    for word in words:
        assert word in text
    capsys.readouterr()


def test_the_last_line_of_a_run_names_the_lanes_used(capsys):
    task = et.tasks.Function(lambda hp: hp.x**2)
    et.tune(task, et.Space(x=et.Float(-1.0, 1.0)), generations=2)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "trainings/s on 100% of the lanes; devices " in last
    assert "% train, " in last  # what a function computes is not known
    assert "% idle: " in last


def test_what_the_search_takes_is_counted_by_what_it_did():
    _, result = tuned()
    cost = result.profile.search
    assert cost.proposals == 2
    assert cost.seconds == cost.ask + cost.tell == result.seconds["search"]
    assert min(cost.ask, cost.tell) > 0.0
    shares = result.profile.shares()
    assert 0.0 < shares.search * result.seconds["total"] <= cost.seconds
    # It begins; what is under way and what has come is told when it is asked again.
    assert len(cost.spans) == cost.proposals + 1 + 2
    assert str(cost) in str(result.profile)
    assert "a proposal" in str(cost)


def test_a_slow_search_is_seen_as_such():
    class Slow(et.RandomSearch):
        def ask(self, key, state):
            proposal = super().ask(key, state)
            x = jax.pure_callback(_wait, proposal.x, proposal.x)
            return dataclasses.replace(proposal, x=x)

    task = et.tasks.Function(lambda hp: hp.x**2)
    space = et.Space(x=et.Float(-1.0, 1.0))
    slow = Slow(batch_size=4)
    result = et.tune(task, space, algorithm=slow, generations=3, progress=False)
    cost = result.profile.search
    assert 3 * PAUSE <= cost.ask < result.seconds["total"]
    assert cost.tell < cost.ask
    assert cost.compile < result.seconds["total"] - cost.seconds
    # The first is asked while the programs of the training compile, perhaps.
    assert result.profile.shares().search * result.seconds["total"] >= 2 * PAUSE


PAUSE = 0.2


def _wait(x):
    time.sleep(PAUSE)
    return x


def test_before_anything_ran_nothing_is_known():
    task = et.tasks.Function(lambda hp: hp.x**2)
    profile = Profile(et.plan(task, et.Space(x=et.Float(-1.0, 1.0))).programs)
    assert math.isnan(profile.utilisation)
    assert math.isnan(profile.members_per_second)
    assert profile.train_seconds == 0.0
    assert math.isnan(profile.host_seconds)
    assert math.isnan(profile.shares().idle)
    profile.end(0.0)  # as a recorded round that is only read
    assert math.isnan(profile.shares().train)
    assert "of the time" not in str(profile)


def test_time_is_divided_by_what_the_devices_did_in_it():
    window = (10.0, 20.0)
    blocks = [
        ((5.0, 11.0), 0.5),  # began before
        ((13.0, 15.0), 0.5),
        ((15.0, 16.0), 0.0),
        ((20.0, 29.0), None),  # runs later
    ]
    # The first began before; of the second, half is compiling, too.
    searches = [(9.0, 10.0), (12.5, 13.0), (16.5, 17.0), (19.5, 20.5)]
    shares = shares_of(window, blocks, (9.0, 14.0), searches)
    assert shares == Shares(
        compile=0.2, train=0.25, evaluate=0.15, search=0.1, host=0.3
    )
    assert shares.idle == pytest.approx(0.6)
    assert str(shares) == (
        "25% train, about 15% evaluate, 60% idle: 20% compile, 10% search, 30% host"
    )
    unknown = shares_of(window, [((12.0, 17.0), None)], (0.0, 0.0))
    assert unknown.train == 0.5
    assert math.isnan(unknown.evaluate)
    assert str(unknown) == "50% train, 50% idle: 0% compile, 0% search, 50% host"
