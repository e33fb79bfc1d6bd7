"""Mixup and averaged weights are what a plain Flax and Optax loop computes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evotune import datasets, models
from evotune._contracts import fresh
from evotune.engine import Engine
from evotune.space import Float, Int, Space
from evotune.tasks import Classification
from tests.engine.reference import ORDER, STEP, PlainMLP, member_key
from tests.engine.test_parity import SEED, collect_all, initial

MIXUP = 2**31 + 7
"""What `mixup` folds into the key of a step: part of the recipe of the keys."""

WIDTH, DEPTH, EPOCHS, SIZE = 6, 2, 2, 32


@pytest.fixture(scope="module")
def task():
    return Classification(
        datasets.wine(),
        model=models.MLP(width=WIDTH, depth=DEPTH, activation="tanh"),
    )


def plain_loop(task, trial, *, rate, alpha, decay, epochs=EPOCHS):
    """Losses by epoch, and the parameters that are handed out: one step at a time."""
    data = task.data()
    x, y = data["train_x"], data["train_y"]
    module = PlainMLP(WIDTH, DEPTH, "tanh", 3)
    params = initial(task, {}, trial).variables["params"]
    tx, ema = optax.sgd(rate), optax.ema(decay, debias=True)
    opt_state, average = tx.init(params), ema.init(params)
    step_key = jax.random.fold_in(member_key(SEED, trial), STEP)

    def cross_entropy(logits, labels):
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.mean(loss)

    @jax.jit
    def gradients(params, x, y, other_y, share):
        def loss_of(params):
            logits = module.apply({"params": params}, x)
            whole = share * cross_entropy(logits, y)
            return whole + (1.0 - share) * cross_entropy(logits, other_y)

        return jax.value_and_grad(loss_of)(params)

    train_losses, val_losses = [], []
    with jax.numpy_dtype_promotion("standard"):
        averaged = params
        for epoch in range(epochs):
            order_key = jax.random.fold_in(jax.random.key(SEED), ORDER)
            order_key = jax.random.fold_in(order_key, epoch)
            order = np.asarray(jax.random.permutation(order_key, len(x)))
            epoch_key = jax.random.fold_in(step_key, epoch)
            losses = []
            for number in range(len(x) // SIZE):
                rows = order[number * SIZE : (number + 1) * SIZE]
                others = np.concatenate([rows[-1:], rows[:-1]])
                key = jax.random.fold_in(jax.random.fold_in(epoch_key, number), MIXUP)
                share = float(jax.random.beta(key, alpha, alpha)) if alpha else 1.0
                mixed = share * x[rows] + (1.0 - share) * x[others]
                loss, grads = gradients(params, mixed, y[rows], y[others], share)
                updates, opt_state = tx.update(grads, opt_state)
                params = optax.apply_updates(params, updates)
                averaged, average = ema.update(params, average)
                losses.append(float(loss))
            train_losses.append(np.mean(losses))
            logits = module.apply({"params": averaged}, data["validation_x"])
            val_losses.append(float(cross_entropy(logits, data["validation_y"])))
    return train_losses, val_losses, averaged


def test_every_member_with_mixup_and_average_is_what_a_plain_loop_trains(task):
    alphas, decays = [0.0, 0.4, 1.0, 0.4], [0.9, 0.0, 0.99, 0.5]
    space = Space(
        learning_rate=0.1,
        optimizer="sgd",
        batch_size=SIZE,
        epochs=EPOCHS,
        mixup=Float(0.0, 1.0),
        ema=Float(0.0, 0.99),
    )
    configs = [{"mixup": a, "ema": d} for a, d in zip(alphas, decays, strict=True)]
    engine = Engine(task, space, rows=4, seed=SEED)
    engine.submit(fresh(space.encode(configs), np.arange(4)))
    found = collect_all(engine)
    for trial, config in enumerate(space.params(space.encode(configs))):
        losses, val_losses, params = plain_loop(
            task, trial, rate=0.1, alpha=config["mixup"], decay=config["ema"]
        )
        _, curves, _, state = found[trial]
        np.testing.assert_allclose(curves["train_loss"], losses, rtol=1e-4)
        np.testing.assert_allclose(curves["val_loss"], val_losses, rtol=1e-4)
        hp = {**space.constants, **config}
        fitted = task.export(hp, state)
        jax.tree.map(
            lambda got, wanted: np.testing.assert_allclose(
                got, wanted, rtol=1e-4, atol=1e-6
            ),
            fitted.variables["params"],
            params,
        )
        part = task.splits.test
        right = np.argmax(fitted.predict(part.x), axis=-1) == part.y
        [scores] = engine.test(hp, [state])
        assert scores["test_accuracy"] == pytest.approx(float(np.mean(right)), abs=1e-6)


def test_decay_0_takes_the_weights_as_they_are(task):
    entries = {"learning_rate": Float(1e-3, 1e-1), "epochs": 2, "batch_size": SIZE}
    x = np.asarray([[0.5]], np.float32)
    states = {}
    for name, more in {"none": {}, "off": {"ema": 0.0}}.items():
        engine = Engine(task, Space({**entries, **more}), rows=1, seed=SEED)
        engine.submit(fresh(x, np.arange(1)))
        states[name] = collect_all(engine)[0][3]
    assert states["none"].average is None
    off = states["off"]
    jax.tree.map(np.testing.assert_array_equal, off.average.variables, off.variables)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        off.variables,
        states["none"].variables,
    )


def test_padded_units_stay_zero_in_the_average():
    task = Classification(datasets.wine(), model=models.MLP(depth=1))
    space = Space(width=Int(4, 8), ema=0.9, epochs=1, batch_size=SIZE)
    engine = Engine(task, space, rows=2, seed=SEED)
    engine.submit(fresh(space.encode([{"width": 5}, {"width": 8}]), np.arange(2)))
    kernel = collect_all(engine)[0][3].evaluated["params"]["hidden_0"]["kernel"]
    assert kernel.shape == (13, 8)
    assert np.all(kernel[:, :5] != 0)
    assert np.all(kernel[:, 5:] == 0)
