"""Weights of examples enter training as in a plain loop; without them, nothing does."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn import metrics as sk

from evotune import datasets, models
from evotune._errors import DataError
from evotune.tasks import Classification, Hyperparameters, MultiTask, Regression
from tests.engine.reference import PlainMLP

SIZE, STEPS, RATE = 16, 50, 0.1


def weighted(regression=False):
    wine = datasets.wine()
    w = np.random.default_rng(0).integers(0, 3, len(wine)).astype(np.float64)
    y = wine.x[:, :1] if regression else wine.y
    x = wine.x[:, 1:]
    return datasets.arrays(x, y, sample_weight=w), w.astype(np.float32)


def test_weights_go_where_their_examples_go():
    dataset, w = weighted()
    parts = datasets.split(dataset)
    for part in (parts.train, parts.validation, parts.test):
        np.testing.assert_array_equal(part.weight, w[part.index])
    test_set = datasets.arrays(
        [[1.0], [2.0]],
        [0, 1],
        x_test=[[3.0]],
        y_test=[1],
        sample_weight=[1, 2],
        sample_weight_test=[7],
    )
    assert test_set.sample_weight_test.tolist() == [7.0]
    plain = datasets.wine()
    assert datasets.split(plain).train.weight is None
    assert "train_weight" not in Classification(plain).data()


@pytest.mark.parametrize("regression", [False, True], ids=["classes", "quantities"])
def test_training_is_a_plain_loop_with_weighted_means(regression):
    dataset, _ = weighted(regression)
    kind, columns = (Regression, 1) if regression else (Classification, 3)
    metric = "r2" if regression else "roc_auc"
    task = kind(dataset, model=models.MLP(width=5, depth=1), metric=metric)
    hp = Hyperparameters({"learning_rate": RATE, "optimizer": "sgd"})
    module = PlainMLP(5, 1, "relu", columns)
    data = jax.tree.map(jnp.asarray, task.data())
    rows = jnp.asarray(
        np.random.default_rng(1).integers(0, len(data["train_x"]), (STEPS, SIZE))
    )

    def plain_loss(params, batch):
        out = module.apply({"params": params}, data["train_x"][batch])
        y, w = data["train_y"][batch], data["train_weight"][batch]
        if regression:
            losses = jnp.square(out - y)[:, 0]
        else:
            losses = optax.softmax_cross_entropy_with_integer_labels(out, y)
        return jnp.sum(w * losses) / jnp.sum(w)

    @jax.jit
    def both(key):
        start = task.init(hp, key)

        def own(state, batch):
            state, found = task.step(hp, state, data, batch, key)
            return state, (found["train_loss"], state.variables["params"])

        def plain(params, batch):
            loss, grads = jax.value_and_grad(plain_loss)(params, batch)
            params = jax.tree.map(lambda w, g: w - RATE * g, params, grads)
            return params, (loss, params)

        state, got = jax.lax.scan(own, start, rows)
        _, expected = jax.lax.scan(plain, start.variables["params"], rows)
        scores = task.evaluate(hp, state, data)
        return state, got, expected, scores

    with jax.numpy_dtype_promotion("standard"):
        state, got, expected, scores = both(jax.random.key(0))
    first = [jax.tree.map(lambda a: a[0], each) for each in (got, expected)]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *first
    )
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-3)

    part = task.splits.validation
    out = task.export(hp, state).predict(part.x)
    if regression:
        score = sk.r2_score(part.y, out, sample_weight=part.weight)
        errors = sk.mean_absolute_error(part.y, out, sample_weight=part.weight)
        np.testing.assert_allclose(scores["val_mae"], errors, rtol=1e-4)
    else:
        chances = np.asarray(jax.nn.softmax(out))
        more = {"multi_class": "ovr", "sample_weight": part.weight}
        score = sk.roc_auc_score(part.y, chances, **more)
        right = np.average(chances.argmax(axis=1) == part.y, weights=part.weight)
        np.testing.assert_allclose(scores["val_accuracy"], right, rtol=1e-5)
    np.testing.assert_allclose(scores[f"val_{metric}"], score, rtol=1e-4)


def test_a_head_without_weight_teaches_nothing():
    dataset, w = weighted()
    other = datasets.arrays(dataset.x, dataset.x[:, :1], sample_weight=w)
    plain = dataclasses.replace(dataset, sample_weight=None)
    task = MultiTask({"kind": plain, "first": other}, model=models.MLP(width=4))
    data = task.data()
    assert sorted(data["train_weight"]) == ["first"]
    outputs = np.random.default_rng(2).normal(size=(len(w), 4)).astype(np.float32)
    targets = task.targets({"kind": plain.y, "first": other.y})
    hp = Hyperparameters({})
    zero = {"first": jnp.zeros(len(w))}
    alone = task.heads["kind"].loss(hp, outputs, targets["kind"])
    np.testing.assert_allclose(task.loss(hp, outputs, targets, zero), alone, rtol=1e-6)
    squares = np.square(outputs[:, 3:] - targets["first"])[:, 0]
    np.testing.assert_allclose(
        task.loss(hp, outputs, targets, {"first": jnp.asarray(w)}),
        alone + np.average(squares, weights=w),
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], r"shape \[3\]"),
        ([1.0, -2.0, 1.0], "at least 0"),
        ([1.0, np.nan, 1.0], "finite"),
        ([0.0, 0.0, 0.0], "not all 0"),
        (["a", "b", "c"], "must be float32"),
    ],
)
def test_weights_that_do_not_fit_say_what_to_do(weights, message):
    with pytest.raises(DataError, match=message):
        datasets.arrays(np.eye(3), [0, 1, 1], sample_weight=weights)
