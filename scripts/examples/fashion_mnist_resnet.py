"""Evolves small residual networks on a part of Fashion-MNIST.

    python scripts/examples/fashion_mnist_resnet.py
    python scripts/examples/fashion_mnist_resnet.py --data FOLDER --full-size
    python scripts/examples/fashion_mnist_resnet.py --tiny   # on digits if need be

Width, depth, skips, stochastic depth and gates vary inside one compiled program. Images
are halved to 14 x 14, so that the search ends within two minutes on 2 CPU cores; prints
the best network and its score on images that the search never saw.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

import evotune as et

TINY = {"population": 4, "generations": 1, "epochs": 1, "rows": 400}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    data = load(options)
    shallow = options.tiny
    space = et.Space(
        learning_rate=et.Float(1e-3, 3e-2, log=True),
        weight_decay=et.Float(1e-6, 1e-2, log=True),
        channels=et.Int(4, 8),
        depth=1 if shallow else et.Int(1, 2),
        stages=1 if shallow else 2,
        skip=et.Categorical(["projection", "identity"]),
        drop_path=et.Float(0.0, 0.2),
        se=et.Bool(),
        optimizer="adamw",
        schedule="cosine",
        epochs=options.epochs,
    )
    task = et.tasks.Classification(data, model=et.models.ResNet())
    print(f"{data}\n{space}\n")
    result = et.tune(
        task,
        space,
        algorithm=et.GeneticAlgorithm(population_size=options.population),
        generations=options.generations,
        seed=options.seed,
    )
    print(f"\n{result}\n")
    print(et.models.describe(task.model, result.hyperparameters, task))
    print(f"test accuracy {result.test_metrics()['test_accuracy']:.4f}")


def load(options: argparse.Namespace) -> et.datasets.Dataset:
    """The first images of Fashion-MNIST; digits, if it is missing and the run tiny."""
    try:
        data = et.datasets.fashion_mnist(options.data)
    except et.DataError as error:
        if not options.tiny:
            sys.exit(f"{error}\nThen run this again, with --data FOLDER if need be.")
        print("Fashion-MNIST is not here: this tiny run takes digits.")
        return et.datasets.digits().reshape(8, 8, 1)
    size = (lambda x: x) if options.full_size else halved
    rows, test = options.rows, slice(2000)
    return et.datasets.arrays(
        size(data.x[:rows]),
        data.y[:rows],
        x_test=None if data.x_test is None else size(data.x_test[test]),
        y_test=None if data.y_test is None else data.y_test[test],
        class_names=data.class_names,
        name=f"fashion_mnist, {rows} images",
        source=data.source,
    )


def halved(x: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels: f32[N, H, W, 1] -> f32[N, H / 2, W / 2, 1]."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", help="folder of the four IDX files")
    parser.add_argument("--rows", type=int, default=1500, help="images to learn from")
    parser.add_argument("--full-size", action="store_true", help="28 x 28 pixels")
    parser.add_argument("--population", type=int, default=8, help="networks in each")
    parser.add_argument("--generations", type=int, default=3, help="of the population")
    parser.add_argument("--epochs", type=int, default=3, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="of the whole search")
    parser.add_argument("--tiny", action="store_true", help="only see that it runs")
    options = parser.parse_args(arguments)
    if options.tiny:
        vars(options).update(TINY)
    return options


if __name__ == "__main__":
    main()
