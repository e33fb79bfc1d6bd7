"""The side that is ours: `evotune.tune` with random search over learning rates.

Command:   python -m benchmarks.rivals.evotune_tune --width 64
Hardware:  CPU, one device for each core.
Time:      about 6 s on two cores; ``--tiny`` takes 3 s.
Result:    one line of JSON with seconds, trainings a second and accuracies.

It is the public call and nothing else, journal in memory, no progress bar. It draws its
own learning rates from the range of those given, and splits the rows given anew into as
many for training and for validation.
"""

from __future__ import annotations

import time

import numpy as np

import evotune as et
from benchmarks._harness import Data, RivalResult, cores, side_main
from evotune import algorithms, datasets, engine, models, report, study, tasks  # noqa: F401


def run(
    data: Data,
    learning_rates: np.ndarray,
    *,
    width: int,
    epochs: int,
    batch_size: int,
    seed: int,
    together: int = 256,
) -> RivalResult:
    """Tunes the learning rate, with as many trials as there are learning rates.

    Args:
        data: What all of them train on.
        learning_rates: f32[L]; their number and range count.
        width: Units of each hidden layer.
        epochs: Epochs of each training.
        batch_size: Rows of a batch.
        seed: Of the search, of initial values and of the data order.
        together: Members proposed at once.
    """
    start = time.perf_counter()
    x = np.concatenate([data.x_train, data.x_valid])
    y = np.concatenate([data.y_train, data.y_valid])
    task = et.tasks.Classification(
        et.datasets.arrays(x, y, name="given"),
        model=et.models.MLP(),
        validation=len(data.x_valid) / len(x),
        test=0.0,
        standardize=False,
    )
    space = et.Space(
        learning_rate=et.Float(
            float(learning_rates.min()), float(learning_rates.max()), log=True
        ),
        optimizer="adam",
        width=width,
        depth=2,
        batch_size=batch_size,
        epochs=epochs,
    )
    result = et.tune(
        task,
        space,
        algorithm=et.RandomSearch(batch_size=min(together, len(learning_rates))),
        n_trials=len(learning_rates),
        seed=seed,
        progress=False,
    )
    accuracies = np.zeros((len(learning_rates), epochs), np.float32)
    for trial in result.trials:
        curve = trial.curves["val_accuracy"]  # ends early where it diverged
        accuracies[trial.number, : len(curve)] = curve
    compile_seconds = result.seconds["compile"]
    return RivalResult(
        compile_seconds=compile_seconds,
        train_seconds=time.perf_counter() - start - compile_seconds,
        accuracies=accuracies,
    )


if __name__ == "__main__":
    side_main(run, devices=cores())
