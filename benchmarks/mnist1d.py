"""How well do networks classify MNIST-1D, tuned in at most ten minutes a family?

Command:   python -m benchmarks.mnist1d                  (--tiny for a minute)
           python -m benchmarks.mnist1d --families gru   for one of them
Hardware:  CPU; the committed figures are of two cores.
Time:      about fifteen minutes on two cores.
Result:    benchmarks/results/mnist1d.json, and the table that it prints.

Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D" (2024), publish the
accuracy of networks that they tuned by hand, with neither augmentation nor schedule.
Here each family is tuned by the genetic algorithm, on validation examples taken from
the 4,000 to train on; then the two leading trials are trained again on five fresh
seeds, and those of the best mean on validation examples are scored once on the 1,000
test examples. The mean of these five is the figure; ten minutes hold the search, the
compiling and the five seeds. ``mlp`` and ``cnn`` also run without augmentation, as
``mlp_plain`` and ``cnn_plain``, which tells what it brings.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

import evotune as et
from benchmarks._harness import hardware, write_result

PUBLISHED = {"mlp": 0.68, "cnn": 0.94, "gru": 0.91}
"""Test accuracy of the authors' networks."""

VALIDATION = 0.15
LENGTH = 40


def shared() -> dict[str, Any]:
    """What every family has in common."""
    return {
        "optimizer": "adamw",
        "learning_rate": et.Float(1e-3, 3e-2, log=True),
        "weight_decay": et.Float(1e-4, 1e-1, log=True),
        "label_smoothing": et.Float(0.0, 0.1),
        "schedule": "cosine",
        "gradient_clip": 1.0,
        "batch_size": 100,
    }


def families() -> dict[str, tuple[Any, dict[str, Any], int, int]]:
    """Model, own dimensions, population and generations of each family."""
    mlp = {
        "width": et.Int(64, 160, log=True),
        "depth": et.Int(2, 3),
        "dropout": et.Float(0.0, 0.3),
        "activation": et.Categorical(["relu", "gelu", "silu", "tanh"]),
        "epochs": 30,
    }
    cnn = {
        "channels": et.Int(8, 20),
        "kernel_size": et.Categorical([3, 5]),
        "stages": 3,
        "width": 64,
        "norm": "batch",
        "dropout": et.Float(0.0, 0.4),
        "epochs": 16,
    }
    gru = {
        "width": et.Int(32, 48),
        "pooling": et.Categorical(["last", "mean"]),
        "dropout": et.Float(0.0, 0.3),
        "epochs": 20,
    }
    shift = {"shift": et.Float(0.0, 0.2)}
    return {
        "mlp": (et.models.MLP(), mlp | shift, 24, 4),
        "mlp_plain": (et.models.MLP(), mlp, 24, 4),
        "cnn": (et.models.CNN(), cnn | shift, 12, 2),
        "cnn_plain": (et.models.CNN(), cnn, 12, 2),
        "gru": (et.models.RNN(cell="gru"), gru | shift, 12, 3),
    }


def tuned(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Searches one family, confirms its leading trials, and scores the best."""
    model, own, population, generations = families()[name]
    changes: dict[str, Any] = {}
    if options.tiny:
        changes, population, generations = {"epochs": 1}, 4, 2
    start = time.perf_counter()
    task = et.tasks.Classification(
        et.datasets.mnist1d().reshape(LENGTH, 1), model=model, validation=VALIDATION
    )
    result = et.tune(
        task,
        et.Space({**shared(), **own, **changes}),
        algorithm=et.GeneticAlgorithm(population_size=population),
        generations=generations,
        seed=options.seed,
        progress=options.progress,
    )
    confirmed = result.confirm(top_k=options.top_k, seeds=options.seeds)
    scores = confirmed.test_metrics["test_accuracy"]
    published = PUBLISHED.get(name.removesuffix("_plain"))
    return {
        "trainings": len(result.trials),
        "seconds": time.perf_counter() - start,
        "compile_seconds": result.seconds["compile"],
        "programs": len(result.plan.programs),
        "searched_validation_accuracy": result.best_value,
        "confirmed_validation_accuracy": confirmed.best.mean,
        "test_accuracy": float(np.mean(scores)),
        "test_accuracies": scores.tolist(),
        "published": published,
        "gain": float(np.mean(scores)) - (published or 0.0),
        "params": dict(confirmed.best.params),
    }


def main() -> None:
    options = parse()
    described = hardware()
    found = {}
    for name in options.families or families():
        found[name] = run = tuned(name, options)
        each = run["test_accuracies"]
        print(
            f"{name:10} {run['trainings']:3} trainings, {run['seconds']:4.0f} s; "
            f"test {run['test_accuracy']:.4f} ({min(each):.3f} to {max(each):.3f}), "
            f"published {run['published']:.2f}, gain {run['gain']:+.4f}",
            flush=True,
        )
    if not (options.tiny or options.families):
        path = write_result(
            "mnist1d", found, settings=vars(options), described=described
        )
        print(f"Written to {path.relative_to(path.parents[2])}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--families", nargs="+", choices=list(families()))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=5, help="of the final trainings")
    parser.add_argument("--top-k", type=int, default=2, help="trials to confirm")
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="a minute")
    options = parser.parse_args()
    if options.tiny:
        options.families = options.families or ["mlp", "cnn"]
        options.seeds, options.top_k = 2, 1
    return options


if __name__ == "__main__":
    main()
