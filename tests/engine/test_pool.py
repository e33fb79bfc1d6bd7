"""Members that continue a state that was kept: their own, or another's."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune import datasets, models
from evotune._contracts import DROP, FRESH, FULL, Proposal, Status
from evotune.engine import Engine, _engine, _program, _session
from evotune.engine._costs import CPU
from evotune.engine._member import Member
from evotune.engine._pool import Kept, Place, Pool
from evotune.space import Categorical, Float, Int, Space
from evotune.tasks import Classification, Task
from tests.contracts import sketches
from tests.contracts.fake_engine import FakeEngine
from tests.contracts.test_methods_fit import Search
from tests.engine.test_parity import collect_all


def propose(x, trial, *, source=FRESH, slot=DROP, until=FULL, horizon=FULL):
    """A proposal in numpy; scalars hold for all rows."""
    rows = len(trial)
    whole = {"source": source, "slot": slot}
    real = {"until": until, "horizon": horizon}
    return Proposal(
        x=np.asarray(x, np.float32),
        trial=np.asarray(trial, np.int32),
        replica=np.zeros(rows, np.int32),
        **{k: np.broadcast_to(v, rows).astype(np.int32) for k, v in whole.items()},
        **{k: np.broadcast_to(v, rows).astype(np.float32) for k, v in real.items()},
    )


def run(engine, proposal):
    engine.submit(proposal)
    return collect_all(engine)


@pytest.fixture(scope="module")
def wine():
    return Classification(datasets.wine(), model=models.MLP(width=8, depth=1))


SPACE = Space(
    learning_rate=Float(1e-3, 1e-1, log=True),
    dropout=Float(0.0, 0.5),
    width=Int(4, 8),
    optimizer="adam",
    schedule="cosine",
    batch_size=20,
    epochs=6,
)


@pytest.fixture
def small_blocks(monkeypatch):
    """One lane a device, so that a few members make several blocks."""
    costs = dataclasses.replace(CPU, max_lanes=1)
    monkeypatch.setattr(_engine, "default_costs", lambda _: costs)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("value", "on_devices"), [("last", False), ("best", False), ("last", True)]
)
def test_a_training_in_parts_has_the_bits_of_one_in_one_go(
    wine, value, on_devices, monkeypatch
):
    if on_devices:  # as accelerators fetch states, whose memory is not the host's
        monkeypatch.setattr(_program, "shares_host_memory", lambda _: False)
    x = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    trials, slots = np.arange(5), np.asarray([3, 7, 0, 1, 2])
    engine = Engine(wine, SPACE, rows=5, value=value)
    whole = run(engine, propose(x, trials))
    parts = run(engine, propose(x, trials, slot=slots, until=[1, 2, 3, 2, 1]))
    for trial, epochs in enumerate((1, 2, 3, 2, 1)):
        assert parts[trial][2] == epochs
    order = [2, 0, 4, 1, 3]  # other lanes, other blocks, other devices
    ends = np.asarray([5.0, 3.0, 2.0, 4.0, 5.0])
    run(
        engine,
        propose(
            x[order], trials[order], source=slots[order], slot=slots[order], until=ends
        ),
    )
    last = run(engine, propose(x, trials, source=slots))
    assert engine._programs[0].gather.is_compiled == on_devices
    for trial in range(5):
        assert last[trial][2] == whole[trial][2] == 6
        assert last[trial][0] == whole[trial][0]
        for name, curve in whole[trial][1].items():
            np.testing.assert_array_equal(last[trial][1][name], curve)
        for a, b in zip(
            jax.tree.leaves(last[trial][3]),
            jax.tree.leaves(whole[trial][3]),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


class Curves(Task):
    """The learning curves of `FakeEngine`, as a training loop."""

    metric, direction = "score", "maximize"
    epochs, steps_per_epoch = 9, 1

    def __init__(self, epochs=9):
        self.epochs = epochs

    def init(self):
        return jnp.zeros(())

    def step(self, hp, state):
        x = jnp.stack([hp.x0, hp.x1, hp.x2])
        quality = 1.0 - jnp.mean((x - 0.7) ** 2) * 2.0
        return state + (0.1 + 0.4 * hp.x0) * (quality - state)

    def evaluate(self, state):
        return {"score": state}


CUBE = Space(x0=Float(0.0, 1.0), x1=Float(0.0, 1.0), x2=Float(0.0, 1.0))


class Real:
    """The engine behind the interface that the searches of the contract drive."""

    def __init__(self, *, rows, points):
        self.engine = Engine(Curves(points), CUBE, rows=rows)
        self.points = points
        self.submit = self.engine.submit

    @property
    def pending(self):
        return self.engine.pending

    def collect(self):
        return jax.tree.map(jnp.asarray, self.engine.collect().outcome)


def told(search):
    """{(trial, spent): (fitness, curve)} of all that came back."""
    names = ("trial", "spent", "fitness", "curve")
    rows = zip(*(search.rows(name) for name in names), strict=True)
    return {(int(t), float(s)): (f, c) for t, s, f, c in rows}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("sketch", "points", "rows"),
    [
        (sketches.PopulationBasedTraining(), 30, 8),
        (sketches.SuccessiveHalving(), 9, 9),
        (sketches.FoldRacing(), 9, 8),
    ],
    ids=lambda value: type(value).__name__,
)
def test_methods_see_what_the_contract_promises(sketch, points, rows, count_compiles):
    expected = Search(sketch, FakeEngine(rows=rows, points=points))
    expected.generations(8)
    found = Search(sketch, Real(rows=rows, points=points))
    found.generations(2)
    with count_compiles() as later:
        found.generations(6)
    assert later.total() == 0
    assert len(found.proposals) == len(expected.proposals)
    for ours, theirs in zip(found.proposals, expected.proposals, strict=True):
        np.testing.assert_array_equal(ours.trial, theirs.trial)
        np.testing.assert_array_equal(ours.source, theirs.source)
    ours, theirs = told(found), told(expected)
    assert ours.keys() == theirs.keys()
    for key, (fitness, curve) in theirs.items():
        np.testing.assert_allclose(ours[key][0], fitness, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours[key][1], curve, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("small_blocks")
def test_asynchronous_halving_goes_on_from_rungs_of_any_age():
    algorithm = sketches.AsynchronousHalving()
    search = Search(algorithm, Real(rows=2, points=9))
    for _ in range(60):
        if not search.propose() and not search.engine.pending:
            break
        if search.engine.pending > 4:
            search.collect()
    while search.engine.pending:
        search.collect()
    spent, curves = search.rows("spent"), search.rows("curve")
    assert set(spent.tolist()) == {1.0, 3.0, 9.0}
    x = search.rows("x").astype(np.float64)
    for point, length, curve in zip(x, spent.astype(int), curves, strict=True):
        score, quality = 0.0, 1.0 - np.mean((point - 0.7) ** 2) * 2.0
        for epoch in range(length):
            score += (0.1 + 0.4 * point[0]) * (quality - score)
            assert curve[epoch] == pytest.approx(score, rel=1e-4)


def test_sources_are_read_before_any_row_writes():
    engine = Engine(Curves(), CUBE, rows=2)
    x = np.asarray([[0.1, 0.2, 0.3], [0.9, 0.8, 0.7]])
    first = run(engine, propose(x, [0, 1], slot=[0, 1], until=3))
    swapped = run(engine, propose(x, [2, 3], source=[1, 0], slot=[0, 1], until=4))
    for child, parent in ((2, 1), (3, 0)):
        curve, before = swapped[child][1]["score"], first[parent][1]["score"]
        np.testing.assert_array_equal(curve[:3], before[:3])
    again = run(engine, propose(x, [4, 5], source=[0, 1], until=5))
    for child, parent in ((4, 2), (5, 3)):
        curve, before = again[child][1]["score"], swapped[parent][1]["score"]
        np.testing.assert_array_equal(curve[:4], before[:4])


def test_a_copy_trains_with_its_own_hyperparameters_and_key(wine):
    engine = Engine(wine, SPACE, rows=3)
    x = np.tile(np.float32([[0.5, 0.8, 0.5]]), (3, 1))
    run(engine, propose(x[:1], [0], slot=0, until=3))
    x[2, 0] = 0.9
    found = run(engine, propose(x, [0, 1, 2], source=0))
    losses = [found[trial][1]["train_loss"] for trial in range(3)]
    for other in losses[1:]:  # the parent's past
        np.testing.assert_array_equal(other[:3], losses[0][:3])
    assert losses[1][3] != losses[0][3]  # another key: other units drop out
    assert losses[2][3] != losses[1][3]  # another learning rate


def test_schedules_are_laid_out_over_the_horizon(wine):
    space = Space(
        learning_rate=Float(1e-3, 1e-1, log=True),
        schedule="linear",
        batch_size=20,
        epochs=Int(2, 6),
    )
    engine = Engine(wine, space, rows=1)
    long, short = (space.encode([{"learning_rate": 0.01, "epochs": n}]) for n in (6, 2))
    whole = run(engine, propose(long, [0]))
    part = run(engine, propose(short, [0], horizon=6.0))
    np.testing.assert_array_equal(
        part[0][1]["train_loss"][:2], whole[0][1]["train_loss"][:2]
    )
    own = run(engine, propose(short, [0]))
    assert own[0][1]["train_loss"][1] != whole[0][1]["train_loss"][1]
    with pytest.raises(ValueError, match=r"horizon=5 differs.*Search `epochs`"):
        Engine(wine, SPACE, rows=1).submit(propose([[0.5] * 3], [0], horizon=5.0))


def test_what_cannot_be_continued_is_refused_before_it_trains(wine):
    engine = Engine(wine, SPACE, rows=2)
    x = SPACE.encode([{"learning_rate": 0.01, "dropout": 0.1, "width": 4}])
    with pytest.raises(LookupError, match="slot 3 is empty"):
        engine.submit(propose(x, [0], source=3))
    run(engine, propose(x, [0], slot=3))
    with pytest.raises(ValueError, match="must train at least an epoch"):
        engine.submit(propose(x, [0], source=3))
    run(engine, propose(x, [0], slot=3, until=2))
    wider = SPACE.encode([{"learning_rate": 0.01, "dropout": 0.1, "width": 8}])
    with pytest.raises(ValueError, match="width: 4 to 8"):
        engine.submit(propose(wider, [1], source=3))
    assert engine.pending == 0
    assert run(engine, propose(x, [0], source=3))[0][2] == 6


def test_a_diverged_member_stays_diverged_when_it_is_continued():
    space = Space(learning_rate=Categorical([0.01, 1e30]), optimizer="sgd", epochs=4)
    task = Classification(datasets.wine(), model=models.MLP(width=4, depth=1))
    engine = Engine(task, space, rows=2)
    x = space.encode([{"learning_rate": rate} for rate in (0.01, 1e30)])
    run(engine, propose(x, [0, 1], slot=[0, 1], until=2))
    engine.submit(propose(x, [0, 1], source=[0, 1]))
    status = {}
    while engine.pending:
        outcome = engine.collect().outcome
        status |= dict(zip(outcome.trial.tolist(), outcome.status, strict=True))
    assert status[0] == Status.COMPLETE
    assert status[1] == Status.DIVERGED


def test_spilled_states_go_on_with_the_same_bits(wine, monkeypatch):
    x = np.random.default_rng(1).random((3, 3)).astype(np.float32)
    found = []
    for room in (np.inf, 0.0):
        monkeypatch.setattr(_session, "room_for_states", lambda _, room=room: room)
        engine = Engine(wine, SPACE, rows=3)
        run(engine, propose(x, np.arange(3), slot=np.arange(3), until=2))
        assert (engine._session.pool.device_bytes == 0) == (room == 0.0)
        found.append(run(engine, propose(x, np.arange(3), source=np.arange(3))))
    for trial in range(3):
        for name, curve in found[0][trial][1].items():
            np.testing.assert_array_equal(found[1][trial][1][name], curve)


def test_a_block_is_freed_with_the_last_slot_that_refers_to_it():
    def kept():
        curves = jnp.zeros((2, 3, 1))
        return Kept(Member(state=None, best=None, patience=None, curves=curves), 0)

    def place(block, lane):
        return Place(kept=block, lane=lane, spent=1, structure={})

    pool, old = Pool(np.inf), kept()
    seen = weakref.ref(old)
    pool.keep(0, place(old, 0))
    pool.keep(1, place(old, 1))
    assert pool.device_bytes == 24
    new = kept()
    pool.keep(0, place(new, 0))
    del old
    gc.collect()
    assert seen() is not None
    pool.keep(1, place(new, 1))
    gc.collect()
    assert seen() is None
    assert pool.device_bytes == 24
