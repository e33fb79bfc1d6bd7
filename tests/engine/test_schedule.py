"""Which members share a block: everybody once, in phase, deterministic."""

from __future__ import annotations

import types

import hypothesis
import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np

from evotune._contracts import fresh
from evotune.engine import Engine, _engine
from evotune.engine._schedule import Job, Schedule
from evotune.space import Float, Int, Space
from tests.engine.test_parity import collect_all
from tests.engine.test_patience import Scripted


def job(number, program, start, stop):
    proposal = types.SimpleNamespace(
        trial=np.asarray([number]), replica=np.asarray([0]), slot=np.asarray([-1])
    )
    return Job(
        proposal=proposal,
        row=0,
        program=program,
        values={},
        structure={},
        start=start,
        stop=stop,
        place=None,
    )


JOBS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 9)), max_size=40
)


def play(shapes, lanes, slice_epochs):
    """The blocks of a whole run, as lists of (trial, start, stop), and its ends."""
    jobs = [job(n, p, s, s + more) for n, (p, s, more) in enumerate(shapes)]
    schedule = Schedule(lanes, slice_epochs=[slice_epochs] * len(lanes))
    schedule.add(jobs)
    blocks, trained = [], {job.member[0]: job.start for job in jobs}
    while (block := schedule.next()) is not None:
        blocks.append([(j.member[0], j.start, j.stop) for j in block.jobs])
        assert 0 < len(block.jobs) <= lanes[block.program]
        assert {j.program for j in block.jobs} == {block.program}
        assert block.stop > block.start
        assert slice_epochs is None or block.epochs <= slice_epochs
        for j in block.jobs:
            assert j.start == block.start == trained[j.member[0]]
            trained[j.member[0]] = min(j.stop, block.stop)
        going = [j for j in block.jobs if j.stop > block.stop]
        schedule.add([j.moved(None, 0, block.stop) for j in going])
    assert len(schedule) == 0
    return blocks, trained, jobs


@hypothesis.given(JOBS, st.integers(1, 6), st.sampled_from([None, 1, 2, 4]))
def test_every_job_comes_to_its_stop_in_blocks_that_are_in_phase(
    shapes, width, slice_epochs
):
    lanes = [width, 1, 2 * width]
    blocks, trained, jobs = play(shapes, lanes, slice_epochs)
    assert trained == {j.member[0]: j.stop for j in jobs}
    assert play(shapes, lanes, slice_epochs)[0] == blocks


def test_members_of_a_block_end_as_near_to_each_other_as_they_can():
    blocks, _, _ = play([(0, 0, n) for n in (9, 1, 8, 2, 7, 3)], [2], None)
    assert [[stop for _, _, stop in block] for block in blocks] == [
        [1, 2],
        [3, 7],
        [8, 9],
    ]


def test_members_that_go_on_are_packed_anew():
    blocks, _, _ = play([(0, 0, n) for n in (2, 2, 8, 8, 2, 8)], [3], 4)
    assert [len(block) for block in blocks] == [3, 3, 3]


def test_a_group_that_may_grow_waits_until_it_fills_the_lanes():
    schedule = Schedule([3], slice_epochs=[4])
    schedule.add([job(n, 0, 0, 8) for n in range(5)])
    first = schedule.next()
    schedule.add([j.moved(None, 0, 4) for j in first.jobs[:2]])  # one has diverged
    second = schedule.next()
    assert [(b.start, len(b.jobs)) for b in (first, second)] == [(0, 3), (0, 2)]
    assert schedule.next([second]) is None
    assert len(schedule) == 2
    schedule.add([j.moved(None, 0, 4) for j in second.jobs])
    third = schedule.next()
    assert (third.start, len(third.jobs)) == (4, 3)
    assert len(schedule.next([third]).jobs) == 1  # nobody is behind it any more


def test_lanes_of_members_that_stopped_early_are_filled():
    space = Space(turn=Float(0.0, 12.0), patience=Int(1, 6), min_delta=0.5)
    x = np.random.default_rng(0).random((40, 2)).astype(np.float32)
    shares, found = {}, {}
    for sliced in (False, True):
        engine = Engine(Scripted(), space, rows=40, max_programs=1)
        lanes = 2 * (engine._programs[0].spec.lanes // 4)
        if not sliced:
            engine._slice_epochs = [None]
        engine._begin(0)
        engine._session._schedule.lanes = [lanes]
        engine.submit(fresh(jnp.asarray(x), jnp.arange(40)))
        found[sliced] = collect_all(engine)
        shares[sliced] = engine.profile.utilisation
    assert shares[True] > shares[False] + 0.05, shares
    for trial in range(40):
        assert found[True][trial][0] == found[False][trial][0]
        assert found[True][trial][2] == found[False][trial][2]


def test_known_ends_are_packed_anew_where_slices_are_long(monkeypatch):
    space = Space(turn=Float(0.0, 12.0), epochs=Int(1, 12))
    x = np.random.default_rng(0).random((40, 2)).astype(np.float32)
    shares, found = [], []
    for worth in (np.inf, 1e-9):
        monkeypatch.setattr(_engine, "_SLICE_SECONDS", worth)
        engine = Engine(Scripted(), space, rows=40, max_programs=1)
        engine._session._schedule.lanes = [2 * (engine._programs[0].spec.lanes // 4)]
        engine.submit(fresh(jnp.asarray(x), jnp.arange(40)))
        found.append(collect_all(engine))
        shares.append(engine.profile.utilisation)
    assert shares[1] > shares[0] + 0.05, shares
    for trial in range(40):
        assert found[0][trial][0] == found[1][trial][0]
        assert found[0][trial][2] == found[1][trial][2]


def test_utilisation_counts_idle_lanes():
    space = Space(turn=Float(0.0, 12.0), epochs=Int(1, 12))
    engine = Engine(Scripted(), space, rows=4)
    lanes = engine._programs[0].spec.lanes
    configs = [{"turn": 1.0, "epochs": n} for n in (12, 6, 3)]
    engine.submit(fresh(space.encode(configs), np.arange(3)))
    collect_all(engine)
    assert engine.profile.utilisation == (12 + 6 + 3) / (12 * lanes)
    (program,) = engine.profile.programs
    assert program.blocks == 1
    assert 0.0 < program.seconds == engine.profile.train_seconds
