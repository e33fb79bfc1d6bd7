"""How many more trainings a second do two CPU devices give than one?

Command:   python -m benchmarks.devices            (--tiny for seconds, not minutes)
Hardware:  CPU with two cores or more.
Time:      about three minutes on two cores; ``--tiny`` takes half of one.
Result:    benchmarks/results/devices.json, and the tables that it prints.

Digits, two hidden layers of 32, 64 and 128, Adam, batches of 64, 20 epochs, 64 learning
rates, in one call of `et.tune`, once with JAX's one CPU device, whose operations use
all cores, and once with a device for each core, which is what evotune sets up where
nobody has chosen. "ms after" is of further generations in the same call, nothing
compiled; "x after" is how many times that of a device for each core it is. Both take
turns, each in a fresh process; medians of three turns.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks._contest import (
    Contender,
    accuracies_apart,
    contest,
    leave,
    summary,
    table,
)
from benchmarks._harness import (
    ROOT,
    cores,
    digits,
    hardware,
    random_learning_rates,
    write_result,
)


def name_of(devices: int) -> str:
    """How a side is called."""
    return "one device" if devices == 1 else f"{devices} devices"


def main() -> None:
    options = parse()
    described, figures = hardware(), dict[str, Any]()
    most = max(options.devices)
    sides = {
        name_of(devices): Contender(
            module="evotune_tune", options={"again": options.again}, devices=devices
        )
        for devices in options.devices
    }
    for width in options.width:
        found = contest(
            sides,
            digits(options.seed),
            random_learning_rates(options.members, options.seed, low=1e-3, high=1e-2),
            width=width,
            epochs=options.epochs,
            batch_size=options.batch_size,
            seed=options.seed,
            turns=options.repeats,
        )
        name = f"width_{width}"
        figures[name] = summary(found, trainings=options.members, to=name_of(most))
        print(table(f"width {width}", figures[name]), flush=True)
        print(accuracies_apart(figures[name]), flush=True)
        if not options.tiny:
            path = write_result(
                "devices", figures, settings=vars(options), described=described
            )
            print(f"Written to {path.relative_to(ROOT)}", flush=True)
    leave(figures.values())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--devices", type=int, nargs="+", default=[cores(), 1])
    parser.add_argument("--width", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--again", type=int, default=2, help="further populations")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.width, options.members, options.epochs = [16], 4, 4
        options.again, options.repeats = 1, 1
    return options


if __name__ == "__main__":
    main()
