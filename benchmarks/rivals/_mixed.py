"""Rivals: a mixed population's trainings, each in programs written for it alone.

`training` is one network, optimiser and schedule in plain Flax and optax. It is timed
in a population of its own kind, compiled already, and one training at a time in jitted
steps as they stand in an Optuna study, where it is compiled anew.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec

from benchmarks._harness import Data, compiler_options, data_orders
from benchmarks.rivals.handwritten import CACHE_BYTES

CLASSES = 10


def homogeneous_seconds(
    config: Mapping[str, Any], data: Data, *, seed: int, epochs: int
) -> float:
    """Seconds of one training, where all lanes train its kind, after compiling.

    Args:
        config: Its hyperparameters.
        data: What it trains on.
        seed: Of initial values and of the data order.
        epochs: How many are timed, for all of the training's own.
    """
    parameters = _parameters(config, data.x_train.shape[1])
    fitting = int(min(max(CACHE_BYTES // (12 * parameters), 1), 16))
    # Large products are sometimes faster two at a time though they leave the cache.
    blocks = (1, 2) if fitting == 1 else (fitting,)
    return min(
        seconds_in_blocks(block, config, data, seed=seed, epochs=epochs)
        for block in blocks
    )


def seconds_in_blocks(
    block: int, config: Mapping[str, Any], data: Data, *, seed: int, epochs: int
) -> float:
    """Seconds of one training, ``block`` of its kind under one ``vmap`` a device."""
    devices = jax.local_devices()
    orders = data_orders(
        seed,
        samples=len(data.x_train),
        epochs=epochs,
        batch_size=config["batch_size"],
    )
    total = config["epochs"] * orders.shape[1]
    init, step, accuracy = training(config, total)

    def train(rates: jax.Array, keys: jax.Array, *arrays: jax.Array) -> jax.Array:
        orders, x_train, y_train, x_valid, y_valid = arrays

        def one_step(state: Any, rows: jax.Array) -> tuple[Any, None]:
            x, y = x_train[rows], y_train[rows]
            update = jax.vmap(lambda rate, given: step(rate, given, x, y))
            return update(rates, state), None

        def epoch(state: Any, order: jax.Array) -> tuple[Any, jax.Array]:
            state, _ = jax.lax.scan(one_step, state, order)
            return state, jax.vmap(lambda given: accuracy(given, x_valid, y_valid))(
                state
            )

        state = jax.vmap(lambda key, rate: init(key, rate, x_train[:1]))(keys, rates)
        return jax.lax.scan(epoch, state, orders)[1].T

    members, shared = PartitionSpec("members"), PartitionSpec()
    program = jax.jit(
        jax.shard_map(
            train,
            mesh=Mesh(np.asarray(devices), ("members",)),
            in_specs=(members, members, *[shared] * 5),
            out_specs=members,
            check_vma=False,
        )
    )
    lanes = block * len(devices)
    arguments = (
        np.full((lanes,), config["learning_rate"], np.float32),
        jax.random.split(jax.random.key(seed), lanes),
        *(orders, data.x_train, data.y_train, data.x_valid, data.y_valid),
    )
    compiled = program.lower(*arguments).compile(compiler_options=compiler_options())
    arguments = jax.device_put(arguments, compiled.input_shardings[0])
    jax.block_until_ready(compiled(*arguments))
    runs = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        runs.append(time.perf_counter() - start)
    return float(statistics.median(runs) / epochs * config["epochs"] / lanes)


def seconds_in_steps(
    config: Mapping[str, Any], data: Data, device: jax.Device, *, seed: int, epochs: int
) -> tuple[float, float]:
    """Seconds of one training in jitted steps that never wait, and of its compiling.

    The batch is gathered inside the step and the state donated, as is best; a training
    of this kind is rarely met again, so that compiling is a part of each.

    Args:
        config: Its hyperparameters.
        data: What it trains on.
        device: Where.
        seed: Of initial values and of the data order.
        epochs: How many are timed, for all of the training's own.
    """
    orders = data_orders(
        seed,
        samples=len(data.x_train),
        epochs=epochs,
        batch_size=config["batch_size"],
    )
    init, step, accuracy = training(config, config["epochs"] * orders.shape[1])

    def one_step(state: Any, number: Any, rows: Any, x: Any, y: Any) -> Any:
        now = rows[number]
        return step(state[2], state, x[now], y[now]), number + 1

    with jax.default_device(device):
        arrays = jax.device_put(
            (orders.reshape(-1, orders.shape[-1]), data.x_train, data.y_train), device
        )
        valid = jax.device_put((data.x_valid, data.y_valid), device)
        given = jax.device_put(
            (
                jax.random.key(seed),
                np.float32(config["learning_rate"]),
                data.x_train[:1],
            ),
            device,
        )
        start = time.perf_counter()
        options = compiler_options()
        begin = jax.jit(init, compiler_options=options)
        move = jax.jit(one_step, donate_argnums=(0, 1), compiler_options=options)
        score = jax.jit(accuracy, compiler_options=options)
        state = begin(*given)
        number = jax.device_put(np.int32(0), device)
        moved = move.lower(state, number, *arrays).compile()
        scored = score.lower(state, *valid).compile()
        compiled = time.perf_counter()
        scores = []
        for order in orders:
            for _ in order:
                state, number = moved(state, number, *arrays)
            scores.append(scored(state, *valid))
        jax.device_get(scores)
        trained = time.perf_counter()
    compiling = compiled - start
    return compiling + (trained - compiled) / epochs * config["epochs"], compiling


def training(
    config: Mapping[str, Any], total: int
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """``init``, ``step`` and ``accuracy`` of one member, in plain Flax and optax."""
    act = getattr(nn, config["activation"])

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for _ in range(config["depth"]):
                x = act(nn.Dense(config["width"])(x))
            return nn.Dense(CLASSES)(x)

    network = Network()
    shapes = {
        "constant": optax.constant_schedule(1.0),
        "linear": optax.linear_schedule(1.0, 0.0, total),
        "cosine": optax.cosine_decay_schedule(1.0, total),
        "exponential": optax.exponential_decay(1.0, total, 0.01),
        "step": optax.exponential_decay(1.0, max(total // 4, 1), 0.5, staircase=True),
        "polynomial": optax.polynomial_schedule(1.0, 0.0, 2.0, total),
    }
    shape = shapes[config["schedule"]]

    def optimizer(rate: Any) -> optax.GradientTransformation:
        make = getattr(optax, config["optimizer"])
        return make(lambda count: rate * shape(count))

    def loss(variables: Any, x: Any, y: Any) -> Any:
        logits = network.apply(variables, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def init(key: Any, rate: Any, x: Any) -> Any:
        variables = network.init(key, x)
        return variables, optimizer(rate).init(variables), rate

    def step(rate: Any, state: Any, x: Any, y: Any) -> Any:
        variables, inner, _ = state
        gradients = jax.grad(loss)(variables, x, y)
        updates, inner = optimizer(rate).update(gradients, inner, variables)
        return optax.apply_updates(variables, updates), inner, rate

    def accuracy(state: Any, x: Any, y: Any) -> Any:
        logits = jnp.asarray(network.apply(state[0], x))
        return jnp.mean(logits.argmax(axis=-1) == y, dtype=jnp.float32)

    return init, step, accuracy


def _parameters(config: Mapping[str, Any], features: int) -> int:
    width, depth = config["width"], config["depth"]
    hidden = (features + 1) * width + (depth - 1) * (width + 1) * width
    return int(hidden + (width + 1) * CLASSES)
