"""Rival: a population program written by hand for this one case, and nothing else.

Command:   python -m benchmarks.rivals.handwritten --width 64
Hardware:  CPU, one device for each core.
Time:      about 6 s on two cores; ``--tiny`` takes 3 s.
Result:    one line of JSON with seconds, trainings a second and accuracies.

It knows what a library cannot know beforehand: one network, one optimiser, one batch
size, nothing padded. Members run in blocks whose state stays in the cache, all blocks
inside one program, the members shared out over the devices; the batches are gathered
once for a block, not once for a member.
"""

from __future__ import annotations

import time

import jax
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec

from benchmarks._harness import (
    Data,
    RivalResult,
    compiler_options,
    cores,
    data_orders,
    side_main,
)
from benchmarks.rivals._network import MLP, State, accuracy_of, adam_step, member_key

CACHE_BYTES = 2**20
"""Of a core's own cache, what the state of a block may take."""


def cache_sized(features: int, width: int, classes: int) -> int:
    """Members whose weights and Adam moments stay in the cache: a power of two <= 16.

    Measured as processor time a training, in ms, on cores with 2 MiB each.
    Width 64: 35 with 1 member, 28 with 4, 27 with 8, 30 with 16 or 32.
    Width 16: 19 with 1 member, 11 with 4, 8.4 with 8, 7.8 with 16, 8.4 with 32.
    """
    parameters = (features + 1) * width + (width + 1) * (width + classes)
    fitting = CACHE_BYTES // (3 * 4 * parameters)
    return 2 ** (min(max(fitting, 1), 16).bit_length() - 1)


def run(
    data: Data,
    learning_rates: np.ndarray,
    *,
    width: int,
    epochs: int,
    batch_size: int,
    seed: int,
    block: int | None = None,
    optimization_level: int | None = 1,
) -> RivalResult:
    """Trains all learning rates in one compiled program.

    Args:
        data: What all members train on.
        learning_rates: f32[L], one training each.
        width: Units of each hidden layer.
        epochs: Epochs of each training.
        batch_size: Rows of a batch.
        seed: Of initial values and of the data order.
        block: Members under one ``vmap``; None takes as many as `cache_sized` says.
        optimization_level: Of XLA's code generation; None leaves its default.
    """
    start = time.perf_counter()
    devices = jax.local_devices()
    model = MLP(width=width, classes=int(data.y_train.max()) + 1)
    orders = data_orders(
        seed, samples=len(data.x_train), epochs=epochs, batch_size=batch_size
    )
    count = len(learning_rates)
    block = block or cache_sized(data.x_train.shape[1], width, model.classes)
    block = min(block, -(-count // len(devices)))
    lanes = -(-count // (block * len(devices))) * block * len(devices)
    # Lanes without a learning rate of their own train the last one again.
    lane = np.minimum(np.arange(lanes), count - 1).astype(np.int32)

    def train_block(
        arrays: tuple[jax.Array, ...], rates: jax.Array, trials: jax.Array
    ) -> jax.Array:
        orders, x_train, y_train, x_valid, y_valid = arrays

        def init(trial: jax.Array, rate: jax.Array) -> State:
            variables = model.init(member_key(seed, trial), x_train[:1])
            return variables, optax.adam(rate).init(variables)

        def step(state: State, rows: jax.Array) -> tuple[State, None]:
            x, y = x_train[rows], y_train[rows]
            update = jax.vmap(
                lambda rate, variables, moments: adam_step(
                    model, rate, variables, moments, x, y
                )
            )
            return update(rates, *state), None

        def epoch(state: State, order: jax.Array) -> tuple[State, jax.Array]:
            state, _ = jax.lax.scan(step, state, order)
            score = jax.vmap(lambda given: accuracy_of(model, given, x_valid, y_valid))
            return state, score(state[0])

        _, accuracies = jax.lax.scan(epoch, jax.vmap(init)(trials, rates), orders)
        return accuracies.T

    def train_share(
        rates: jax.Array, trials: jax.Array, *arrays: jax.Array
    ) -> jax.Array:
        blocks = (rates.reshape(-1, block), trials.reshape(-1, block))
        accuracies = jax.lax.map(lambda given: train_block(arrays, *given), blocks)
        return accuracies.reshape(-1, epochs)

    members, shared = PartitionSpec("members"), PartitionSpec()
    program = jax.jit(
        jax.shard_map(
            train_share,
            mesh=Mesh(np.asarray(devices), ("members",)),
            in_specs=(members, members, *[shared] * 5),
            out_specs=members,
            check_vma=False,
        )
    )
    arguments = (
        np.asarray(learning_rates, np.float32)[lane],
        lane,
        orders,
        data.x_train,
        data.y_train,
        data.x_valid,
        data.y_valid,
    )
    options = compiler_options(optimization_level)
    before = time.perf_counter()
    compiled = program.lower(*arguments).compile(compiler_options=options)
    compile_seconds = time.perf_counter() - before
    accuracies = np.asarray(compiled(*arguments))[:count]
    return RivalResult(
        compile_seconds=compile_seconds,
        train_seconds=time.perf_counter() - start - compile_seconds,
        accuracies=accuracies,
    )


if __name__ == "__main__":
    side_main(run, devices=cores())
