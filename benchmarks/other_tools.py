"""How fast is evotune beside the tools that people tune small networks with?

Command:   python -m benchmarks.other_tools        (--tiny for seconds, not minutes)
Hardware:  CPU; the committed figures are of two cores.
Time:      about six minutes on two cores; ``--tiny`` takes one.
Needs:     pip install 'evotune[rivals]'; sides whose packages are missing are left out,
           with a line that says so.
Result:    benchmarks/results/other_tools.json, and the table that it prints.

Digits, two hidden layers of 64, Adam, batches of 64, 20 epochs, 256 random learning
rates: PyTorch's `torch.func` ensemble, eager, compiled, and in a process on each core;
scikit-learn's RandomizedSearchCV in as many processes; Ray Tune and KerasTuner (on the
JAX backend) in the best form that their own means allow and as they are usually
written. All evaluate after every epoch but scikit-learn, which does at the end. JAX by
hand and Optuna are in `benchmarks.speed`.

Slow sides train fewer: PyTorch 64, Ray Tune 32 and 8, KerasTuner 8 and 4. "ms" is what
a training takes where 256 are wanted: compiling and other seconds that come once are
spread over 256 on all sides; "ms after" is without them, for evotune that of a further
generation of 256. Imports and the start of runtimes and processes are left out. Sides
take turns, each in a fresh process; medians of three turns; scikit-learn, Ray Tune,
KerasTuner and compiled PyTorch have one.
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


def contenders() -> dict[str, Contender]:
    """All sides, those that take long with fewer trainings and a single turn."""
    each = {"processes": cores(), "together": 32}

    def torch(options: dict[str, Any]) -> Contender:
        return Contender(
            module="torch_ensemble",
            options=options,
            trainings=64,
            once="compiled" in options,
            needs=("torch",),
        )

    def slow(module: str, form: str, trainings: int, *needs: str) -> Contender:
        return Contender(
            module=module,
            options={"form": form},
            trainings=trainings,
            once=True,
            needs=needs,
        )

    keras = ("keras", "keras_tuner")
    return {
        "evotune": Contender(module="evotune_tune", options={"again": 1}),
        "torch.func": torch({}),
        "torch.func, a process a core": torch(each),
        "torch.func, compiled": torch({"compiled": True}),
        "torch.func, compiled, a process a core": torch({"compiled": True, **each}),
        "scikit-learn, a process a core": Contender(module="sklearn_search", once=True),
        "Ray Tune, best form": slow("ray_tune", "best", 32, "ray"),
        "Ray Tune, usual form": slow("ray_tune", "usual", 8, "ray"),
        "KerasTuner, best form": slow("keras_tuner_search", "best", 8, *keras),
        "KerasTuner, usual form": slow("keras_tuner_search", "usual", 4, *keras),
    }


def main() -> None:
    options = parse()
    described = hardware()
    sides = contenders()
    if options.tiny:  # compiling takes PyTorch a minute
        sides = {name: sides[name] for name in sides if "compiled" not in name}
    found = contest(
        sides,
        digits(options.seed),
        random_learning_rates(options.trainings, options.seed, low=3e-4, high=1e-2),
        width=options.width,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        turns=options.repeats,
    )
    figures = summary(found, trainings=options.trainings)
    print(table(f"width {options.width}", figures))
    print(accuracies_apart(figures))
    if not options.tiny:
        path = write_result(
            "other_tools", figures, settings=vars(options), described=described
        )
        print(f"Written to {path.relative_to(ROOT)}")
    leave([figures])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--trainings", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.width, options.trainings, options.epochs = 16, 4, 4
        options.repeats = 1
    return options


if __name__ == "__main__":
    main()
