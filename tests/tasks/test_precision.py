"""bfloat16 on request: float32 weights, losses and models around bfloat16 networks."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import evotune as et
from evotune import nn
from evotune._errors import HyperparameterError
from evotune.models._mlp_module import MLPNetwork
from evotune.tasks import Classification, Hyperparameters

ONE = 2.0**-8  # the distance from 1 to the next number of bfloat16, halved
STEPS, SIZE = 50, 32


class Plain(linen.Module):
    """A user's own module, which Flax computes in ``dtype`` where told so."""

    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, x, train=False):
        x = linen.Dense(24, dtype=self.dtype)(x)
        x = linen.BatchNorm(
            use_running_average=not train, momentum=0.9, dtype=self.dtype
        )(x)
        x = linen.LayerNorm(dtype=self.dtype)(linen.relu(x))
        return linen.Dense(10, dtype=self.dtype)(x)


class PlainNnx(nnx.Module):
    """The same for nnx."""

    def __init__(self, rngs, dtype=None):
        self.hidden = nnx.Linear(64, 24, dtype=dtype, rngs=rngs)
        self.norm = nnx.BatchNorm(24, momentum=0.9, dtype=dtype, rngs=rngs)
        self.output = nnx.Linear(24, 10, dtype=dtype, rngs=rngs)

    def __call__(self, x):
        return self.output(nnx.relu(self.norm(self.hidden(x))))


def floats(tree):
    return {
        leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, "f")
    }


def dots(text):
    """The element types of the operands of each matrix product in a lowered program."""
    found = re.findall(r"stablehlo\.dot_general.*: \((.*)\) ->", text)
    return [set(re.findall(r"x(f32|bf16|f64)>", types)) for types in found]


@pytest.mark.parametrize("kind", ["linen", "nnx"])
def test_a_module_of_the_users_own_trains_as_flax_trains_it_in_bfloat16(kind):
    """Flax with dtype=bfloat16, param_dtype=float32 and Optax, from the same start."""
    digits = et.datasets.digits()
    made = {
        "linen": lambda: Plain(),
        "nnx": lambda rngs: PlainNnx(rngs),
    }
    task = Classification(digits, model=made[kind], precision="bfloat16")
    hp = Hyperparameters({"learning_rate": 0.05, "optimizer": "sgd"})
    data = jax.tree.map(jnp.asarray, task.data())
    rows = jnp.asarray(
        np.random.default_rng(1).integers(0, len(data["train_x"]), (STEPS, SIZE))
    )
    start = jax.jit(lambda key: task.init(hp, key))(jax.random.key(3))
    assert floats(start) == {jnp.dtype(jnp.float32)}
    tx = optax.sgd(0.05)

    def linen_outputs(params, rest, x):
        module = Plain(jnp.bfloat16)
        return module.apply({"params": params, **rest}, x, True, mutable=list(rest))

    graph, _, kept = nnx.split(PlainNnx(nnx.Rngs(0), jnp.bfloat16), nnx.Param, ...)

    def nnx_outputs(params, rest, x):
        variables = nnx.merge_state(_state(params, kind=nnx.Param), _filled(kept, rest))
        module = nnx.merge(graph, variables)
        module.train()
        outputs = module(x)
        found = nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.Param)))
        return outputs, {"statistics": found}

    apply = linen_outputs if kind == "linen" else nnx_outputs

    def plain(carry, batch):
        params, opt_state, rest = carry

        def loss_of(params):
            outputs, rest_after = apply(params, rest, data["train_x"][batch])
            assert outputs.dtype == jnp.bfloat16
            losses = optax.softmax_cross_entropy_with_integer_labels(
                outputs.astype(jnp.float32), data["train_y"][batch]
            )
            return jnp.mean(losses), rest_after

        (loss, after), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state, dict(after)), loss

    def own(state, batch):
        state, found = task.step(hp, state, data, batch, jax.random.key(0))
        return state, found["train_loss"]

    rest = {k: v for k, v in start.variables.items() if k != "params"}
    params = start.variables["params"]
    with jax.numpy_dtype_promotion("standard"):
        (plain_params, _, plain_rest), plain_losses = jax.jit(
            lambda carry: jax.lax.scan(plain, carry, rows)
        )((params, tx.init(params), rest))
    end, losses = jax.jit(lambda state: jax.lax.scan(own, state, rows))(start)
    assert floats(end) == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(losses[0], plain_losses[0], rtol=ONE)
    np.testing.assert_allclose(losses, plain_losses, rtol=0.1, atol=0.02)
    both = jax.tree.leaves(end.variables["params"]), jax.tree.leaves(plain_params)
    for got, expected in zip(*both, strict=True):
        np.testing.assert_allclose(got, expected, atol=0.05)
    rest = {k: v for k, v in end.variables.items() if k != "params"}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=0.1), rest, plain_rest
    )


def _state(params, *, kind):
    return nnx.State(jax.tree.map(kind, params))


def _filled(kept, rest):
    filled = jax.tree.map(lambda x: x, kept)
    nnx.replace_by_pure_dict(filled, rest["statistics"])
    return filled


