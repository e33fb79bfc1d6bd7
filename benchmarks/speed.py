"""How fast is evotune beside a hand-written program, Optuna and a scan? Equal settings.

Command:   python -m benchmarks.speed              (--tiny for seconds, not minutes)
Hardware:  CPU; the committed figures are of two cores.
Time:      about 20 minutes on two cores; ``--tiny`` takes one.
Result:    benchmarks/results/speed.json, and the table that it prints.

Digits, two hidden layers of 64 (and of 16), Adam, batches of 64, 20 epochs, 256 random
learning rates: the same number of trainings, a new order of the data and an evaluation
in every epoch on all sides. Every side runs in a fresh process; sides take turns, so
that a slow minute of the machine hits all of them; the median counts. Seconds are from
the call to the results on the host, compilation included and also shown apart; imports
and the start of JAX are not in them.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from benchmarks._harness import (
    RivalResult,
    cores,
    digits,
    hardware,
    median_of,
    random_learning_rates,
    run_alone,
    write_result,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contender:
    """One side: its module, its options, and whether it is run a single time."""

    module: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    once: bool = False


def contenders() -> dict[str, Contender]:
    """Every side in its best form, and Optuna's usual form beside them."""
    both = {"at_once": cores()}
    return {
        "evotune": Contender(module="evotune_tune"),
        "hand-written": Contender(module="handwritten"),
        "scan, one at a time": Contender(module="scan_one"),
        "scan, one on each device": Contender(module="scan_one", options=both),
        "Optuna, best form": Contender(module="optuna_steps"),
        "Optuna, best form, one on each device": Contender(
            module="optuna_steps", options=both
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
        runs = measure(width, options)
        figures[f"width_{width}"] = summary(runs)
        print(table(width, figures[f"width_{width}"]), flush=True)
    if not options.tiny:
        path = write_result(
            "speed", figures, settings=vars(options), described=described
        )
        print(f"Written to {path.relative_to(path.parents[2])}")


def measure(width: int, options: argparse.Namespace) -> dict[str, list[RivalResult]]:
    """All runs of every side, in turns."""
    data = digits(options.seed)
    rates = random_learning_rates(options.trainings, options.seed)
    runs: dict[str, list[RivalResult]] = {name: [] for name in contenders()}
    for turn in range(options.repeats):
        for name, contender in contenders().items():
            if contender.once and turn:
                continue
            extra = dict(contender.options)
            devices = extra.get("at_once")
            result = run_alone(
                f"benchmarks.rivals.{contender.module}",
                data,
                rates,
                width=width,
                epochs=options.epochs,
                batch_size=options.batch_size,
                seed=options.seed + turn,
                options=extra,
                devices=devices,
            )
            runs[name].append(result)
            print(f"  width {width}, {name}: {result.seconds:.2f} s", flush=True)
    return runs


def summary(runs: dict[str, list[RivalResult]]) -> dict[str, Any]:
    """Each side's median and all its runs, and seconds relative to evotune's."""
    ours = median_of(runs["evotune"])
    return {
        name: {
            **median_of(results).to_json(),
            "times_the_seconds_of_evotune": median_of(results).seconds / ours.seconds,
            "times_after_compiling": median_of(results).train_seconds
            / ours.train_seconds,
            "all_seconds": [result.seconds for result in results],
        }
        for name, results in runs.items()
    }


def table(width: int, figures: dict[str, Any]) -> str:
    """The figures of one width, a line for each side."""
    lines = [
        f"width {width}",
        f"{'':40}{'compile s':>10}{'all s':>8}{'trainings/s':>13}"
        f"{'x evotune':>11}{'steady x':>10}",
    ]
    lines += [
        f"{name:40}{side['compile_seconds']:10.2f}{side['seconds']:8.2f}"
        f"{side['trainings_per_second']:13.1f}"
        f"{side['times_the_seconds_of_evotune']:11.2f}"
        f"{side['times_after_compiling']:10.2f}"
        for name, side in figures.items()
    ]
    return "\n".join(lines)


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
