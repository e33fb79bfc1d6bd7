"""How many members a second does one accelerator train, by how many train at once?

Command:   python -m benchmarks.accelerator        (--tiny for seconds, not minutes)
Hardware:  one GPU or TPU, JAX's default device; it runs on CPU, too.
Time:      about five minutes; ``--tiny`` takes half of one on CPU.
Result:    benchmarks/results/accelerator_KIND.json of the device's kind, and the table
           that it prints.

Digits, two hidden layers of 64, Adam, batches of 64, 5 epochs. evotune trains 1, 4, 16,
64, 256 and 1024 members at once, in one call of `et.tune` that goes on for three
further generations, nothing compiled: "ms after" is a training of those, and "members a
second" their number. Beside it stand a jitted scan of a whole training, one member
after the other, and the program by hand that has all members under one ``vmap``, on the
same device. Each side runs in a fresh process; with ``--repeats`` they take turns, and
medians count.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

from benchmarks._contest import Contender, contest, leave, summary, table
from benchmarks._harness import (
    ROOT,
    digits,
    hardware,
    random_learning_rates,
    write_result,
)

ALONE = "scan, one at a time"


def contenders(members: list[int], *, again: int, alone: int) -> dict[str, Contender]:
    """One member at a time, and each number of members at once."""
    sides = {
        ALONE: Contender(
            module="scan_one", options={"again": again}, trainings=alone, devices=1
        )
    }
    for count in members:
        sides[f"evotune, {count} at once"] = Contender(
            module="evotune_tune",
            options={"together": count, "again": again},
            trainings=count,
            devices=1,
        )
        sides[f"by hand, {count} at once"] = Contender(
            module="handwritten",
            options={"block": count, "again": again},
            trainings=count,
            devices=1,
        )
    return sides


def device_kind() -> str:
    """JAX's default device, asked in a process that gives it back."""
    code = "import jax; print(jax.devices()[0].device_kind)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def main() -> None:
    options = parse()
    kind = device_kind()
    described = {**hardware(), "device": kind}
    found = contest(
        contenders(options.members, again=options.again, alone=options.alone),
        digits(options.seed),
        random_learning_rates(max(options.members), options.seed, low=1e-3, high=1e-2),
        width=options.width,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        turns=options.repeats,
        here=options.tiny,
    )
    figures: dict[str, Any] = summary(found, trainings=max(options.members), to=ALONE)
    for side in figures.values():
        if "ms_per_training_after_compile" in side:
            ms = side["ms_per_training_after_compile"]
            side["members_per_second_after_compile"] = 1e3 / ms
    print(table(f"{kind}, width {options.width}", figures))
    for name, side in figures.items():
        rate = side.get("members_per_second_after_compile", float("nan"))
        print(f"{name}: {rate:.1f} members a second")
    if not options.tiny:
        part = "".join(letter if letter.isalnum() else "_" for letter in kind).lower()
        path = write_result(
            "accelerator",
            figures,
            settings=vars(options),
            described=described,
            part=part,
        )
        print(f"Written to {path.relative_to(ROOT)}")
    leave([figures])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--members", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1024]
    )
    parser.add_argument("--alone", type=int, default=16, help="of one at a time")
    parser.add_argument("--again", type=int, default=3, help="further populations")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=1, help="turns of each side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.members, options.alone, options.width = [4], 4, 16
        options.epochs, options.again, options.repeats = 4, 1, 1
    return options


if __name__ == "__main__":
    main()
