"""A network with several heads is what a plain Flax and Optax loop trains."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import accuracy_score, log_loss, r2_score

from evotune import datasets, models
from evotune._contracts import fresh
from evotune._errors import DataError, HyperparameterError
from evotune.engine import Engine
from evotune.space import Float, Int, Space
from evotune.tasks import Hyperparameters, MultiTask, Regression
from tests.engine.reference import ORDER, PlainMLP
from tests.engine.test_parity import SEED, collect_all, initial

SIZE, EPOCHS = 32, 17  # 51 steps
KIND, ALCOHOL = slice(0, 3), slice(3, 5)


def two_heads():
    """The kind of a wine, and its first two properties (out of the others)."""
    wine = datasets.wine()
    kind = datasets.arrays(wine.x[:, 2:], wine.y, class_names=wine.class_names)
    return {"kind": kind, "alcohol": datasets.arrays(wine.x[:, 2:], wine.x[:, :2])}


def plain_loop(task, params, p):
    """Losses by epoch and the last parameters: one step at a time."""
    data = task.data()
    x, y = data["train_x"], data["train_y"]
    module = PlainMLP(p["width"], 1, "tanh", 5)
    tx = optax.sgd(p["learning_rate"])
    opt_state = tx.init(params)

    @jax.jit
    def step(params, opt_state, x, kind, alcohol):
        def loss_of(params):
            out = module.apply({"params": params}, x)
            labels = optax.smooth_labels(jax.nn.one_hot(kind, 3), 0.1)
            first = jnp.mean(optax.softmax_cross_entropy(out[:, KIND], labels))
            second = jnp.mean(jnp.square(out[:, ALCOHOL] - alcohol))
            return 2.0 * first + p["loss_weight_alcohol"] * second

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    losses = []
    with jax.numpy_dtype_promotion("standard"):
        for epoch in range(EPOCHS):
            key = jax.random.fold_in(jax.random.key(SEED), ORDER)
            key = jax.random.fold_in(key, epoch)
            order = np.asarray(jax.random.permutation(key, len(x)))
            for start in range(0, len(x) - SIZE + 1, SIZE):
                rows = order[start : start + SIZE]
                params, opt_state, loss = step(
                    params, opt_state, x[rows], y["kind"][rows], y["alcohol"][rows]
                )
                losses.append(float(loss))
        out = module.apply({"params": params}, data["validation_x"])
    return np.reshape(losses, (EPOCHS, -1)).mean(axis=1), params, np.asarray(out)


def test_every_member_is_what_a_plain_loop_trains():
    task = MultiTask(
        two_heads(),
        model=models.MLP(depth=1, activation="tanh"),
        weights={"kind": 2.0},
        train_metrics=True,
    )
    assert task.metric == "val_mean"
    assert task.direction == "maximize"
    space = Space(
        learning_rate=Float(0.01, 0.1),
        loss_weight_alcohol=Float(0.0, 1.0),
        label_smoothing=0.1,
        optimizer="sgd",
        width=Int(4, 9),
        batch_size=SIZE,
        epochs=EPOCHS,
    )
    configs = [
        {"learning_rate": 0.05, "loss_weight_alcohol": 0.3, "width": 6},
        {"learning_rate": 0.1, "loss_weight_alcohol": 0.0, "width": 9},
    ]
    engine = Engine(task, space, rows=2, seed=SEED)
    assert len(engine.plan.programs) == 1
    engine.submit(fresh(space.encode(configs), np.arange(2)))
    found = collect_all(engine)
    p = {**space.constants, **space.params(space.encode(configs))[0]}
    start = initial(task, p, 0).variables["params"]
    losses, params, out = plain_loop(task, start, p)
    value, curves, _, state = found[0]
    np.testing.assert_allclose(curves["train_loss"], losses, rtol=1e-3)
    fitted = task.export(p, state)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        fitted.variables["params"],
        params,
    )

    # Each head's scores are scikit-learn's.
    validation = task.splits.validation.y
    chances = np.asarray(jax.nn.softmax(out[:, KIND]))
    expected = {
        "val_kind_loss": log_loss(validation["kind"], chances),
        "val_kind_accuracy": accuracy_score(validation["kind"], chances.argmax(1)),
        "val_alcohol_loss": np.mean(
            (out[:, ALCOHOL] - task.data()["validation_y"]["alcohol"]) ** 2
        ),
        "val_alcohol_r2": r2_score(
            validation["alcohol"],
            task.heads["alcohol"].outputs(jnp.asarray(out)),
        ),
    }
    for name, score in expected.items():
        np.testing.assert_allclose(curves[name][-1], score, rtol=2e-3, err_msg=name)
    total = 2.0 * expected["val_kind_loss"] + expected["val_alcohol_loss"]
    np.testing.assert_allclose(curves["val_loss"][-1], total, rtol=2e-3)
    mean = (expected["val_kind_accuracy"] + expected["val_alcohol_r2"]) / 2
    assert value == pytest.approx(mean, rel=2e-3)
    assert curves["train_alcohol_r2"][-1] > curves["train_alcohol_r2"][0]
    # Nobody teaches the second member about alcohol.
    assert found[1][1]["val_alcohol_r2"][-1] < curves["val_alcohol_r2"][-1]

    part = task.splits.test
    predicted = fitted.predict(part.x)
    assert predicted["kind"].shape == (len(part), 3)
    assert predicted["alcohol"].shape == (len(part), 2)
    [scores] = engine.test(p, [state])
    right = np.mean(np.argmax(predicted["kind"], axis=1) == part.y["kind"])
    assert scores["test_kind_accuracy"] == pytest.approx(right)
    r2 = r2_score(part.y["alcohol"], predicted["alcohol"])
    assert scores["test_alcohol_r2"] == pytest.approx(r2, abs=1e-5)


def test_one_step_agrees_to_a_hundred_thousandth_with_mixup():
    task = MultiTask(two_heads(), model=models.MLP(width=4, depth=1))
    hp = Hyperparameters({"learning_rate": 0.1, "optimizer": "sgd", "mixup": 0.0})
    data = jax.tree.map(jnp.asarray, task.data())

    @jax.jit
    def both(key):
        state = task.init(hp, key)
        rows = jnp.arange(SIZE)
        after, _ = task.step(hp, state, data, rows, key)

        def loss_of(params):
            out = PlainMLP(4, 1, "relu", 5).apply(
                {"params": params}, data["train_x"][:SIZE]
            )
            first = optax.softmax_cross_entropy_with_integer_labels(
                out[:, KIND], data["train_y"]["kind"][:SIZE]
            )
            second = jnp.square(out[:, ALCOHOL] - data["train_y"]["alcohol"][:SIZE])
            return jnp.mean(first) + jnp.mean(second)

        params = state.variables["params"]
        grads = jax.grad(loss_of)(params)
        plain = jax.tree.map(lambda w, g: w - 0.1 * g, params, grads)
        return after.variables["params"], plain

    with jax.numpy_dtype_promotion("standard"):
        got, expected = both(jax.random.key(0))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        got,
        expected,
    )


def test_several_targets_of_one_regression_have_the_scores_of_sklearn():
    dataset = two_heads()["alcohol"]
    task = Regression(dataset, model=models.MLP(width=4, depth=1), metric="r2")
    hp = Hyperparameters({})
    data = jax.tree.map(jnp.asarray, task.data())
    state = jax.jit(lambda key: task.init(hp, key))(jax.random.key(0))
    scores = jax.jit(lambda: task.evaluate(hp, state, data))()
    part = task.splits.validation
    predicted = task.export(hp, state).predict(part.x)
    assert predicted.shape == part.y.shape == (len(part), 2)
    r2 = r2_score(part.y, predicted)
    np.testing.assert_allclose(scores["val_r2"], r2, rtol=1e-4)
    # Errors are of scaled targets, as several have no unit in common.
    scaled = np.abs(predicted - part.y) / task.target_scaler.scale
    np.testing.assert_allclose(scores["val_mae"], np.mean(scaled), rtol=1e-4)


def heads(**changes):
    return MultiTask(two_heads(), **changes)


def with_other_examples():
    both = two_heads()
    return MultiTask({**both, "other": datasets.wine()})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (with_other_examples, DataError, "'other' differs from that of 'kind'"),
        (lambda: MultiTask({"a": datasets.wine()}), ValueError, "at least two"),
        (lambda: heads(objective="kinds"), HyperparameterError, "Did you mean 'kind'"),
        (lambda: heads(weights={"kin": 1}), HyperparameterError, "Did you mean 'kind'"),
        (lambda: heads(weights={"kind": -1}), HyperparameterError, "at least 0"),
        (
            lambda: heads(metrics={"alcohol": "rmse"}),
            HyperparameterError,
            "one direction for objective='mean'",
        ),
        (
            lambda: heads(metrics={"kind": "f1"}, objective="kind"),
            HyperparameterError,
            "there are 3 classes",
        ),
    ],
)
def test_heads_that_do_not_fit_say_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_weights_of_heads_are_checked_and_unknown_ones_refused():
    task = heads(metrics={"alcohol": "mae"}, objective="alcohol")
    assert (task.metric, task.direction) == ("val_alcohol_mae", "minimize")
    with pytest.raises(
        HyperparameterError, match="loss_weight_kind must be at least 0"
    ):
        Engine(task, Space(loss_weight_kind=Float(-1.0, 1.0)), rows=1)
    with pytest.raises(HyperparameterError, match="Did you mean 'loss_weight_kind'"):
        Engine(task, Space(loss_weight_kid=Float(0.0, 1.0)), rows=1)
