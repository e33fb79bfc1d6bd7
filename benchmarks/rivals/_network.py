"""The training that all rivals share, of one network, in plain Flax and Optax."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks.rivals._modules import Network

Variables = Any
State = tuple[Variables, optax.OptState]


def member_key(seed: jax.Array | int, trial: jax.Array | int) -> jax.Array:
    """The key of a training's initial values: one for each trial, on every side."""
    return jax.random.fold_in(jax.random.key(seed), trial)


def loss_of(
    model: Network, variables: Variables, x: jax.Array, y: jax.Array
) -> jax.Array:
    """Mean cross-entropy of a batch."""
    logits = model.apply(variables, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def accuracy_of(
    model: Network, variables: Variables, x: jax.Array, y: jax.Array
) -> jax.Array:
    """Share of rows whose largest logit is the right one."""
    logits = jnp.asarray(model.apply(variables, x))
    return jnp.mean(logits.argmax(axis=-1) == y, dtype=jnp.float32)


def adam_step(
    model: Network,
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


def initial(
    model: Network, seed: int, trial: jax.Array, x_train: jax.Array
) -> Variables:
    """A training's variables before its first step."""
    return model.init(member_key(seed, trial), x_train[:1])


def train_one(
    model: Network,
    seed: int,
    rate: jax.Array,
    trial: jax.Array,
    orders: jax.Array,
    x_train: jax.Array,
    y_train: jax.Array,
    x_valid: jax.Array,
    y_valid: jax.Array,
) -> jax.Array:
    """A whole training, a scan over epochs of scans over steps.

    Returns:
        f32[epochs] validation accuracy after each epoch.
    """
    variables = initial(model, seed, trial, x_train)
    arrays = (orders, x_train, y_train, x_valid, y_valid)
    return train_from(model, variables, rate, *arrays)


def train_from(
    model: Network,
    variables: Variables,
    rate: jax.Array,
    orders: jax.Array,
    x_train: jax.Array,
    y_train: jax.Array,
    x_valid: jax.Array,
    y_valid: jax.Array,
) -> jax.Array:
    """`train_one`, from ``variables`` on."""

    def step(state: State, rows: jax.Array) -> tuple[State, None]:
        return adam_step(model, rate, *state, x_train[rows], y_train[rows]), None

    def epoch(state: State, order: jax.Array) -> tuple[State, jax.Array]:
        state, _ = jax.lax.scan(step, state, order)
        return state, accuracy_of(model, state[0], x_valid, y_valid)

    state = (variables, optax.adam(rate).init(variables))
    return jax.lax.scan(epoch, state, orders)[1]
