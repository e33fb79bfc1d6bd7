"""Data in chunks: one chunk is training in memory, several are a plain loop over them.

The data are digits, written to npy files as they come: bytes, not float32.
"""

from __future__ import annotations

import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import evotune as et
from evotune import datasets, models
from evotune._errors import DataError, HyperparameterError
from evotune.engine import Engine, _feed
from evotune.engine._execution import Execution
from evotune.engine._program import Program
from evotune.tasks import Classification, Hyperparameters
from tests.engine.reference import INIT, ORDER, STEP, PlainMLP, member_key
from tests.engine.test_pool import propose, run

ROW_BYTES, SIZE, SEED = 64 * 4, 32, 5
PIXELS = 16  # are 0 to 16, of which evotune makes 0 to 1
SPACE = et.Space(
    learning_rate=et.Float(1e-3, 1e-1, log=True),
    width=et.Int(6, 8),
    patience=et.Int(1, 4),
    min_delta=0.2,
    batch_size=SIZE,
    epochs=4,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, digits = tmp_path_factory.mktemp("digits"), datasets.digits()
    np.save(folder / "x.npy", (PIXELS * digits.x).astype(np.uint8))
    np.save(folder / "y.npy", digits.y)
    return folder / "x.npy", folder / "y.npy"


class Streamed(Classification):
    """Streams even what fits into one chunk, which is held otherwise."""

    def stream(self):
        return self._chunks()


@pytest.fixture(scope="module")
def tasks(files):
    """By the number of chunks; 0 is in memory."""
    digits, model = datasets.digits(), models.MLP(depth=1)
    streamed = datasets.npy(*files, chunk_bytes=300 * ROW_BYTES)
    found = {
        0: Classification(datasets.arrays(PIXELS * digits.x, digits.y), model=model),
        1: Streamed(datasets.npy(*files), model=model),
        4: Classification(streamed, model=model),
    }
    assert [task.cut.chunks for task in found.values()] == [1, 1, 4]
    return found


def some_members(seed):
    """f32[3, D]; the first learns slowly and has the least patience."""
    x = np.random.default_rng(seed).random((3, len(SPACE.names))).astype(np.float32)
    x[0] = 0.0
    return x


def test_one_chunk_has_the_bits_of_training_in_memory(tasks):
    x = some_members(0)
    held = Classification(tasks[1].dataset)
    assert held.stream() is None
    jax.tree.map(np.testing.assert_array_equal, held.data(), tasks[0].data())
    ends = [
        run(Engine(tasks[chunks], SPACE, rows=3, value="best"), propose(x, range(3)))
        for chunks in (0, 1)
    ]
    for trial in range(3):
        memory, one = ends[0][trial], ends[1][trial]
        assert memory[0] == one[0]
        assert memory[2] == one[2]
        for name, curve in memory[1].items():
            np.testing.assert_array_equal(curve, one[1][name])
        jax.tree.map(np.testing.assert_array_equal, memory[3], one[3])
    assert ends[0][0][2] < 4, "nobody lost patience"
    assert max(ends[0][trial][2] for trial in range(3)) == 4


def test_several_chunks_are_a_plain_loop_over_them(tasks):
    """Flax and Optax; the order is that of the recipe in the docs, drawn anew here."""
    space = et.Space(learning_rate=et.Float(0.01, 0.1), batch_size=SIZE, epochs=2)
    task = Classification(tasks[4].dataset, model=models.MLP(width=8, depth=1))
    engine = Engine(task, space, rows=2, seed=SEED)
    x = np.asarray([[0.2], [0.9]], np.float32)
    trained = run(engine, propose(x, [3, 4]))
    parts = datasets.split(datasets.digits())
    train, mean, scale = parts.train, parts.train.x.mean(0), parts.train.x.std(0)
    inputs, unseen = (
        (part.x - mean) / np.where(scale > 1e-8, scale, 1.0)
        for part in (train, parts.validation)
    )
    rows, count = 270, len(inputs)
    assert count == 1079
    rate = engine.params(x)[1]["learning_rate"]
    key = jax.random.fold_in(member_key(SEED, 4), INIT)
    hp = Hyperparameters({"learning_rate": rate})
    params = jax.jit(lambda key: task.init(hp, key))(key).variables["params"]
    module, tx = PlainMLP(8, 1, "relu", 10), optax.adam(rate)
    opt_state = tx.init(params)

    @jax.jit
    def step(params, opt_state, x, y):
        def loss_of(params):
            logits = module.apply({"params": params}, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    losses = []
    for epoch in range(2):
        epoch_key = jax.random.fold_in(
            jax.random.fold_in(jax.random.key(SEED), ORDER), epoch
        )
        order = jax.random.permutation(jax.random.fold_in(epoch_key, 2**31), 4)
        for chunk in order.tolist():
            first = chunk * (count - rows) // 3
            of_chunk = jax.random.fold_in(epoch_key, chunk)
            shuffled = first + np.asarray(jax.random.permutation(of_chunk, rows))
            for start in range(0, rows - SIZE + 1, SIZE):
                batch = shuffled[start : start + SIZE]
                with jax.numpy_dtype_promotion("standard"):  # as optax needs
                    params, opt_state, loss = step(
                        params, opt_state, inputs[batch], train.y[batch]
                    )
                losses.append(float(loss))
    assert len(losses) == 2 * task.steps({"batch_size": SIZE})
    curve = trained[4][1]["train_loss"][:2]
    np.testing.assert_allclose(curve, np.reshape(losses, (2, -1)).mean(1), 1e-3)
    logits = module.apply({"params": params}, unseen)
    accuracy = np.mean(np.argmax(np.asarray(logits), 1) == parts.validation.y)
    assert trained[4][0] == pytest.approx(accuracy, abs=0.006)  # two of 359 examples
    got = trained[4][3].variables["params"]
    for name in params:
        np.testing.assert_allclose(
            got[name]["kernel"], params[name]["kernel"], rtol=1e-3, atol=1e-3
        )


def test_members_go_on_between_epochs_with_two_chunks_on_the_devices(
    tasks, monkeypatch
):
    shape, most = (270, 64), []
    share = Program.share

    def counted(self, values):
        there = share(self, values)
        most.append(sum(array.shape == shape for array in jax.live_arrays()))
        return there

    monkeypatch.setattr(Program, "share", counted)
    x = some_members(1)
    trials = np.arange(3)
    engine = Engine(tasks[4], SPACE, rows=3)
    whole = run(engine, propose(x, trials))
    assert max(most) == 2
    program = engine._programs[0]
    for part in (program.train, program.close):
        text = part.compiled.as_text()
        for word in ("all-reduce", "all-gather", "all-to-all", "collective-permute"):
            assert word not in text
    shared = len(most)
    alone = run(Engine(tasks[4], SPACE, rows=3), propose(x[:1], trials[:1]))
    assert alone[0][2] == whole[0][2] < 4
    assert len(most) - shared < shared, "read on when all had stopped"
    run(engine, propose(x, trials, slot=trials, until=1))
    parts = run(engine, propose(x, trials, source=trials))
    assert sum(array.shape == shape for array in jax.live_arrays()) == 0
    for trial in range(3):
        assert parts[trial][2] == whole[trial][2]
        for name, curve in whole[trial][1].items():
            np.testing.assert_array_equal(curve, parts[trial][1][name])
        jax.tree.map(np.testing.assert_array_equal, parts[trial][3], whole[trial][3])


def test_a_study_learns_digits_in_chunks_and_resumes(tasks, tmp_path):
    options = {
        "algorithm": et.GeneticAlgorithm(population_size=4),
        "progress": False,
        "seed": 3,
        "study_name": "chunks",
    }
    whole = et.tune(tasks[4], SPACE, generations=2, **options)
    storage = tmp_path / "studies"
    et.tune(tasks[4], SPACE, generations=1, storage=storage, **options)
    resumed = et.tune(
        tasks[4], SPACE, generations=2, storage=storage, resume=True, **options
    )
    values = [[t.value for t in result.trials] for result in (whole, resumed)]
    assert values[0] == values[1]
    assert whole.best_value > 0.9
    test = tasks[4].splits.test
    predicted = np.argmax(whole.best_model().predict(test.x), axis=1)
    np.testing.assert_allclose(
        whole.test_metrics()["test_accuracy"], np.mean(predicted == test.y)
    )


def test_what_chunks_cannot_do_is_told_beforehand(files, monkeypatch):
    small = datasets.npy(*files, chunk_bytes=300 * ROW_BYTES)
    with pytest.raises(HyperparameterError, match="in 4 chunks"):
        Classification(small, train_metrics=True)
    with pytest.raises(DataError, match="stay on disk"):
        et.tasks.MultiTask({"digit": small, "other": small})
    with pytest.raises(HyperparameterError, match=r"one of 4\) 270 examples"):
        Engine(
            Classification(small), et.Space(batch_size=271, width=et.Int(1, 2)), rows=1
        )
    task = Classification(small)
    monkeypatch.setattr(_feed, "_SHARE", 0.0)
    with pytest.raises(DataError, match=r"validation=10_000"):
        Engine(task, SPACE, rows=1)
    assert "_arrays" not in vars(task), "read before there was room"


def test_a_value_that_is_not_finite_ends_a_search_with_its_row(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    x[41, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.arange(60) % 2)
    dataset = datasets.npy(tmp_path / "x.npy", tmp_path / "y.npy")
    with pytest.raises(DataError, match="row 41 of"):
        Classification(dataset)
    assert jnp.asarray(dataset.y).dtype == jnp.int32


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
