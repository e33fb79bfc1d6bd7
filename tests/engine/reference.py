"""A plain Flax and Optax loop, written without evotune's engine, layers or tasks.

It shares with evotune only what a reader could look up: the recipe of the keys, and the
initial variables, which it is given.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

ORDER, INIT, STEP = 2**31, 0, 1


def member_key(seed: int, trial: int) -> jax.Array:
    """The key on which all randomness of a trial's replica 0 hangs."""
    return jax.random.fold_in(jax.random.key(seed), trial)


class PlainMLP(linen.Module):
    """Parameter names as evotune exports them."""

    width: int
    depth: int
    activation: str
    outputs: int

    @linen.compact
    def __call__(self, x):
        for layer in range(self.depth):
            x = linen.Dense(self.width, name=f"hidden_{layer}")(x)
            x = getattr(linen, self.activation)(x)
        return linen.Dense(self.outputs, name="output")(x)


def plain_optimizer(p: dict) -> optax.GradientTransformation:
    """optax's own optimisers by their own names; weight decay on kernels only."""

    def kernels(params):
        return jax.tree.map(lambda w: w.ndim >= 2, params)

    rate, decay = p["learning_rate"], p.get("weight_decay", 0.0)
    decayed = {"weight_decay": decay, "mask": kernels}
    name = p["optimizer"]
    if name == "adamw":
        tx = optax.adamw(rate, b1=p["b1"], b2=p["b2"], **decayed)
    elif name == "lion":
        tx = optax.lion(rate, b1=p["b1"], b2=p["b2"], **decayed)
    elif name == "adam":
        tx = optax.adam(rate, b1=p["b1"], b2=p["b2"])
        assert decay == 0.0
    elif name == "sgd":
        tx = optax.sgd(rate, momentum=p["momentum"], nesterov=p["nesterov"])
        assert decay == 0.0
    else:
        tx = optax.rmsprop(rate, momentum=p["momentum"], nesterov=p["nesterov"])
        assert decay == 0.0
    return optax.chain(optax.clip_by_global_norm(p["gradient_clip"]), tx)


def plain_training(module, variables, data, p: dict, *, seed: int, tx=None) -> dict:
    """Trains ``module`` from ``variables`` one step at a time.

    Args:
        tx: optax optimiser; None makes `plain_optimizer` of ``p``.

    Returns:
        train_loss of every step, val_loss and val_accuracy of every epoch, params.
    """
    train_x, train_y = jnp.asarray(data["train_x"]), jnp.asarray(data["train_y"])
    val_x, val_y = jnp.asarray(data["validation_x"]), jnp.asarray(data["validation_y"])
    classes = int(train_y.max()) + 1
    tx = plain_optimizer(p) if tx is None else tx
    params, opt_state = variables["params"], tx.init(variables["params"])

    def loss_of(params, x, y):
        logits = module.apply({"params": params}, x)
        labels = optax.smooth_labels(jax.nn.one_hot(y, classes), p["label_smoothing"])
        loss = jnp.mean(optax.softmax_cross_entropy(logits, labels))
        kernels = [w for w in jax.tree.leaves(params) if w.ndim >= 2]
        penalty = p["l1"] * sum(jnp.sum(jnp.abs(w)) for w in kernels)
        penalty += p["l2"] * sum(jnp.sum(w**2) for w in kernels)
        return loss + penalty, loss

    @jax.jit
    def step(params, opt_state, x, y):
        grads, loss = jax.grad(loss_of, has_aux=True)(params, x, y)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    @jax.jit
    def evaluate(params):
        logits = module.apply({"params": params}, val_x)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, val_y)
        return jnp.mean(loss), jnp.mean(jnp.argmax(logits, -1) == val_y)

    size, rows = p["batch_size"], len(train_x)
    losses, val_losses, accuracies = [], [], []
    with jax.numpy_dtype_promotion("standard"):
        for epoch in range(p["epochs"]):
            key = jax.random.fold_in(
                jax.random.fold_in(jax.random.key(seed), ORDER), epoch
            )
            order = np.asarray(jax.random.permutation(key, rows))
            for start in range(0, rows - size + 1, size):
                batch = order[start : start + size]
                params, opt_state, loss = step(
                    params, opt_state, train_x[batch], train_y[batch]
                )
                losses.append(float(loss))
            val_loss, accuracy = evaluate(params)
            val_losses.append(float(val_loss))
            accuracies.append(float(accuracy))
    return {
        "train_loss": losses,
        "val_loss": val_losses,
        "val_accuracy": accuracies,
        "params": params,
    }
