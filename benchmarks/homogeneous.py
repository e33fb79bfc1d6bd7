"""Is a population of equals as fast as a vmap + scan + shard_map written by hand?

Command:   python -m benchmarks.homogeneous        (--tiny for seconds, not minutes)
           python -m benchmarks.homogeneous --module linen nnx
Hardware:  CPU; the committed figures are of two cores.
Time:      about six minutes a module on two cores; ``--tiny`` takes half of one.
Result:    benchmarks/results/homogeneous_MODULE.json, and the tables that it prints.

Digits, two hidden layers of 16, 64, 128 and 256, Adam, batches of 64, 20 epochs, 64
learning rates: the same number of trainings, a new order of the data and an evaluation
in every epoch on all sides. "mlp" is `et.models.MLP` beside the plain Flax module, in
"linen" evotune is given that plain module too, in "nnx" both sides have it in nnx.

By hand there are two forms: all members of a device under one ``vmap``, as most people
write it, and blocks of members that fit a core's cache. evotune is one call of
`et.tune` in which a random search of 64 members goes on for further generations, which
its plan knows of.

"ms" is what a training takes where 64 are wanted: from the call to the results on the
host, compiling included. "ms after" is what further 64 take, the search's own part
included, nothing compiled: the median of four populations at width 64 and below, of two
at width 128, one at width 256. Sides take turns, each in a fresh process; medians of
three turns.
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
    digits,
    hardware,
    random_learning_rates,
    write_result,
)

MODULES = ("mlp", "linen", "nnx")


def contenders(module: str, *, members: int, again: int) -> dict[str, Contender]:
    """evotune, and the hand-written program in both forms."""
    shared: dict[str, Any] = {
        "network": "nnx" if module == "nnx" else "mlp",
        "again": again,
    }
    ours = {**shared, "own": module != "mlp"}
    whole = {**shared, "block": members}
    return {
        "evotune": Contender(module="evotune_tune", options=ours),
        "by hand, one vmap a device": Contender(module="handwritten", options=whole),
        "by hand, blocks that fit the cache": Contender(
            module="handwritten", options=shared
        ),
    }


def main() -> None:
    options = parse()
    described, every = hardware(), list[dict[str, Any]]()
    for module in options.module:
        figures: dict[str, Any] = {}
        for width in options.width:
            name = f"width_{width}"
            figures[name] = measured(module, width, options)
            every.append(figures[name])
            print(table(f"{module}, width {width}", figures[name]), flush=True)
            print(accuracies_apart(figures[name]), flush=True)
            if not options.tiny:
                path = write_result(
                    "homogeneous",
                    figures,
                    settings=vars(options),
                    described=described,
                    part=module,
                )
                print(f"Written to {path.relative_to(ROOT)}", flush=True)
    leave(every)


def measured(module: str, width: int, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one module and width."""
    members = options.members
    again = options.again or min(max(256 // width, 1), 4)
    found = contest(
        contenders(module, members=members, again=again),
        digits(options.seed),
        random_learning_rates(members, options.seed, low=1e-3, high=1e-2),
        width=width,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        turns=options.repeats,
        here=options.tiny,
    )
    return summary(found, trainings=members)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--module", nargs="+", choices=MODULES, default=["mlp"])
    parser.add_argument("--width", type=int, nargs="+", default=[16, 64, 128, 256])
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--again", type=int, help="further populations; see above")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.module = ["linen", "nnx"]
        options.width, options.members, options.epochs = [16], 4, 4
        options.again, options.repeats = 1, 1
    return options


if __name__ == "__main__":
    main()
