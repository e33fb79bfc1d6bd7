"""A user's own Flax module, linen or nnx, unchanged: bindings and parity."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from evotune import datasets
from evotune._contracts import Binding, fresh
from evotune._errors import HyperparameterError
from evotune.engine import Engine
from evotune.space import Categorical, Float, Int, Space
from evotune.tasks import Classification
from tests.engine.reference import INIT, ORDER, STEP, member_key
from tests.engine.test_parity import collect_all

SEED = 3


class Linen(linen.Module):
    width: int
    dropout: float
    classes: int

    @linen.compact
    def __call__(self, x, train: bool):
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(self.width)(x))
        x = linen.Dropout(self.dropout)(linen.relu(x), deterministic=not train)
        return linen.Dense(self.classes)(x)


class Nnx(nnx.Module):
    def __init__(self, inputs, width, dropout, classes, rngs):
        self.first = nnx.Linear(inputs, width, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.last = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x):
        return self.last(self.dropout(nnx.relu(self.norm(self.first(x)))))


def linen_model(hp, info):
    return Linen(hp.width, hp.dropout, info.num_outputs)


def nnx_model(hp, info, rngs):
    return Nnx(info.input_shape[0], hp.width, hp.dropout, info.num_outputs, rngs)


def wine(model):
    return Classification(datasets.wine(), model=model)


SPACE = Space(
    learning_rate=Float(1e-3, 1e-1, log=True),
    dropout=Float(0.1, 0.5),
    width=8,
    momentum=0.9,
    optimizer="sgd",
    batch_size=20,
    epochs=3,
)


def batches(task, size, epochs):
    """Rows of every batch, by the recipe of the keys."""
    rows = len(task.splits.train)
    for epoch in range(epochs):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(SEED), ORDER), epoch)
        order = np.asarray(jax.random.permutation(key, rows))
        for number, start in enumerate(range(0, rows - size + 1, size)):
            yield epoch, number, order[start : start + size]


def step_key(trial, epoch, number):
    key = jax.random.fold_in(member_key(SEED, trial), STEP)
    return jax.random.fold_in(jax.random.fold_in(key, epoch), number)


def plain_linen(task, params, trial):
    data = {k: jnp.asarray(v) for k, v in task.data().items()}
    module = Linen(8, float(np.float32(params["dropout"])), 3)
    key = jax.random.fold_in(member_key(SEED, trial), INIT)
    variables = module.init(key, jnp.zeros((1, 13)), train=False)
    tx = optax.sgd(params["learning_rate"], momentum=0.9)
    state = tx.init(variables["params"])

    @jax.jit
    def step(variables, state, rows, key):
        def loss(p):
            logits, updated = module.apply(
                {**variables, "params": p},
                data["train_x"][rows],
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            labels = data["train_y"][rows]
            cross = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return jnp.mean(cross), updated

        grads, updated = jax.grad(loss, has_aux=True)(variables["params"])
        updates, state = tx.update(grads, state)
        p = optax.apply_updates(variables["params"], updates)
        return {**updated, "params": p}, state

    for epoch, number, rows in batches(task, 20, 3):
        variables, state = step(variables, state, rows, step_key(trial, epoch, number))
    logits = module.apply(variables, data["validation_x"], train=False)
    labels = data["validation_y"]
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))


def plain_nnx(task, params, trial):
    data = {k: jnp.asarray(v) for k, v in task.data().items()}
    key = jax.random.fold_in(member_key(SEED, trial), INIT)
    module = Nnx(13, 8, float(np.float32(params["dropout"])), 3, nnx.Rngs(key))
    optimizer = nnx.Optimizer(
        module, optax.sgd(params["learning_rate"], momentum=0.9), wrt=nnx.Param
    )

    def loss(module, x, y):
        cross = optax.softmax_cross_entropy_with_integer_labels(module(x), y)
        return jnp.mean(cross)

    @nnx.jit
    def step(module, optimizer, rows):
        grads = nnx.grad(loss)(module, data["train_x"][rows], data["train_y"][rows])
        optimizer.update(module, grads)

    module.train()
    for epoch, number, rows in batches(task, 20, 3):
        nnx.reseed(module, params=step_key(trial, epoch, number))
        nnx.reseed(module, dropout=step_key(trial, epoch, number))
        nnx.reseed(module, default=step_key(trial, epoch, number))
        step(module, optimizer, rows)
    module.eval()
    return loss(module, data["validation_x"], data["validation_y"])


@pytest.mark.parametrize(
    ("model", "plain"),
    [(linen_model, plain_linen), (nnx_model, plain_nnx)],
    ids=["linen", "nnx"],
)
def test_a_module_with_batch_norm_and_dropout_trains_as_in_a_plain_loop(model, plain):
    task = wine(model)
    engine = Engine(task, SPACE, rows=3, seed=SEED, trainings=3)
    assert engine.plan.bindings["dropout"] is Binding.TRACED
    assert len(engine.plan.programs) == 1
    x = np.random.default_rng(0).random((3, 2)).astype(np.float32)
    engine.submit(fresh(x, np.arange(3)))
    found = collect_all(engine)
    for row, params in enumerate(SPACE.params(x)):
        expected = float(plain(task, params, row))
        value, curves, length, state = found[row]
        assert length == 3
        assert curves["val_loss"][2] == pytest.approx(expected, rel=1e-3), params
        fitted = task.export({**SPACE.constants, **params}, state)
        predicted = np.argmax(fitted.predict(task.splits.validation.x), axis=-1)
        accuracy = np.mean(predicted == task.splits.validation.y)
        assert accuracy == pytest.approx(value, abs=1e-6)


def test_what_flax_needs_as_a_python_value_becomes_static():
    space = Space(
        learning_rate=Float(1e-3, 1e-1, log=True), dropout=0.0, width=Int(4, 6)
    )
    engine = Engine(wine(linen_model), space, rows=4)
    assert engine.plan.bindings["width"] is Binding.STATIC
    assert [spec.static["width"] for spec in engine.plan.programs] == [4, 5, 6]


def test_too_many_static_values_are_an_error_with_advice():
    space = Space(learning_rate=Float(1e-3, 1e-1), dropout=0.0, width=Int(4, 64))
    with pytest.raises(HyperparameterError, match=r"'width'.*61 values.*Categorical"):
        Engine(wine(linen_model), space, rows=4)


class Named(linen.Module):
    """Traces, but means something else: the name is made from the value."""

    slope: float

    @linen.compact
    def __call__(self, x):
        scale = 2.0 if isinstance(self.slope, float) else 3.0
        return linen.Dense(3)(linen.leaky_relu(x * scale, self.slope))


def test_a_model_that_traces_to_something_else_is_static_with_a_warning():
    space = Space(
        learning_rate=Float(1e-3, 1e-1), slope=Categorical([0.1, 0.3]), epochs=1
    )
    with pytest.warns(UserWarning, match=r"'slope' can be traced, but"):
        engine = Engine(wine(lambda hp: Named(hp.slope)), space, rows=2)
    assert engine.plan.bindings["slope"] is Binding.STATIC


def test_the_user_can_ask_for_a_static_hyperparameter():
    space = Space(learning_rate=Categorical([0.1, 0.01]), dropout=0.0, width=4)
    engine = Engine(wine(linen_model), space, rows=2, static=["learning_rate"])
    assert len(engine.plan.programs) == 2
    with pytest.raises(HyperparameterError, match=r"learning_rat.*Did you mean"):
        Engine(wine(linen_model), space, rows=2, static=["learning_rat"])


class NoFlag(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(linen.Dropout(0.5, deterministic=False)(x))


def test_dropout_without_a_way_to_turn_it_off_is_an_error():
    space = Space(learning_rate=Float(1e-3, 1e-1))
    with pytest.raises(TypeError, match=r"NoFlag uses Dropout.*train"):
        Engine(wine(lambda: NoFlag()), space, rows=2)


class FlagInConstructor(linen.Module):
    train: bool

    @linen.compact
    def __call__(self, x):
        x = linen.BatchNorm(use_running_average=not self.train)(x)
        return linen.Dense(3)(x)


def test_the_mode_may_be_a_constructor_argument():
    task = wine(lambda train: FlagInConstructor(train))
    space = Space(learning_rate=Float(1e-3, 1e-1), batch_size=20, epochs=1)
    engine = Engine(task, space, rows=2)
    engine.submit(fresh(np.full((2, 1), 0.5, np.float32), np.arange(2)))
    statistics = collect_all(engine)[0][3].variables["batch_stats"]
    assert np.any(statistics["BatchNorm_0"]["mean"] != 0.0)


def test_outputs_that_do_not_fit_the_labels_are_an_error():
    space = Space(learning_rate=Float(1e-3, 1e-1))
    with pytest.raises(HyperparameterError, match=r"3 outputs.*info\.num_outputs"):
        Engine(wine(lambda: linen.Dense(5)), space, rows=2)


@pytest.mark.parametrize("model", [3, "mlp", linen.Dense, lambda hp: 5])
def test_what_is_no_model_is_an_error(model):
    space = Space(learning_rate=Float(1e-3, 1e-1))
    with pytest.raises(TypeError, match="model"):
        Engine(wine(model), space, rows=2)
