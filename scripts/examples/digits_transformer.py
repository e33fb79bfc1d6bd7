"""Evolves Transformers on handwritten digits, 8 x 8 pixels in patches of 2 x 2.

    python scripts/examples/digits_transformer.py          # two minutes on 2 cores
    python scripts/examples/digits_transformer.py --tiny   # a check that it runs

Sixteen patches are the steps of a series, as in a vision transformer. Pooling by an
added class token or by the mean changes shapes, so that each takes a program.
"""

from __future__ import annotations

import argparse

import evotune as et


def main() -> None:
    options = parse()
    task = et.tasks.Classification(
        et.datasets.digits(),
        model=et.models.Transformer(depth=1, image_shape=(8, 8), patch=2),
    )
    space = et.Space(
        optimizer="adamw",
        learning_rate=et.Float(1e-3, 1e-2, log=True),
        weight_decay=et.Float(1e-5, 1e-1, log=True),
        schedule="cosine",
        warmup=0.1,
        dropout=et.Float(0.0, 0.2),
        width=4 if options.tiny else 32,
        heads=1 if options.tiny else et.Int(1, 4),
        head_size=2 if options.tiny else 8,
        pooling=et.Categorical(["mean", "class"]),
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
    parser.add_argument("--trials", type=int, default=24, help="trainings")
    parser.add_argument("--epochs", type=int, default=10, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="of the whole search")
    parser.add_argument("--tiny", action="store_true", help="only check that it runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
