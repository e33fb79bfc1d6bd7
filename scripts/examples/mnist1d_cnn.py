"""Evolves small convolutional networks on the series of MNIST-1D.

    python scripts/examples/mnist1d_cnn.py
    python scripts/examples/mnist1d_cnn.py --tiny   # a check

Channels, window, depth, width, pooling and residual connections vary inside a few
compiled programs. Meant to take under two minutes on 2 idle CPU cores; prints the best
network and its score on series that the search never saw.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import evotune as et

TINY = {"population": 4, "generations": 1, "epochs": 1}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    data = et.datasets.mnist1d().reshape(40, 1)
    space = et.Space(
        learning_rate=et.Float(1e-3, 3e-2, log=True),
        weight_decay=et.Float(1e-6, 1e-2, log=True),
        channels=et.Int(4, 12, log=True),
        kernel_size=3 if options.tiny else et.Categorical([3, 5]),
        depth=1 if options.tiny else et.Int(1, 2),
        width=et.Int(16, 64, log=True),
        pool=et.Categorical(["max", "average"]),
        residual=et.Bool(),
        dropout=et.Float(0.0, 0.4),
        shift=et.Float(0.0, 0.1),  # moves a series by up to a tenth of its length
        norm="batch",
        optimizer="adamw",
        epochs=options.epochs,
    )
    task = et.tasks.Classification(data, model=et.models.CNN())
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


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--population", type=int, default=16, help="networks in each")
    parser.add_argument("--generations", type=int, default=3, help="of the population")
    parser.add_argument("--epochs", type=int, default=6, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="of the whole search")
    parser.add_argument("--tiny", action="store_true", help="only see that it runs")
    options = parser.parse_args(arguments)
    if options.tiny:
        vars(options).update(TINY)
    return options


if __name__ == "__main__":
    main()
