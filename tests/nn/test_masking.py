"""Masked means exact: a padded network is the plain one of its true size."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from evotune import nn
from evotune.models import MLP, Info
from evotune.tasks import Hyperparameters

leaves = jax.tree.leaves
INFO = Info(input_shape=(7,), num_outputs=3)
ACTIVATIONS = tuple(nn.ACTIVATIONS)


class PlainMLP(linen.Module):
    """Written with flax alone; parameter names as evotune exports them."""

    width: int
    depth: int
    activation: str

    @linen.compact
    def __call__(self, x):
        for layer in range(self.depth):
            x = linen.Dense(self.width, name=f"hidden_{layer}")(x)
            x = getattr(linen, self.activation)(x)
        return linen.Dense(3, name="output")(x)


def padded_hp(width, depth, activation="relu", capacity=(16, 4), **more):
    return Hyperparameters(
        {
            "width": nn.Size(jnp.int32(width), capacity[0]),
            "depth": nn.Size(jnp.int32(depth), capacity[1]),
            "activation": nn.Choice(
                jnp.int32(ACTIVATIONS.index(activation)), ACTIVATIONS
            ),
            **more,
        }
    )


def test_every_activation_maps_zero_to_zero():
    for name in ACTIVATIONS:
        assert nn.activation(name, jnp.zeros(3)).tolist() == [0.0, 0.0, 0.0], name


@pytest.mark.parametrize("inputs", [5, nn.Size(jnp.int32(5), 9)])
@pytest.mark.parametrize("outputs", [4, nn.Size(jnp.int32(4), 12)])
def test_initial_kernel_does_not_depend_on_padding(inputs, outputs):
    key = jax.random.key(3)
    plain = nn.lecun_normal(key, 5, 4, jnp.float32)
    assert jnp.unique(plain).size == 20
    kernel = nn.lecun_normal(key, inputs, outputs, jnp.float32)
    np.testing.assert_array_equal(kernel[:5, :4], plain)
    assert float(jnp.sum(jnp.abs(kernel))) == pytest.approx(
        float(jnp.sum(jnp.abs(plain)))
    )


def test_initial_variance_is_one_over_the_active_fan_in():
    for fan_in in (10, 40, 160):
        kernel = nn.lecun_normal(
            jax.random.key(0), nn.Size(jnp.int32(fan_in), 200), 400, jnp.float32
        )
        assert float(jnp.var(kernel[:fan_in]) * fan_in) == pytest.approx(1.0, rel=0.05)


def test_initial_values_do_not_depend_on_the_capacity():
    model, key = MLP(), jax.random.key(8)
    true = Hyperparameters({"width": 5, "depth": 2})
    plain = model.network(true, INFO).init(key)
    for capacity in ((5, 2), (9, 2), (16, 4)):
        padded = model.network(padded_hp(5, 2, capacity=capacity), INFO).init(key)
        jax.tree.map(
            np.testing.assert_array_equal, model.slice(padded, true, INFO), plain
        )


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("width", "depth"), [(1, 1), (5, 2), (11, 3), (16, 4)])
def test_padded_mlp_has_the_outputs_of_the_plain_flax_module(width, depth, activation):
    model = MLP()
    hp = padded_hp(width, depth, activation)
    network = model.network(hp, INFO)
    variables = network.init(jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (6, 7))
    outputs, _ = network.apply(variables, x, train=False, key=None)
    true = {"width": width, "depth": depth, "activation": activation}
    sliced = model.slice(variables, Hyperparameters(true), INFO)
    expected = PlainMLP(**true).apply(sliced, x)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adamw(0.01, weight_decay=0.1),
        optax.lion(0.003, weight_decay=0.1),
        optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1, momentum=0.9)),
        optax.rmsprop(0.01),
    ],
    ids=["adamw", "lion", "clipped_sgd", "rmsprop"],
)
@pytest.mark.parametrize(("width", "depth"), [(5, 1), (9, 3)])
def test_training_padded_and_plain_agree_step_by_step(width, depth, optimizer):
    model = MLP()
    hp = padded_hp(width, depth, "gelu")
    network = model.network(hp, INFO)
    true = Hyperparameters({"width": width, "depth": depth, "activation": "gelu"})
    plain = PlainMLP(**true)
    x = jax.random.normal(jax.random.key(2), (32, 7))
    y = jax.random.randint(jax.random.key(4), (32,), 0, 3)

    def loss(apply):
        def of(params):
            logits = apply(params)
            penalty = sum(nn.absolute_sum(w) + jnp.sum(w**2) for w in leaves(params))
            cross = optax.losses.softmax_cross_entropy_with_integer_labels(logits, y)
            return jnp.mean(cross) + 1e-3 * penalty

        return of

    padded_loss = loss(
        lambda p: network.apply({"params": p}, x, train=True, key=jax.random.key(0))[0]
    )
    plain_loss = loss(lambda p: plain.apply({"params": p}, x))
    padded = network.init(jax.random.key(1))["params"]
    small = model.slice({"params": padded}, true, INFO)["params"]

    def steps(value, params):
        def step(carry, _):
            params, state = carry
            loss_value, grads = jax.value_and_grad(value)(params)
            updates, state = optimizer.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), loss_value

        return jax.lax.scan(step, (params, optimizer.init(params)), length=50)

    with jax.numpy_dtype_promotion("standard"):  # optax is not strict
        (padded, _), padded_losses = jax.jit(lambda p: steps(padded_loss, p))(padded)
        (small, _), losses = jax.jit(lambda p: steps(plain_loss, p))(small)
    np.testing.assert_allclose(padded_losses[:2], losses[:2], rtol=1e-5)
    np.testing.assert_allclose(padded_losses[-1], losses[-1], rtol=1e-3)
    sizes = jax.tree.map(lambda w: jnp.sum(w != 0), padded)
    assert sizes["hidden_0"]["kernel"] <= 7 * width
    for layer in range(depth, 4):
        assert not jnp.any(padded[f"hidden_{layer}"]["kernel"])
        assert not jnp.any(padded[f"hidden_{layer}"]["bias"])


def test_absolute_sum_has_no_slope_at_zero():
    w = jnp.asarray([0.0, 2.0, -3.0])
    value, slope = jax.value_and_grad(nn.absolute_sum)(w)
    assert value == 5.0
    assert slope.tolist() == [0.0, 1.0, -1.0]


def test_dropout_is_bit_equal_to_flax():
    x = jax.random.normal(jax.random.key(0), (8, 5))
    key = jax.random.key(7)

    class Draw(linen.Module):
        @linen.compact
        def __call__(self):
            return self.make_rng("dropout")

    expected = linen.Dropout(0.3).apply(
        {}, x, deterministic=False, rng=jax.random.key(7)
    )
    for rate in (0.3, jnp.float32(0.3)):
        np.testing.assert_array_equal(nn.dropout(key, x, rate), expected)


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_dropout_at_the_ends_has_finite_values_and_gradients(rate):
    x = jnp.ones((4, 6))
    for function in (nn.dropout, nn.unit_dropout):
        value, grad = jax.value_and_grad(
            lambda x, f=function: jnp.sum(f(jax.random.key(0), x, jnp.float32(rate)))
        )(x)
        assert jnp.isfinite(value)
        assert jnp.all(jnp.isfinite(grad))
        if rate == 0.0:
            assert value == x.size
        if rate == 1.0:
            assert value == 0.0


def test_unit_dropout_draws_do_not_depend_on_padding():
    x = jnp.ones((4, 10))
    long = nn.unit_dropout(jax.random.key(0), x, 0.5)
    short = nn.unit_dropout(jax.random.key(0), x[:, :6], 0.5)
    np.testing.assert_array_equal(long[:, :6], short)


def test_drop_path_drops_whole_examples_and_keeps_the_expectation():
    x, rate = jax.random.normal(jax.random.key(1), (4000, 3)), 0.3
    y = nn.drop_path(jax.random.key(0), x, jnp.float32(rate))
    kept = np.asarray(y[:, 0] != 0)
    np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-6)
    assert not np.any(y[~kept])
    assert kept.mean() == pytest.approx(1 - rate, abs=0.03)
    short = nn.drop_path(jax.random.key(0), x[:5], rate)
    np.testing.assert_allclose(short, y[:5], rtol=1e-6)
    for bound in (0.0, 1.0):
        value, grad = jax.value_and_grad(
            lambda x, b=bound: jnp.sum(nn.drop_path(jax.random.key(0), x, b))
        )(jnp.ones((4, 2)))
        assert value == 8 * (1 - bound)
        assert jnp.all(jnp.isfinite(grad))


@pytest.mark.parametrize(
    "use", [bool, str, int, hash, lambda s: s == 3, lambda s: [1, 2][s]]
)
def test_a_traced_size_or_choice_refuses_to_be_a_python_value(use):
    for value in (nn.Size(jnp.int32(3), 8), nn.Choice(jnp.int32(0), ("a", "b"))):
        with pytest.raises(TypeError):
            use(value)
