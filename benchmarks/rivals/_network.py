"""The network and the training step that all rivals share, in plain Flax and Optax."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

Variables = Any
State = tuple[Variables, optax.OptState]


class MLP(nn.Module):
    """Two hidden layers of ``width`` units and one output for each class."""

    width: int
    classes: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits f32[B, classes] of inputs f32[B, F]."""
        x = nn.relu(nn.Dense(self.width)(x))
        x = nn.relu(nn.Dense(self.width)(x))
        return nn.Dense(self.classes)(x)


def member_key(seed: jax.Array | int, trial: jax.Array | int) -> jax.Array:
    """The key of a training's initial values: one for each trial, on every side."""
    return jax.random.fold_in(jax.random.key(seed), trial)


def loss_of(model: MLP, variables: Variables, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean cross-entropy of a batch."""
    logits = model.apply(variables, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def accuracy_of(
    model: MLP, variables: Variables, x: jax.Array, y: jax.Array
) -> jax.Array:
    """Share of rows whose largest logit is the right one."""
    logits = jnp.asarray(model.apply(variables, x))
    return jnp.mean(logits.argmax(axis=-1) == y, dtype=jnp.float32)


def adam_step(
    model: MLP,
    learning_rate: jax.Array,
    variables: Variables,
    moments: optax.OptState,
    x: jax.Array,
    y: jax.Array,
) -> State:
    """One step of Adam on one batch."""
    gradients = jax.grad(lambda given: loss_of(model, given, x, y))(variables)
    updates, moments = optax.adam(learning_rate).update(gradients, moments, variables)
    return optax.apply_updates(variables, updates), moments
