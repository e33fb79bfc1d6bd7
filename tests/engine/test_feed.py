"""Chunks on their way to the devices, and a task of one's own that reads them."""

from __future__ import annotations

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evotune as et
from evotune._errors import DataError
from evotune.engine import Engine, _feed
from evotune.engine._execution import Execution
from tests.engine.reference import STEP, member_key
from tests.engine.test_pool import propose, run


class Notebook(et.Task):
    """Writes down the chunk that each step sees, and its key."""

    metric, direction, epochs = "seen", "minimize", 3

    def data(self):
        return {"chunk": np.zeros((2,), np.int32), "kept": np.asarray(7, np.int32)}

    def stream(self):
        return et.tasks.Stream(
            names=frozenset({"chunk"}),
            chunks=5,
            nbytes=8,
            kept_bytes=4,
            read=lambda chunk: {"chunk": np.full((2,), chunk, np.int32)},
        )

    def batches(self):
        return jnp.arange(2)

    def init(self):
        return {
            "pages": jnp.full((30,), -1, jnp.int32),
            "keys": jnp.zeros((30, 2), jnp.uint32),
            "steps": jnp.int32(0),
        }

    def step(self, hp, state, data, batch, key):
        steps, chunk = state["steps"], data["chunk"][batch]
        keys = state["keys"].at[steps].set(jax.random.key_data(key))
        pages = state["pages"].at[steps].set(chunk)
        noted = {"chunk": chunk, "rate": hp.rate}
        return {"pages": pages, "keys": keys, "steps": steps + 1}, noted

    def evaluate(self, state, data):
        return {"seen": state["steps"], "kept": data["kept"]}


def expected_keys(seed, trial):
    """u32[30, 2]: those of ten steps in each of three epochs, whatever the chunks."""

    def of_step(number):
        key = jax.random.fold_in(member_key(seed, trial), STEP)
        key = jax.random.fold_in(key, number // 10)
        return jax.random.key_data(jax.random.fold_in(key, number % 10))

    return jax.vmap(of_step)(jnp.arange(30))


@pytest.mark.parametrize("most_lanes", [8, 2])
def test_a_task_of_ones_own_sees_every_chunk_once_an_epoch_in_new_orders(
    most_lanes, monkeypatch
):
    """So it does where memory runs out for more lanes."""
    call = Execution.__call__

    def limited(self, block):
        if self._programs[block.program].spec.lanes > most_lanes:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return call(self, block)

    monkeypatch.setattr(Execution, "__call__", limited)
    space = et.Space(rate=et.Float(0.0, 1.0))
    engine = Engine(Notebook(), space, rows=3, seed=3)
    trained = run(engine, propose([[0.25], [0.5], [1.0]], range(3)))
    assert engine.plan.programs[0].lanes == min(4, most_lanes)
    orders = []
    for trial, rate in enumerate((0.25, 0.5, 1.0)):
        _, curves, _, state = trained[trial]
        pages = state["pages"].reshape(3, 5, 2)
        np.testing.assert_array_equal(pages[..., 0], pages[..., 1])
        np.testing.assert_array_equal(np.sort(pages[..., 0]), [np.arange(5)] * 3)
        np.testing.assert_array_equal(state["keys"], expected_keys(3, trial))
        np.testing.assert_array_equal(curves["seen"], [10, 20, 30])
        np.testing.assert_array_equal(curves["kept"], [7] * 3)
        np.testing.assert_allclose(curves["chunk"], [2.0] * 3, rtol=1e-6)
        np.testing.assert_allclose(curves["rate"], [rate] * 3, rtol=1e-6)
        orders.append(pages[..., 0].tolist())
    assert orders[0] == orders[1] == orders[2], "not the same for all"
    assert orders[0][0] != orders[0][1] != orders[0][2], "no new order"


def test_a_stream_must_name_what_data_holds():
    task = Notebook()
    task.data = lambda: {"kept": np.asarray(7, np.int32)}
    stream = task.stream()
    with pytest.raises(TypeError, match=r"\['chunk'\].*data\(\)"):
        _feed.resident(task.data(), stream, jax.device_put)
    with pytest.raises(TypeError, match="a dict"):
        _feed.resident(jnp.zeros(3), stream, jax.device_put)


def test_a_chunk_is_read_while_the_last_one_is_used_and_no_other():
    was_read = [threading.Event() for _ in range(4)]
    numbers = [3, 0, 2, 1]
    reads = []

    def read(chunk):
        reads.append(chunk)
        if chunk == 1:
            raise DataError("row 7")
        was_read[chunk].set()
        return {"x": np.full((2,), chunk, np.int32)}

    stream = et.tasks.Stream(
        names=frozenset({"x"}), chunks=4, nbytes=8, kept_bytes=0, read=read
    )
    twice = _feed.Visit.all(np.asarray([[0, 2], [2, 3]]), 0, 2)
    chunks = [v.chunk for v, _ in _feed.fed(stream, twice, jax.device_put)]
    assert (chunks, reads) == ([0, 2, 2, 3], [0, 2, 3])
    for event in was_read:
        event.clear()
    visits = _feed.Visit.all(np.asarray([numbers]), 0, 1)
    feed = _feed.fed(stream, visits, jax.device_put)
    arrays = []
    for place, expected in enumerate(numbers[:3]):
        visit, there = next(feed)
        assert (visit.place, there["x"].tolist()) == (place, [expected] * 2)
        ahead = numbers[place + 1]
        assert ahead == 1 or was_read[ahead].wait(10), "not read ahead"
        assert not any(was_read[later].is_set() for later in numbers[place + 2 :])
        arrays.append(there["x"])
        assert [array.is_deleted() for array in arrays] == [True] * place + [False]
    with pytest.raises(DataError, match="row 7"):
        next(feed)
    assert all(array.is_deleted() for array in arrays)
