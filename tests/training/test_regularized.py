"""Weight decay, l1 and l2 act on the chosen weights, as optax's masks do."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evotune import datasets, models, nn
from evotune._errors import HyperparameterError
from evotune.tasks import Classification, Hyperparameters
from evotune.training import make_optimizer, regularized
from tests.engine.reference import PlainMLP

RATE, DECAY, L1, L2 = 0.01, 0.3, 0.02, 0.05

PARAMS = {
    "hidden_0": {"kernel": jnp.full((3, 2), 0.5), "bias": jnp.asarray([0.3, -0.2])},
    "norm": {"scale": jnp.asarray([1.0, 2.0])},
    "output": {"kernel": jnp.full((2, 2), -0.7), "bias": jnp.asarray([0.1, 0.2])},
}
CHOICES = {
    "kernels": {"hidden_0/kernel", "output/kernel"},
    "all": {
        *("hidden_0/kernel", "hidden_0/bias", "norm/scale"),
        *("output/kernel", "output/bias"),
    },
    "^hidden": {"hidden_0/kernel", "hidden_0/bias"},
    "kernel$": {"hidden_0/kernel", "output/kernel"},
    lambda path, weight: weight.shape == (2, 2): {"output/kernel"},
}


def names(mask):
    flat = jax.tree_util.tree_leaves_with_path(mask)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, chosen in flat
        if chosen
    }


@pytest.mark.parametrize("which", CHOICES)
def test_what_is_chosen(which):
    assert names(regularized(which)(PARAMS)) == CHOICES[which]


@pytest.mark.parametrize("name", ["adamw", "lion"])
def test_every_step_is_that_of_optax_with_a_mask(name):
    mask = regularized("^hidden")
    wanted = {
        "hidden_0": {"kernel": True, "bias": True},
        "norm": {"scale": False},
        "output": {"kernel": False, "bias": False},
    }
    hp = {"optimizer": name, "learning_rate": RATE, "weight_decay": DECAY}
    own = make_optimizer(hp, decayed=mask)
    plain = getattr(optax, name)(RATE, weight_decay=DECAY, mask=wanted)

    def train(tx):
        def step(carry, _):
            params, state = carry
            grads = jax.tree.map(jnp.sin, params)
            updates, state = tx.update(grads, state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), params

        return jax.lax.scan(step, (PARAMS, tx.init(PARAMS)), length=5)[1]

    with jax.numpy_dtype_promotion("standard"):  # optax is not strict
        got, expected = jax.jit(lambda: (train(own), train(plain)))()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, expected
    )


def test_a_padded_task_regularises_the_chosen_weights_only():
    task = Classification(
        datasets.wine(),
        model=models.MLP(depth=1, activation="tanh"),
        regularize="^output",
    )
    rates = {"weight_decay": DECAY, "l1": L1, "l2": L2}
    hp = {"optimizer": "adamw", "learning_rate": RATE, **rates}
    module = PlainMLP(5, 1, "tanh", 3)
    data = jax.tree.map(jnp.asarray, task.data())
    rows = jnp.arange(60).reshape(3, 20)
    chosen = {
        "hidden_0": {"kernel": False, "bias": False},
        "output": {"kernel": True, "bias": True},
    }
    tx = optax.adamw(RATE, weight_decay=DECAY, mask=chosen)

    def loss_of(params, batch):
        logits = module.apply({"params": params}, data["train_x"][batch])
        losses = optax.softmax_cross_entropy_with_integer_labels(
            logits, data["train_y"][batch]
        )
        weights = jax.tree.leaves(params["output"])
        penalty = L1 * sum(jnp.sum(jnp.abs(w)) for w in weights)
        return jnp.mean(losses) + penalty + L2 * sum(jnp.sum(w**2) for w in weights)

    @jax.jit
    def both(width, key):
        padded = Hyperparameters({**hp, "width": nn.Size(width, 8)})
        state = task.init(padded, key)
        small = task.model.slice(
            state.variables, Hyperparameters({"width": 5}), task.info
        )
        params = jax.tree.map(lambda w: w + 0.1, small["params"])  # no bias is 0
        grown = jax.tree.map(
            lambda old, new: old.at[tuple(map(slice, new.shape))].set(new),
            state.variables["params"],
            params,
        )
        state = task.init(padded, key)
        state = type(state)(variables={"params": grown}, optimizer=state.optimizer)
        opt_state = tx.init(params)
        for batch in rows:
            state, _ = task.step(padded, state, data, batch, key)
            grads = jax.grad(loss_of)(params, batch)
            updates, opt_state = tx.update(grads, opt_state, params)
            params = optax.apply_updates(params, updates)
        return state.variables, params

    with jax.numpy_dtype_promotion("standard"):
        variables, expected = jax.device_get(both(jnp.int32(5), jax.random.key(0)))
    got = task.model.slice(variables, Hyperparameters({"width": 5}), task.info)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        got["params"],
        expected,
    )


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("[", "is none"),
        (3, "or a function"),
        ("dense", "chooses none of hidden_0/bias"),
    ],
)
def test_what_chooses_nothing_is_an_error(which, message):
    with pytest.raises(HyperparameterError, match=message):
        regularized(which)(PARAMS)
