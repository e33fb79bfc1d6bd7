"""A stepper is its optimiser, layer by layer, and leaves unused layers alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evotune import nn
from evotune.training import OPTIMIZERS, Stepper, is_kernel, make_optimizer, regularized


def tree(seed):
    keys = jax.random.split(jax.random.key(seed), 3)
    return {
        name: {"kernel": jax.random.normal(key, (3, 2)), "bias": jnp.ones(2)}
        for name, key in zip(("layer_0", "layer_1", "output"), keys, strict=True)
    }


def in_use(active, reached):
    used = nn.InUse(jnp.asarray(active), reached)
    return lambda _: {"layer_1": used}


HP = {"learning_rate": 0.1, "gradient_clip": 0.5, "gradient_clip_value": 0.9}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_layers_in_use_move_as_by_the_whole_optimizer(name):
    hp = {**HP, "optimizer": name, "weight_decay": 0.01}
    whole = make_optimizer(hp)
    stepper = Stepper(hp=hp, decayed=is_kernel, layers=in_use(True, jnp.asarray(True)))
    expected = params = tree(0)
    theirs, state = whole.init(params), stepper.init(params)
    for seed in (1, 2, 3):
        updates, theirs = whole.update(tree(seed), theirs, expected)
        expected = optax.apply_updates(expected, updates)
        params, state = jax.jit(stepper.step)(tree(seed), state, params)
    assert list(params) == list(expected)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        params,
        expected,
    )


@pytest.mark.parametrize("reached", [None, True, False])
def test_a_layer_out_of_use_stays_as_it_is(reached):
    hp = {"optimizer": "adamw", "learning_rate": 0.1}
    reached = None if reached is None else jnp.asarray(reached)
    stepper = Stepper(hp=hp, decayed=is_kernel, layers=in_use(False, reached))
    params = tree(0)
    state = stepper.init(params)
    moved, after = stepper.step(tree(1), state, params)
    jax.tree.map(np.testing.assert_array_equal, moved["layer_1"], params["layer_1"])
    jax.tree.map(np.testing.assert_array_equal, after["layer_1"], state["layer_1"])
    assert not np.allclose(moved["layer_0"]["kernel"], params["layer_0"]["kernel"])


def test_which_weights_decay_is_asked_of_all_of_them():
    """A pattern that fits no weight of one layer is no error."""
    hp = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 1.0}
    decayed = regularized("^output/kernel$")
    stepper = Stepper(hp=hp, decayed=decayed, layers=in_use(True, None))
    params = tree(0)
    zeros = jax.tree.map(jnp.zeros_like, params)
    moved, _ = stepper.step(zeros, stepper.init(params), params)
    expected = 0.9 * params["output"]["kernel"]
    np.testing.assert_allclose(moved["output"]["kernel"], expected, rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, moved["layer_1"], params["layer_1"])


def test_without_layers_it_is_the_optimizer():
    hp = {"learning_rate": 0.1}
    stepper = Stepper(hp=hp, decayed=is_kernel, layers=lambda _: {})
    params = tree(0)
    state = stepper.init(params)
    expected = make_optimizer(hp).init(params)
    assert jax.tree.structure(state) == jax.tree.structure(expected)
