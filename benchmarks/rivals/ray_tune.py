"""Rival: Ray Tune around a jitted whole-training scan, a trial on each core.

Command:   python -m benchmarks.rivals.ray_tune --trainings 16
           python -m benchmarks.rivals.ray_tune --trainings 8 --option form '"usual"'
Hardware:  CPU. Needs ray[tune]: pip install 'evotune[rivals]'.
Time:      under a minute on two cores; ``--tiny`` takes 20 s.
Result:    one line of JSON with seconds, trainings a second and accuracies.

``best``: a class whose actors are reused, so that each compiles once, with the learning
rate an argument; one report a trial, no loggers, no checkpoints. ``usual``: a function
a trial, as in Ray's own examples, in a process of its own that imports and compiles.

Ray is started before the clock. Seconds until every core has finished its first trial
count as compiling, those from there on as training, per trial: so a few trials tell
what many would take.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
import time
from typing import Any, Literal

import numpy as np

from benchmarks._harness import ROOT, Data, compiler_options, cores, data_orders
from benchmarks._sides import RivalResult, side_main

Form = Literal["best", "usual"]


class Trainer:
    """A compiled training, in a process of Ray's."""

    def __init__(self, data: Data, orders: np.ndarray, width: int, seed: int) -> None:
        """Compiles it."""
        import jax

        from benchmarks.rivals._modules import make_network
        from benchmarks.rivals._network import train_one

        model = make_network("mlp", width, int(data.y_train.max()) + 1)
        train = functools.partial(train_one, model, seed)
        self._arrays = jax.device_put(
            (orders, data.x_train, data.y_train, data.x_valid, data.y_valid)
        )
        lowered = jax.jit(train).lower(np.float32(0), np.int32(0), *self._arrays)
        self._compiled = lowered.compile(compiler_options())

    def result(self, config: dict[str, Any]) -> dict[str, Any]:
        """What a trial reports, once it is trained."""
        rate, trial = np.float32(config["learning_rate"]), np.int32(config["trial"])
        curve = np.asarray(self._compiled(rate, trial, *self._arrays))
        return {
            "trial": config["trial"],
            "curve": curve.tolist(),
            "accuracy": float(curve[-1]),
            "finished": time.time(),
            "done": True,
        }


def trainable(form: Form, **setting: Any) -> Any:
    """What Ray runs: a class whose actors go on to further trials, or a function."""
    from ray import tune

    class Training(tune.Trainable):
        """One step is a whole training."""

        def setup(self, config: dict[str, Any], **given: Any) -> None:
            self.trainer = Trainer(**given)

        def step(self) -> dict[str, Any]:
            return self.trainer.result(self.config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True  # Ray itself exchanges ``self.config``

    def training(config: dict[str, Any], **given: Any) -> None:
        tune.report(Trainer(**given).result(config))

    chosen: Any = Training if form == "best" else training
    return tune.with_resources(tune.with_parameters(chosen, **setting), {"cpu": 1})


def run(
    data: Data,
    learning_rates: np.ndarray,
    *,
    width: int,
    epochs: int,
    batch_size: int,
    seed: int,
    form: Form = "best",
) -> RivalResult:
    """Runs a trial for each learning rate.

    Args:
        data: What all trials train on.
        learning_rates: f32[L], one trial each.
        width: Units of each hidden layer.
        epochs: Epochs of each trial.
        batch_size: Rows of a batch.
        seed: Of initial values and of the data order.
        form: Whether processes are used again, "best", or not, "usual".
    """
    # Each trial has one core; and nothing is written that nobody reads.
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray import tune

    orders = data_orders(
        seed, samples=len(data.x_train), epochs=epochs, batch_size=batch_size
    )
    trials = [
        {"learning_rate": float(rate), "trial": number}
        for number, rate in enumerate(learning_rates)
    ]
    ray.init(
        num_cpus=cores(),
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            start = time.time()
            tuner = tune.Tuner(
                trainable(form, data=data, orders=orders, width=width, seed=seed),
                param_space=tune.grid_search(trials),
                tune_config=tune.TuneConfig(reuse_actors=form == "best"),
                run_config=tune.RunConfig(
                    storage_path=folder,
                    verbose=0,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            with contextlib.redirect_stdout(sys.stderr):
                found = [result.metrics for result in tuner.fit()]
            total = time.time() - start
    finally:
        ray.shutdown()
    ends = sorted(metrics["finished"] for metrics in found)
    accuracies = np.zeros((len(trials), epochs), np.float32)
    for metrics in found:
        accuracies[metrics["trial"]] = metrics["curve"]
    train_seconds = steady_seconds(start, ends, cores())
    return RivalResult(
        compile_seconds=max(total - train_seconds, 0.0),
        train_seconds=train_seconds,
        accuracies=accuracies,
    )


def steady_seconds(start: float, ends: list[float], at_once: int) -> float:
    """Seconds of all trials at the pace that they have after the first on each core."""
    if len(ends) <= at_once:
        return ends[-1] - start
    return (ends[-1] - ends[at_once - 1]) / (len(ends) - at_once) * len(ends)


if __name__ == "__main__":
    side_main(run, needs=("ray",))
