"""How fast is evotune beside a hand-written program, Optuna and a scan? Equal settings.

Command:   python -m benchmarks.speed              (--tiny for seconds, not minutes)
Hardware:  CPU; the committed figures are of two cores.
Time:      about 20 minutes on two cores; ``--tiny`` takes one.
Result:    benchmarks/results/speed.json, and the table that it prints.

Digits, two hidden layers of 64 (and of 16), Adam, batches of 64, 20 epochs, 256 random
learning rates: the same number of trainings, a new order of the data and an evaluation
in every epoch on all sides. Every side runs in a fresh process; sides take turns, so
that a slow minute of the machine hits all of them; the median counts. "ms" is a
training from the call to the results on the host, compilation included, "ms after"
without it, "x" how many times evotune's; imports and the start of JAX are not in them.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks._contest import Contender, contest, leave, summary, table
from benchmarks._harness import (
    ROOT,
    cores,
    digits,
    hardware,
    random_learning_rates,
    write_result,
)


def contenders() -> dict[str, Contender]:
    """Every side in its best form, and Optuna's usual form beside them."""
    both = {"at_once": cores()}
    return {
        "evotune": Contender(module="evotune_tune"),
        "hand-written": Contender(module="handwritten"),
        "scan, one at a time": Contender(module="scan_one"),
        "scan, one on each device": Contender(
            module="scan_one", options=both, devices=cores()
        ),
        "Optuna, best form": Contender(module="optuna_steps"),
        "Optuna, best form, one on each device": Contender(
            module="optuna_steps", options=both, devices=cores()
        ),
        "Optuna, gather outside jit": Contender(
            module="optuna_steps", options={"form": "usual"}, once=True
        ),
    }


def main() -> None:
    options = parse()
    described = hardware()
    figures: dict[str, Any] = {}
    for width in options.width:
        found = contest(
            contenders(),
            digits(options.seed),
            random_learning_rates(options.trainings, options.seed),
            width=width,
            epochs=options.epochs,
            batch_size=options.batch_size,
            seed=options.seed,
            turns=options.repeats,
            here=options.tiny,
        )
        figures[f"width_{width}"] = summary(found, trainings=options.trainings)
        print(table(f"width {width}", figures[f"width_{width}"]), flush=True)
    if not options.tiny:
        path = write_result(
            "speed", figures, settings=vars(options), described=described
        )
        print(f"Written to {path.relative_to(ROOT)}")
    leave(figures.values())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--width", type=int, nargs="+", default=[64, 16])
    parser.add_argument("--trainings", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.width, options.trainings, options.epochs = [8], 6, 2
        options.repeats = 1
    return options


if __name__ == "__main__":
    main()
