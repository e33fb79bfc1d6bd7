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
from jax.sharding import Mesh, PartitionSpec

from benchmarks._harness import Data, compiler_options, cores, data_orders
from benchmarks._sides import RivalResult, side_main, timed_again
from benchmarks.rivals._modules import make_network, parameters_of
from benchmarks.rivals._network import Variables, initial, train_from

CACHE_BYTES = 2**20
"""Of a core's own cache, what the state of a block may take."""


def cache_sized(parameters: int) -> int:
    """Members whose weights and Adam moments stay in the cache: a power of two <= 16.

    Measured as processor time a training, in ms, on cores with 2 MiB each.
    Width 64: 35 with 1 member, 28 with 4, 27 with 8, 30 with 16 or 32.
    Width 16: 19 with 1 member, 11 with 4, 8.4 with 8, 7.8 with 16, 8.4 with 32.
    """
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
    network: str = "mlp",
    block: int | None = None,
    again: int = 0,
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
        network: Which one, see `make_network`.
        block: Members under one ``vmap``; None takes as many as `cache_sized` says.
            With 1 there is no ``vmap``: members are mapped one after the other.
        again: How many further times all of it is trained, to time that alone.
        optimization_level: Of XLA's code generation; None leaves its default.
    """
    start = time.perf_counter()
    devices = jax.local_devices()
    model = make_network(network, width, int(data.y_train.max()) + 1)
    orders = data_orders(
        seed, samples=len(data.x_train), epochs=epochs, batch_size=batch_size
    )
    count = len(learning_rates)
    block = block or cache_sized(parameters_of(model, data.x_train))
    block = min(block, -(-count // len(devices)))
    lanes = -(-count // (block * len(devices))) * block * len(devices)
    # Lanes without a learning rate of their own train the last one again.
    lane = np.minimum(np.arange(lanes), count - 1).astype(np.int32)

    def train_share(
        rates: jax.Array, trials: jax.Array, *arrays: jax.Array
    ) -> jax.Array:
        # One after the other: XLA's runtime of jax 0.10 waits forever for several
        # batched QR decompositions in one program on several CPU devices, and the
        # initial values of a GRU are full of them.
        variables = jax.lax.map(
            lambda trial: initial(model, seed, trial, arrays[1]), trials
        )

        def train(variables: Variables, rate: jax.Array) -> jax.Array:
            return train_from(model, variables, rate, *arrays)

        if block == len(rates):
            return jax.vmap(train)(variables, rates)
        together = block if block > 1 else None
        return jax.lax.map(
            lambda given: train(*given), (variables, rates), batch_size=together
        )

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
    placed = jax.device_put(arguments, compiled.input_shardings[0])
    accuracies = np.asarray(compiled(*placed))[:count]
    train_seconds = time.perf_counter() - start - compile_seconds

    def once_more() -> np.ndarray:
        mine = jax.device_put(arguments[:2], compiled.input_shardings[0][:2])
        return np.asarray(compiled(*mine, *placed[2:]))

    return RivalResult(
        compile_seconds=compile_seconds,
        train_seconds=train_seconds,
        accuracies=accuracies,
        again_seconds=timed_again(once_more, again),
    )


if __name__ == "__main__":
    side_main(run, devices=cores())