FAMILIES = {
    "mlp": (
        et.models.MLP(),
        {
            "width": nn.Size(jnp.int32(5), 8),
            "depth": nn.Size(jnp.int32(2), 2),
            "activation": nn.Choice(jnp.int32(1), ("relu", "gelu")),
            "norm": nn.Choice(jnp.int32(1), nn.NORMS),
            "residual": jnp.asarray(True),
            "dropout": jnp.float32(0.2),
            "drop_path": jnp.float32(0.2),
        },
    ),
    "cnn": (
        et.models.CNN(shape=(8, 8, 1), stages=1, se=True),
        {"channels": nn.Size(jnp.int32(3), 4), "norm": "batch", "width": 8},
    ),
    "resnet": (
        et.models.ResNet(shape=(8, 8, 1), channels=4, stages=1),
        {"skip": nn.Choice(jnp.int32(0), ("projection", "identity"))},
    ),
    "gru": (et.models.RNN(width=6, patch=16, norm="layer", residual=True), {}),
    "lstm": (et.models.RNN(width=6, patch=16, cell="lstm", pooling="mean"), {}),
    "transformer": (
        et.models.Transformer(width=8, patch=4, image_shape=(8, 8), depth=1),
        {
            "position": nn.Choice(jnp.int32(0), ("learned", "sinusoidal", "none")),
            "norm_position": nn.Choice(jnp.int32(1), ("pre", "post")),
            "heads": nn.Size(jnp.int32(1), 2),
            "attention_dropout": jnp.float32(0.1),
        },
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_multiplies_in_bfloat16_and_learns_in_float32(name):
    model, sizes = FAMILIES[name]
    task = Classification(et.datasets.digits(), model=model, precision="bfloat16")
    hp = Hyperparameters({"learning_rate": 0.01, **sizes})
    shapes = jax.eval_shape(lambda key: task.init(hp, key), jax.random.key(0))
    rng = np.random.default_rng(0)
    before = jax.tree.map(
        lambda x: jnp.asarray(np.abs(rng.normal(size=x.shape)) / 4, x.dtype), shapes
    )
    data = {key: rows[:16] for key, rows in task.data().items()}

    def step(state, data, key):
        return task.step(hp, state, data, jnp.arange(16), key)

    lowered = jax.jit(step).lower(before, data, jax.random.key(0))
    products = dots(lowered.as_text())
    assert len(products) > 5
    assert all(types == {"bf16"} for types in products)
    step = lowered.compile({"xla_backend_optimization_level": 0})
    after, recorded = step(before, data, jax.random.key(0))
    assert floats((before, after, recorded)) == {jnp.dtype(jnp.float32)}
    assert np.isfinite(recorded["train_loss"])
    moved = [
        np.max(np.abs(new - old))
        for new, old in zip(
            jax.tree.leaves(after.variables["params"]),
            jax.tree.leaves(before.variables["params"]),
            strict=True,
        )
    ]
    assert all(np.isfinite(moved))
    assert np.median(moved) > 1e-3


def test_float32_is_the_program_that_it_was():
    task = Classification(et.datasets.digits())
    assert type(task.computed(Hyperparameters({}))) is MLPNetwork
    assert task.in_float32() is task


def test_a_population_in_bfloat16_learns_about_as_well_and_leaves_in_float32():
    space = et.Space(learning_rate=et.Float(3e-3, 2e-2, log=True), epochs=6)
    scores, found = {}, {}
    for precision in ("float32", "bfloat16"):
        model = et.models.MLP(width=32, depth=1)
        task = Classification(et.datasets.digits(), model=model, precision=precision)
        result = et.tune(task, space, n_trials=4, progress=False, seed=1)
        scores[precision] = np.asarray([trial.value for trial in result.trials])
        found[precision] = result
    assert np.all(np.abs(scores["float32"] - scores["bfloat16"]) < 0.03)
    assert np.max(scores["bfloat16"]) > 0.93
    result = found["bfloat16"]
    fitted = result.best_model()
    assert floats(fitted.variables) == {jnp.dtype(jnp.float32)}
    test = task.splits.test
    outputs = fitted.predict(test.x)
    plain = fitted.module.apply(fitted.variables, jnp.asarray(task.preprocess(test.x)))
    assert outputs.dtype == jnp.float32
    np.testing.assert_allclose(outputs, plain, rtol=1e-5, atol=1e-5)
    accuracy = np.mean(np.argmax(outputs, axis=1) == test.y)
    np.testing.assert_allclose(result.test_metrics()["test_accuracy"], accuracy)


def test_what_traces_is_told_apart_without_rounding():
    """A user's rate is traced, as in float32: no warning, no program for each value."""
    task = Classification(
        et.datasets.digits(),
        model=lambda hp: Gated(hp.gate),
        precision="bfloat16",
    )
    space = et.Space(gate=et.Float(0.1, 0.9), epochs=1)
    assert len(et.plan(task, space, n_trials=4).programs) == 1


class Gated(linen.Module):
    gate: float

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(8)(x)
        return linen.Dense(10)(x * self.gate / (1.0 + self.gate))


def test_an_unknown_precision_is_told_what_there_is():
    with pytest.raises(HyperparameterError, match=r"float16 would need"):
        Classification(et.datasets.digits(), precision="float16")
