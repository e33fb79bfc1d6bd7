"""Rival: a jitted whole-training scan, one configuration at a time.

Command:   python -m benchmarks.rivals.scan_one --width 64
Hardware:  CPU.
Time:      about 10 s on two cores; ``--tiny`` takes 3 s.
Result:    one line of JSON with seconds, trainings a second and accuracies.

All epochs of a training are one call without a word of Python in between; the learning
rate is an argument, so that one compilation serves all trainings. ``at_once=2`` is more
than the name promises: as many trainings at the same time, each on a device and in a
thread of its own (``--devices 2 --option at_once 2``).
"""

from __future__ import annotations

import concurrent.futures
import functools
import time
from typing import Any

import jax
import numpy as np

from benchmarks._harness import Data, compiler_options, data_orders
from benchmarks._sides import RivalResult, side_main, timed_again
from benchmarks.rivals._modules import make_network
from benchmarks.rivals._network import train_one


def run(
    data: Data,
    learning_rates: np.ndarray,
    *,
    width: int,
    epochs: int,
    batch_size: int,
    seed: int,
    network: str = "mlp",
    at_once: int = 1,
    again: int = 0,
    optimization_level: int | None = 1,
) -> RivalResult:
    """Trains one learning rate after the other, each in one call.

    Args:
        data: What all of them train on.
        learning_rates: f32[L], one training each.
        width: Units of each hidden layer.
        epochs: Epochs of each training.
        batch_size: Rows of a batch.
        seed: Of initial values and of the data order.
        network: Which one, see `make_network`.
        at_once: Trainings at the same time, each on its own device.
        again: How many further times all of it is trained, to time that alone.
        optimization_level: Of XLA's code generation; None leaves its default.
    """
    start = time.perf_counter()
    devices = jax.local_devices()[:at_once]
    if len(devices) < at_once:
        raise ValueError(
            f"each training at once needs a device, but got {at_once=} with "
            f"{len(devices)} devices. Use --devices {at_once}."
        )
    model = make_network(network, width, int(data.y_train.max()) + 1)
    train = functools.partial(train_one, model, seed)
    orders = data_orders(
        seed, samples=len(data.x_train), epochs=epochs, batch_size=batch_size
    )

    arrays = (orders, data.x_train, data.y_train, data.x_valid, data.y_valid)
    options = compiler_options(optimization_level)
    rates = np.asarray(learning_rates, np.float32)

    def compile_on(device: jax.Device) -> tuple[Any, Any]:
        placed = jax.device_put(arrays, device)
        first = jax.device_put((rates[0], np.int32(0)), device)
        return placed, jax.jit(train).lower(*first, *placed).compile(options)

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        before = time.perf_counter()
        programs = list(pool.map(compile_on, devices))
        compile_seconds = time.perf_counter() - before

        def train_every(offset: int) -> list[np.ndarray]:
            placed, compiled = programs[offset]
            return [
                np.asarray(compiled(rates[trial], np.int32(trial), *placed))
                for trial in range(offset, len(rates), at_once)
            ]

        def train_all() -> np.ndarray:
            accuracies = np.empty((len(rates), epochs), np.float32)
            for offset, curves in enumerate(pool.map(train_every, range(at_once))):
                accuracies[offset::at_once] = curves
            return accuracies

        accuracies = train_all()
        train_seconds = time.perf_counter() - start - compile_seconds
        again_seconds = timed_again(train_all, again)
    return RivalResult(
        compile_seconds=compile_seconds,
        train_seconds=train_seconds,
        accuracies=accuracies,
        again_seconds=again_seconds,
    )


if __name__ == "__main__":
    side_main(run, devices=1)
