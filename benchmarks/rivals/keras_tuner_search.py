"""Rival: KerasTuner's random search over Keras models on the JAX backend.

Command:   python -m benchmarks.rivals.keras_tuner_search --trainings 8
           python -m benchmarks.rivals.keras_tuner_search --option form '"usual"'
Hardware:  CPU. Needs keras and keras-tuner: pip install 'evotune[rivals]'.
Time:      under a minute on two cores; ``--tiny`` takes 20 s.
Result:    one line of JSON with seconds, trainings a second and accuracies.

``usual``: ``tuner.search`` as it comes, which builds, compiles and saves a model for
each trial. ``best``: `run_trial` overridden, as KerasTuner's guide shows it, so that
one model is built and compiled, and given its first weights and a learning rate in each
trial; a whole epoch in one call (``steps_per_execution``), nothing saved.

Seconds of the first trial beyond those of the others count as compiling, so a few
trials tell what many would take.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import warnings
from typing import Any, Literal

import numpy as np

from benchmarks._harness import Data
from benchmarks._sides import RivalResult, side_main

Form = Literal["best", "usual"]


def build(data: Data, width: int, rate: float, steps: int) -> Any:
    """The network of all rivals in Keras, compiled with Adam."""
    import keras

    layers = [
        keras.Input(data.x_train.shape[1:]),
        *(
            keras.layers.Dense(
                width, activation="relu", kernel_initializer="lecun_normal"
            )
            for _ in range(2)
        ),
        keras.layers.Dense(
            int(data.y_train.max()) + 1, kernel_initializer="lecun_normal"
        ),
    ]
    model = keras.Sequential(layers)
    model.compile(
        optimizer=keras.optimizers.Adam(rate, epsilon=1e-8),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=steps,
    )
    return model


def reset(model: Any, weights: list[np.ndarray], rate: float) -> None:
    """A compiled model as it was before its first step, with another learning rate."""
    model.set_weights(weights)
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape, variable.dtype))
    model.optimizer.learning_rate.assign(rate)


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
    """Runs as many trials as there are learning rates.

    Args:
        data: What all trials train on.
        learning_rates: f32[L]; as many trials, in their range, drawn by the tuner.
        width: Units of each hidden layer.
        epochs: Epochs of each trial.
        batch_size: Rows of a batch.
        seed: Of initial values and of the data order.
        form: "best" or "usual".
    """
    os.environ["KERAS_BACKEND"] = "jax"
    warnings.simplefilter("ignore", DeprecationWarning)  # of KerasTuner's own code
    import keras
    import keras_tuner

    keras.utils.set_random_seed(seed)
    low, high = float(learning_rates.min()), float(learning_rates.max())
    rows = len(data.x_train) // batch_size * batch_size
    settings = {
        "x": data.x_train[:rows],
        "y": data.y_train[:rows],
        "validation_data": (data.x_valid, data.y_valid),
        "epochs": epochs,
        "batch_size": batch_size,
        "verbose": 0,
    }
    steps = rows // batch_size if form == "best" else 1
    curves: list[list[float]] = []
    ends: list[float] = []

    class Network(keras_tuner.HyperModel):
        """The search's own model: its learning rate is searched."""

        def build(self, hp: Any) -> Any:
            rate = hp.Float("learning_rate", low, high, sampling="log")
            return build(data, width, rate, steps)

        def fit(self, hp: Any, model: Any, *args: Any, **given: Any) -> Any:
            history = model.fit(*args, **given)
            curves.append(history.history["val_accuracy"])
            ends.append(time.perf_counter())
            return history

    class Search(keras_tuner.RandomSearch):
        """One model for all trials."""

        model: Any = None
        weights: Any = None

        def run_trial(self, trial: Any, **given: Any) -> float:
            """Trains the model anew; returns its validation accuracy."""
            hp = trial.hyperparameters
            if self.model is None:
                self.model = self.hypermodel.build(hp)
                self.weights = self.model.get_weights()
                self.model.optimizer.build(self.model.trainable_variables)
            reset(self.model, self.weights, hp.get("learning_rate"))
            history = self.hypermodel.fit(hp, self.model, **given)
            return float(history.history["val_accuracy"][-1])

    kind = Search if form == "best" else keras_tuner.RandomSearch
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tuner = kind(
            Network(),
            objective=keras_tuner.Objective("val_accuracy", "max"),
            max_trials=len(learning_rates),
            seed=seed,
            directory=folder,
            overwrite=True,
        )
        tuner.search(**settings)
        total = time.perf_counter() - start
    durations = np.diff([start, *ends])
    train_seconds = min(statistics.median(durations[1:]) * len(learning_rates), total)
    return RivalResult(
        compile_seconds=total - train_seconds,
        train_seconds=train_seconds,
        accuracies=np.asarray(curves, np.float32),
    )


if __name__ == "__main__":
    side_main(run, needs=("keras", "keras_tuner"))
