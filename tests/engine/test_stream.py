"""Data in chunks: one chunk is training in memory, several are a plain loop over them.

The data are digits, written to npy files as they come: bytes, not float32.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import evotune as et
from evotune import datasets, models
from evotune._errors import DataError, HyperparameterError
from evotune.engine import Engine, _feed
from evotune.engine._program import Program
from evotune.tasks import Classification, Hyperparameters
from tests.engine.reference import INIT, ORDER, PlainMLP, member_key
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
        "algorithm": et.GeneticAlgorithm(population_size=4, surrogate=None),
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
