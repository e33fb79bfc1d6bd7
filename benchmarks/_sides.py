"""The sides of a comparison, each in a process of its own.

A *side* is a module with a function

    run(data, learning_rates, *, width, epochs, batch_size, seed) -> RivalResult

and ``if __name__ == "__main__": side_main(run, devices=...)``. `run_alone` starts it in
a process of its own, so that no side profits from what another has compiled, and gives
back what it measured. Sides run as modules from the root of the project:
``python -m benchmarks.rivals.handwritten``.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks._harness import ROOT, Data, digits, random_learning_rates


@dataclasses.dataclass(frozen=True, kw_only=True)
class RivalResult:
    """What one side took and reached.

    Attributes:
        compile_seconds: Tracing, lowering and compiling.
        train_seconds: All else between the call of ``run`` and its results on the host.
        accuracies: f32[L, E] validation accuracy of training l after epoch e.
        again_seconds: f64[K] of each further time that all of it was trained, from the
            learning rates to the results on the host; empty where it never was.
    """

    compile_seconds: float
    train_seconds: float
    accuracies: np.ndarray
    again_seconds: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    @property
    def seconds(self) -> float:
        """All of it, in seconds: what a user waits for."""
        return self.compile_seconds + self.train_seconds

    @property
    def steady_seconds(self) -> float:
        """Once all is compiled: the median further time, else ``train_seconds``."""
        if len(self.again_seconds):
            return float(np.median(self.again_seconds))
        return self.train_seconds

    def to_json(self) -> dict[str, Any]:
        """The figures of this run; of the accuracies, what is needed to compare."""
        last = np.asarray(self.accuracies, np.float64)[:, -1]
        return {
            "compile_seconds": self.compile_seconds,
            "train_seconds": self.train_seconds,
            "seconds": self.seconds,
            "trainings": len(last),
            "trainings_per_second": len(last) / self.seconds,
            "ms_per_training_after_compile": 1e3 * self.steady_seconds / len(last),
            "mean_accuracy": float(last.mean()),
            "best_accuracy": float(last.max()),
        }


class Side(Protocol):
    """One way to train all configurations."""

    def __call__(
        self,
        data: Data,
        learning_rates: np.ndarray,
        *,
        width: int,
        epochs: int,
        batch_size: int,
        seed: int,
    ) -> RivalResult:
        """Trains one network for each learning rate."""
        ...


def timed_again(train: Callable[[], Any], times: int) -> np.ndarray:
    """Seconds of each of so many further calls: f64[times]."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        train()
        seconds.append(time.perf_counter() - start)
    return np.asarray(seconds)


def missing(packages: Iterable[str]) -> str | None:
    """What to install for ``packages``, by import name; None where all are there."""
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    if not absent:
        return None
    return (
        f"not measured, as {', '.join(absent)} cannot be imported: "
        "pip install 'evotune[rivals]'"
    )


def side_main(run: Side, *, devices: int = 1, needs: Sequence[str] = ()) -> None:
    """The command line of a side: prints its figures as one line of JSON.

    Args:
        run: The side.
        devices: CPU devices that its best form wants.
        needs: Import names of optional packages; where one is missing, a line that
            says how to install it is all that is printed.
    """
    import jax

    parser = argparse.ArgumentParser(description=run.__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--trainings", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--devices", type=int, default=devices)
    parser.add_argument("--option", nargs=2, action="append", default=[])
    parser.add_argument("--input", type=Path, help="npz of the data, not digits")
    parser.add_argument("--output", type=Path, help="npz of the result")
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.width, options.trainings, options.epochs = 8, 4, 2
    if line := missing(needs):
        print(line)
        return
    jax.config.update("jax_num_cpu_devices", options.devices)
    jax.local_devices()  # starting JAX is nobody's training time

    if options.input:
        with np.load(options.input) as stored:
            arrays = dict(stored)
        learning_rates = arrays.pop("learning_rates")
        data = Data(**arrays)
    else:
        data = digits(options.seed)
        learning_rates = random_learning_rates(options.trainings, options.seed)
    extra = {name: json.loads(value) for name, value in options.option}
    result = run(
        data,
        learning_rates,
        width=options.width,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        **extra,
    )
    if options.output:
        np.savez(options.output, **dataclasses.asdict(result))
    print(json.dumps(result.to_json()))


def run_alone(
    module: str,
    data: Data,
    learning_rates: np.ndarray,
    *,
    width: int,
    epochs: int,
    batch_size: int,
    seed: int,
    options: Mapping[str, Any] | None = None,
    devices: int | None = None,
    timeout: float = 600.0,
) -> RivalResult:
    """Runs a side in a fresh process, with nothing compiled and nothing cached.

    Args:
        module: Such as "benchmarks.rivals.handwritten".
        data: What it trains on.
        learning_rates: f32[L], one training each.
        width: Units of each hidden layer.
        epochs: Epochs of each training.
        batch_size: Rows of a batch.
        seed: Of initial values and of the data order.
        options: Further keyword arguments of its ``run``.
        devices: CPU devices; None for as many as its best form wants.
        timeout: Seconds after which it has failed.

    Raises:
        RuntimeError: If the process fails; shows what it printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(given, learning_rates=learning_rates, **dataclasses.asdict(data))
        command = [sys.executable, *(f"-W{rule}" for rule in sys.warnoptions)]
        command += ["-m", module]
        command += ["--width", str(width), "--epochs", str(epochs)]
        command += ["--batch-size", str(batch_size), "--seed", str(seed)]
        command += ["--input", str(given), "--output", str(made)]
        if devices is not None:
            command += ["--devices", str(devices)]
        for name, value in (options or {}).items():
            command += ["--option", name, json.dumps(value)]
        # A compilation cache on disk would hide what compiling costs.
        environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"no result after {timeout:.0f} s: {module}") from error
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
        with np.load(made) as stored:
            return RivalResult(
                compile_seconds=float(stored["compile_seconds"]),
                train_seconds=float(stored["train_seconds"]),
                accuracies=stored["accuracies"],
                again_seconds=stored["again_seconds"],
            )


def median_of(runs: Sequence[RivalResult]) -> RivalResult:
    """The run whose total time is the median; of an even number, the lower one."""
    if not runs:
        raise ValueError("a median needs at least one run, but got runs=[].")
    middle = statistics.median_low([run.seconds for run in runs])
    return next(run for run in runs if run.seconds == middle)
