"""Is a population of GRUs or Transformers faster a member than one at a time?

Command:   python -m benchmarks.families           (--tiny for seconds, not minutes)
Hardware:  CPU; the committed figures are of two cores.
Time:      about six minutes on two cores; ``--tiny`` takes half of one.
Result:    benchmarks/results/families.json, and the tables that it prints.

Digits read as eight steps of eight values, Adam, batches of 64, 4 epochs, 32 learning
rates: a GRU of 32 units, and a Transformer of two blocks, 32 units and four heads.
evotune trains its own family and, again, the plain Flax module as a user's own. The
others train the plain module: the best that one-at-a-time does, a whole training in a
jitted scan and jitted steps that never wait (in an Optuna study, whose own part is
small), each with a training on every device; and by hand with `jax.lax.map` over the
members of each device, and with ``vmap``.

"ms" is what a training takes where 32 are wanted, from the call to the results on the
host, compiling included. "ms after" is what one takes where 32 more follow, nothing
compiled. Sides take turns, each in a fresh process; medians of three turns.
Convolutional networks are in `benchmarks.convolution`.
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

FAMILIES = ("gru", "transformer")
TINY = ("evotune", "evotune, a user's own", "lax.map by hand")


def contenders(network: str, *, again: int) -> dict[str, Contender]:
    """All sides: evotune, what is one at a time, populations by hand."""
    shared = {"network": network}
    twice = {**shared, "again": again}
    each = {**twice, "at_once": cores()}
    return {
        "evotune": Contender(module="evotune_tune", options=twice),
        "evotune, a user's own": Contender(
            module="evotune_tune", options={**twice, "own": True}
        ),
        "scan, one on each device": Contender(
            module="scan_one", options=each, devices=cores()
        ),
        "steps, one on each device": Contender(
            module="optuna_steps", options=each, devices=cores(), needs=("optuna",)
        ),
        "lax.map by hand": Contender(
            module="handwritten", options={**twice, "block": 1}
        ),
        "vmap by hand, in blocks": Contender(module="handwritten", options=twice),
    }


def main() -> None:
    options = parse()
    described, figures = hardware(), dict[str, Any]()
    for network in options.network:
        sides = contenders(network, again=options.again)
        if options.tiny:
            sides = {name: sides[name] for name in TINY}
        found = contest(
            sides,
            digits(options.seed),
            random_learning_rates(options.members, options.seed, low=1e-3, high=1e-2),
            width=options.width,
            epochs=options.epochs,
            batch_size=options.batch_size,
            seed=options.seed,
            turns=options.repeats,
            here=options.tiny,
        )
        figures[network] = summary(found, trainings=options.members)
        print(table(f"{network}, width {options.width}", figures[network]), flush=True)
        print(accuracies_apart(figures[network]), flush=True)
        if not options.tiny:
            path = write_result(
                "families", figures, settings=vars(options), described=described
            )
            print(f"Written to {path.relative_to(ROOT)}", flush=True)
    leave(figures.values())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--network", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--again", type=int, default=1, help="further populations")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.network, options.width, options.members = ["gru"], 16, 4
        options.epochs, options.again, options.repeats = 4, 1, 1
    return options


if __name__ == "__main__":
    main()
