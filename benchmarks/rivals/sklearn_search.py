"""Rival: scikit-learn's `RandomizedSearchCV` over `MLPClassifier`, a process a core.

Command:   python -m benchmarks.rivals.sklearn_search --width 64
Hardware:  CPU.
Time:      about half a minute on two cores; ``--tiny`` takes 5 s.
Result:    one line of JSON with seconds, trainings a second and accuracies.

One predefined split, so that each candidate is fitted once; Adam, as many epochs and
batches of as many rows as all others, no early stopping, no refit, one thread in each
process. scikit-learn trains on the rest of an epoch as a smaller batch of its own, so
the rows are cut to whole batches; it scores a candidate at its end, while the others do
so after every epoch.
"""

from __future__ import annotations

import time
import warnings

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import PredefinedSplit, RandomizedSearchCV
from sklearn.neural_network import MLPClassifier

from benchmarks._harness import Data, cores
from benchmarks._sides import RivalResult, side_main


class AllEpochs(MLPClassifier):
    """Does not warn that a training of so many epochs has ended after them."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> AllEpochs:
        """As its base class."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted: AllEpochs = super().fit(x, y)
        return fitted


def run(
    data: Data,
    learning_rates: np.ndarray,
    *,
    width: int,
    epochs: int,
    batch_size: int,
    seed: int,
    processes: int | None = None,
) -> RivalResult:
    """Searches the given learning rates, each of them once.

    Args:
        data: What all of them train on.
        learning_rates: f32[L], one training each.
        width: Units of each hidden layer.
        epochs: Epochs of each training.
        batch_size: Rows of a batch.
        seed: Of initial values and of the data order.
        processes: That train at once; None for one on each core.
    """
    at_once = processes or cores()
    rows = len(data.x_train) // batch_size * batch_size
    x = np.concatenate([data.x_train[:rows], data.x_valid])
    y = np.concatenate([data.y_train[:rows], data.y_valid])
    fold = np.repeat([-1, 0], [rows, len(data.x_valid)])
    rates = [float(rate) for rate in learning_rates]
    network = AllEpochs(
        hidden_layer_sizes=(width, width),
        batch_size=batch_size,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        alpha=0.0,
        random_state=seed,
    )
    # The start of the processes, and their imports, are nobody's training time.
    once = clone(network).set_params(max_iter=1)
    with joblib.Parallel(at_once) as parallel:
        parallel(joblib.delayed(time.sleep)(0.5) for _ in range(at_once))
        parallel(joblib.delayed(once.fit)(x, y) for _ in range(4 * at_once))
    start = time.perf_counter()
    search = RandomizedSearchCV(
        network,
        {"learning_rate_init": rates},
        n_iter=len(rates),
        cv=PredefinedSplit(fold),
        n_jobs=at_once,
        refit=False,
        random_state=seed,
        error_score="raise",
    ).fit(x, y)
    train_seconds = time.perf_counter() - start
    scores = search.cv_results_["split0_test_score"]
    tried = search.cv_results_["param_learning_rate_init"]
    by_rate = dict(zip(map(float, tried), scores, strict=True))
    return RivalResult(
        compile_seconds=0.0,
        train_seconds=train_seconds,
        accuracies=np.asarray([[by_rate[rate]] for rate in rates], np.float32),
    )


if __name__ == "__main__":
    side_main(run)
