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
from typing import Any

import numpy as np

import evotune as et
from benchmarks._harness import Data, cores
from benchmarks._sides import RivalResult, side_main
from benchmarks.rivals._modules import BLOCKS, HEADS, LINEN, PATCH, NnxMLP
from evotune import algorithms, datasets, engine, models, report, study, tasks  # noqa: F401


def run(
    data: Data,
    learning_rates: np.ndarray,
    *,
    width: int,
    epochs: int,
    batch_size: int,
    seed: int,
    network: str = "mlp",
    own: bool = False,
    together: int = 256,
    again: int = 0,
) -> RivalResult:
    """Tunes the learning rate, with as many trials as there are learning rates.

    Args:
        data: What all of them train on.
        learning_rates: f32[L]; their number and range count. A single one is taken as
            the end of a range that begins at half of it.
        width: Units of each hidden layer.
        epochs: Epochs of each training.
        batch_size: Rows of a batch.
        seed: Of the search, of initial values and of the data order.
        network: Which one, see `make_network`.
        own: Whether it is the user's own plain module, or evotune's of that name.
        together: Members proposed at once.
        again: How many further times as many trials are made, by the same search.
    """
    start = time.perf_counter()
    x = np.concatenate([data.x_train, data.x_valid])
    y = np.concatenate([data.y_train, data.y_valid])
    task = et.tasks.Classification(
        et.datasets.arrays(x, y, name="given"),
        model=model_of(network, width, own=own),
        validation=len(data.x_valid) / len(x),
        test=0.0,
        standardize=False,
    )
    low, high = float(learning_rates.min()), float(learning_rates.max())
    space = et.Space(
        learning_rate=et.Float(low if low < high else low / 2, high, log=True),
        optimizer="adam",
        width=width,
        batch_size=batch_size,
        epochs=epochs,
    )
    count = len(learning_rates)
    recorded: list[float] = []
    result = et.tune(
        task,
        space,
        algorithm=et.RandomSearch(batch_size=min(together, count)),
        n_trials=count * (1 + again),
        seed=seed,
        # Without further trials the clock stops when the call returns.
        callbacks=[lambda *_: recorded.append(time.perf_counter())] if again else [],
        progress=False,
    )
    ends = recorded[count - 1 :: count] or [time.perf_counter()]
    accuracies = np.zeros((count, epochs), np.float32)
    for trial in result.trials[:count]:
        curve = trial.curves["val_accuracy"]  # ends early where it diverged
        accuracies[trial.number, : len(curve)] = curve
    compile_seconds = result.seconds["compile"]
    return RivalResult(
        compile_seconds=compile_seconds,
        train_seconds=ends[0] - start - compile_seconds,
        accuracies=accuracies,
        again_seconds=np.diff(ends),
    )


def model_of(network: str, width: int, *, own: bool) -> Any:
    """What goes to ``model=``: a family of evotune's, or a function of the user's."""
    if network == "nnx":
        return lambda hp, info, rngs: NnxMLP(
            info.input_shape[0], hp.width, info.num_outputs, rngs=rngs
        )
    if own:
        return lambda hp, info: LINEN[network](hp.width, info.num_outputs)
    families = {
        "mlp": et.models.MLP(depth=2),
        "gru": et.models.RNN(cell="gru", patch=PATCH),
        "transformer": et.models.Transformer(
            heads=HEADS,
            head_size=width // HEADS,
            mlp_ratio=2,
            depth=BLOCKS,
            patch=PATCH,
        ),
    }
    return families[network]


if __name__ == "__main__":
    side_main(run, devices=cores())
