"""Series of symbols are classified; what pads shorter ones changes nothing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune import datasets, models, nn
from evotune._contracts import fresh
from evotune._errors import DataError, HyperparameterError
from evotune.engine import Engine
from evotune.models import Info
from evotune.space import Categorical, Float, Int, Space
from evotune.tasks import Classification, Hyperparameters
from tests.engine.test_parity import collect_all

T, V = 7, 5
ROWS = [[1, 0, 3], [4, 4, 2, 1, 0, 3, 2], [2], [0, 1, 2, 3, 4]]
SMALL = {"width": 4, "depth": 1}
MODELS = {
    "last": (models.RNN(**SMALL), {}),
    "mean": (models.RNN(**SMALL), {"pooling": "mean"}),
    "pooled": (models.Transformer(**SMALL, heads=2, head_size=2), {}),
    "class": (models.Transformer(**SMALL, heads=2, head_size=2, pooling="class"), {}),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_padded_example_has_the_outputs_of_its_true_length(name):
    model, values = MODELS[name]
    hp = Hyperparameters(values)
    network = model.network(hp, Info(input_shape=(T,), num_outputs=3, vocab_size=V))
    labels = ["a", "b", "a", "b"]
    padded = datasets.arrays(ROWS, labels, vocabulary=V).x
    assert padded.shape == (4, T)
    assert padded.dtype == np.int32

    def outputs(network, variables, x):
        return network.apply(variables, x, train=False, key=None)[0]

    @jax.jit
    def both(key):
        variables = network.init(key)
        steps = len(ROWS[0])
        params = dict(variables["params"])
        if "positions" in params:
            params["positions"] = params["positions"][:steps]
        info = Info(input_shape=(steps,), num_outputs=3, vocab_size=V)
        shorter = model.network(hp, info)
        alone = outputs(shorter, {"params": params}, jnp.asarray([ROWS[0]]))
        return outputs(network, variables, padded), alone

    got, alone = both(jax.random.key(0))
    np.testing.assert_allclose(got[0], alone[0], rtol=1e-5, atol=1e-6)
    assert np.all(np.isfinite(got))


def test_masked_sizes_are_exact_for_symbols_too():
    model, info = models.RNN(), Info(input_shape=(T,), num_outputs=3, vocab_size=V)
    x = datasets.arrays(ROWS, ["a", "b", "a", "b"], vocabulary=V).x

    @jax.jit
    def both(width, key):
        results = []
        for value in (nn.Size(width, 6), 4):
            network = model.network(Hyperparameters({"width": value}), info)
            variables = network.init(key)
            results.append(network.apply(variables, x, train=True, key=key)[0])
        return results

    padded, plain = both(jnp.int32(4), jax.random.key(1))
    np.testing.assert_allclose(padded, plain, rtol=1e-5, atol=1e-6)


def rotated():
    """Which of two symbols comes first: no bag of symbols can tell."""
    rng = np.random.default_rng(0)
    rows, labels = [], []
    for _ in range(200):
        noise = rng.integers(2, V, size=rng.integers(4, T + 1))
        first, second = np.sort(rng.choice(len(noise), 2, replace=False))
        label = rng.integers(2)
        noise[first], noise[second] = label, 1 - label
        rows.append(noise.tolist())
        labels.append(int(label))
    return datasets.arrays(rows, labels, vocabulary="abcde", name="rotated")


def test_networks_learn_to_classify_series_of_symbols():
    dataset = rotated()
    assert "200 x 7 of 5 symbols" in repr(dataset)
    task = Classification(dataset, model=models.RNN(width=16))
    assert task.scaler is None
    assert task.data()["train_x"].dtype == np.int32
    space = Space(
        learning_rate=Float(0.01, 0.03),
        width=Int(8, 12),
        pooling=Categorical(["last", "mean"]),
        batch_size=32,
        epochs=20,
    )
    engine = Engine(task, space, rows=2, seed=0)
    configs = [
        {"learning_rate": 0.02, "width": 10, "pooling": "last"},
        {"learning_rate": 0.02, "width": 12, "pooling": "mean"},
    ]
    engine.submit(fresh(space.encode(configs), np.arange(2)))
    found = collect_all(engine)
    assert found[0][0] > 0.9
    assert found[1][0] > 0.9
    hp = {**space.constants, **space.params(space.encode(configs))[0]}
    fitted = task.export(hp, found[0][3])
    part = task.splits.test
    right = np.mean(np.argmax(fitted.predict(part.x), axis=-1) == part.y)
    assert engine.test(hp, [found[0][3]])[0]["test_accuracy"] == pytest.approx(right)
    with pytest.raises(DataError, match=r"integers in 0\.\.4"):
        fitted.predict(part.x.astype(np.float32))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1], [5, 0]], r"must lie in 0\.\.4"),
        ([[0, -1, 1], [0, 1, 1]], "in row 0 symbols follow"),
        ([[-1, -1], [0, 1]], "row 0 has none"),
        ([[0.5, 1.0], [0.0, 1.0]], "rows of integers"),
        (["ab", "ba"], "rows of integers"),
    ],
)
def test_bad_codes_say_what_to_do(rows, message):
    with pytest.raises(DataError, match=message):
        datasets.arrays(rows, ["x", "y"], vocabulary=V)


def test_a_test_set_is_filled_up_to_the_same_length():
    data = datasets.arrays(
        [[0], [1, 2]], [0, 1], x_test=[[3, 3, 3]], y_test=[1], vocabulary=V
    )
    assert data.x.tolist() == [[0, -1, -1], [1, 2, -1]]
    assert data.x_test.tolist() == [[3, 3, 3]]


def test_what_makes_no_sense_for_symbols_is_refused():
    dataset = rotated()
    with pytest.raises(HyperparameterError, match="MLP takes numbers"):
        Classification(dataset)
    task = Classification(dataset, model=models.RNN(patch=7))
    assert "shift changes numbers" in task.check({"shift": (0.0, 0.1)})[0]
    with pytest.raises(HyperparameterError, match="patch is 7"):
        jax.eval_shape(task.network(Hyperparameters({})).init, jax.random.key(0))
