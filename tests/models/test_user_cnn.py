"""A user's own CNN is computed in the fast form, and is otherwise left alone."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from flax.linen import pooling

from evotune import nn
from evotune.models import Info, as_model
from evotune.models._pooling import fast_pooling
from evotune.tasks import Hyperparameters


@pytest.fixture(autouse=True)
def _plain_promotion():
    with jax.numpy_dtype_promotion("standard"):  # Flax is not strict
        yield


INFO = Info(input_shape=(9, 8, 2), num_outputs=3)
SLOW = ("conv_general_dilated", "reduce_window", "select_and_scatter")


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x, train: bool):
        x = linen.Conv(4, (3, 3), strides=2, name="a")(x)
        x = linen.relu(linen.BatchNorm(not train, name="n")(x))
        x = linen.max_pool(x, (2, 2), strides=(2, 2))
        x = linen.Conv(6, (2, 2), padding="CIRCULAR", name="b")(x)
        x = linen.avg_pool(linen.relu(x), (2, 2), padding="SAME")
        return linen.Dense(3, name="c")(x.reshape(x.shape[0], -1))


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.a = nnx.Conv(2, 4, (3, 3), strides=2, rngs=rngs)
        self.n = nnx.BatchNorm(4, rngs=rngs)
        self.b = nnx.Conv(4, 6, (2, 2), padding="CIRCULAR", rngs=rngs)
        self.c = nnx.Linear(24, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.n(self.a(x))), (2, 2), strides=(2, 2))
        x = nnx.avg_pool(nnx.relu(self.b(x)), (2, 2), padding="SAME")
        return self.c(x.reshape(x.shape[0], -1))


def plain_linen(variables, x):
    outputs, new = Linen().apply(variables, x, train=True, mutable=["batch_stats"])
    return outputs, {**variables, **new}


def plain_nnx(variables, x):
    module = Nnx(nnx.Rngs(0))
    for kind, name in ((nnx.Param, "params"), (nnx.BatchStat, "statistics")):
        state = nnx.state(module, kind)
        nnx.replace_by_pure_dict(state, variables[name])
        nnx.update(module, state)
    module.train()
    outputs = module(x)
    statistics = nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))
    return outputs, {**variables, "statistics": statistics}


@pytest.mark.parametrize(
    ("model", "plain"),
    [(lambda: Linen(), plain_linen), (lambda rngs: Nnx(rngs), plain_nnx)],
    ids=["linen", "nnx"],
)
def test_a_users_cnn_is_fast_and_equal(model, plain):
    network = as_model(model).network(Hyperparameters({}), INFO)
    variables = network.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (5, 9, 8, 2))

    def fast(variables, x):
        return network.apply(variables, x, train=True, key=jax.random.key(0))

    def grads(apply):
        def loss(params):
            outputs, new = apply({**variables, "params": params}, x)
            return jnp.sum(jnp.sin(outputs)), (outputs, new)

        return jax.grad(loss, has_aux=True)

    params = variables["params"]
    text = str(jax.make_jaxpr(grads(fast))(params))
    assert not [word for word in SLOW if word in text]
    got, (outputs, new) = jax.jit(grads(fast))(params)
    expected, (expected_outputs, expected_new) = jax.jit(grads(plain))(params)
    np.testing.assert_allclose(outputs, expected_outputs, rtol=1e-5, atol=1e-5)
    scale = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(expected))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * scale)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        {k: v for k, v in new.items() if k != "params"},
        {k: v for k, v in expected_new.items() if k != "params"},
    )


def test_what_is_handed_out_is_as_the_user_wrote_it():
    shared, x = Nnx(nnx.Rngs(0)), jnp.ones((2, 9, 8, 2))
    texts = []
    for model in (lambda: Linen(), lambda rngs: shared):
        network = as_model(model).network(Hyperparameters({}), INFO)
        variables = network.init(jax.random.key(0))
        network.apply(variables, x, train=False, key=None)
        module = network.fitted(variables)
        if isinstance(module, nnx.Module):
            assert module.a.conv_general_dilated is jax.lax.conv_general_dilated
            call = module
        else:
            call = module.bind(variables)
            call = functools.partial(call, train=False)
        texts.append(str(jax.make_jaxpr(call)(x)))
    for text in texts:
        assert "conv_general_dilated" in text
        assert "reduce_window" in text


def test_modules_of_the_users_attributes_are_put_back():
    inner = linen.Conv(4, (3, 3))

    class Outer(linen.Module):
        conv: linen.Module

        @linen.compact
        def __call__(self, x):
            return linen.Dense(3)(jnp.mean(self.conv(x), axis=(1, 2)))

    network = as_model(lambda: Outer(inner)).network(Hyperparameters({}), INFO)
    variables = network.init(jax.random.key(0))
    network.apply(variables, jnp.ones((2, 9, 8, 2)), train=False, key=None)
    assert inner.conv_general_dilated is None


def test_a_convolution_of_the_users_own_is_used():
    calls = []

    def own(*arguments, **options):
        calls.append(1)
        return jax.lax.conv_general_dilated(*arguments, **options)

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.Conv(4, (3, 3), conv_general_dilated=own)(x)
            return linen.Dense(3)(jnp.mean(x, axis=(1, 2)))

    network = as_model(lambda: Net()).network(Hyperparameters({}), INFO)
    network.init(jax.random.key(0))
    assert calls


def test_flax_has_its_pooling_back_afterwards_also_after_an_error():
    flax = pooling.pool

    def fails():
        with fast_pooling(), fast_pooling():
            assert pooling.pool is nn.reduce_windows
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert pooling.pool is flax


def test_the_drop_ins_take_what_flax_passes():
    """Flax may pass more in a later version; then this says so first."""
    theirs = list(inspect.signature(pooling.pool).parameters)
    assert list(inspect.signature(nn.reduce_windows).parameters) == theirs
    lax = inspect.signature(jax.lax.conv_general_dilated).parameters
    ours = inspect.signature(nn.conv_general_dilated).parameters
    named = [name for name in ours if name != "others"]
    assert list(lax)[: len(named)] == named
