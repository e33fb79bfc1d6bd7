"""The order of the data: drawn once where members share it, by themselves if not."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune import datasets, models
from evotune._contracts import fresh
from evotune.engine import Engine
from evotune.engine._order import order_identity
from evotune.space import Categorical, Float, Int, Space
from evotune.tasks import Classification, Task
from tests.engine.test_parity import collect_all

RATE = Float(0.1, 0.9)


class Sum(Task):
    """Adds up what it is given, so that every batch shows in the value."""

    metric, direction = "total", "maximize"
    epochs = 3

    def init(self):
        return jnp.zeros(())

    def evaluate(self, state):
        return {"total": state}


class SharedSum(Sum):
    def step(self, hp, state, batch):
        return state + hp.rate * batch

    def batches(self, key):
        return jax.random.uniform(key, (4,))


class OwnSum(Sum):
    """Its batches depend on a traced hyperparameter."""

    def step(self, state, batch):
        return state + batch

    def batches(self, hp, key):
        return hp.rate * jax.random.uniform(key, (4,))


def totals(task, count=6):
    engine = Engine(task, Space(rate=RATE), rows=count)
    x = np.random.default_rng(0).random((count, 1)).astype(np.float32)
    engine.submit(fresh(x, np.arange(count)))
    found = collect_all(engine)
    rates = np.asarray([p["rate"] for p in engine.params(x)])
    return engine, rates, np.asarray([found[trial][0] for trial in range(count)])


def test_members_that_share_the_order_draw_it_outside():
    engine, rates, values = totals(SharedSum())
    order = engine._session.preparation.order(0)
    assert order.shape == (3, 4)
    np.testing.assert_allclose(values, rates * np.sum(order), rtol=1e-5)


def test_batches_that_depend_on_a_traced_value_are_drawn_by_each_member():
    _, _, shared = totals(SharedSum())
    engine, _, own = totals(OwnSum())
    assert engine._session.preparation.order(0) is None
    np.testing.assert_allclose(own, shared, rtol=1e-5)


def test_an_order_that_is_too_large_is_drawn_epoch_by_epoch(monkeypatch):
    _, _, outside = totals(SharedSum())
    monkeypatch.setattr("evotune.engine._order.MOST_BYTES", 47)
    engine, _, inside = totals(SharedSum())
    assert engine._session.preparation.order(0) is None
    np.testing.assert_array_equal(inside, outside)


def test_programs_of_one_batch_size_share_an_order():
    task = Classification(datasets.digits(), model=models.MLP(depth=1))
    space = Space(width=Int(4, 512), batch_size=Categorical([20, 40]), epochs=2)
    engine = Engine(task, space, rows=64, trainings=100_000)
    data = task.data()
    identities = {}
    for program in engine._programs:
        size = program.spec.static["batch_size"]
        identities.setdefault(size, set()).add(order_identity(program.order(data)))
    assert len(engine._programs) > 2
    assert [len(found) for found in identities.values()] == [1, 1]


def test_an_error_of_batches_is_shown_as_it_is():
    class Broken(Sum):
        def step(self, hp, state, batch):
            return state + hp.rate * batch

        def batches(self):
            raise ValueError("no such file")

    with pytest.raises(ValueError, match="no such file"):
        totals(Broken())
