"""Evolves recurrent networks on MNIST-1D: series of 40 points in 10 classes.

    python scripts/examples/mnist1d_gru.py          # under two minutes on 2 cores
    python scripts/examples/mnist1d_gru.py --tiny   # a check that it runs

Four points make a patch, a step of the series: fewer steps train faster. Needs the
package mnist1d: ``pip install 'evotune[datasets]'``.
"""

from __future__ import annotations

import argparse

import evotune as et


def main() -> None:
    options = parse()
    task = et.tasks.Classification(
        et.datasets.mnist1d(), model=et.models.RNN(cell="gru", patch=4)
    )
    space = et.Space(
        optimizer="adamw",
        learning_rate=et.Float(1e-3, 3e-2, log=True),
        weight_decay=et.Float(1e-5, 1e-1, log=True),
        schedule="cosine",
        gradient_clip=1.0,
        width=4 if options.tiny else et.Int(16, 48),
        pooling=et.Categorical(["last", "mean"]),
        batch_size=64,
        epochs=1 if options.tiny else options.epochs,
    )
    result = et.tune(
        task,
        space,
        n_trials=2 if options.tiny else options.trials,
        seed=options.seed,
    )
    print(result)
    print(f"test accuracy {result.test_metrics()['test_accuracy']:.4f}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--trials", type=int, default=16, help="trainings")
    parser.add_argument("--epochs", type=int, default=8, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="of the whole search")
    parser.add_argument("--tiny", action="store_true", help="only check that it runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
