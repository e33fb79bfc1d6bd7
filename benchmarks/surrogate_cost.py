"""What does the surrogate cost, beside the training that it saves?

Command:   python -m benchmarks.surrogate_cost     (--tiny for seconds, not minutes)
           python -m benchmarks.surrogate_cost --datasets digits mnist1d  for both
Hardware:  CPU.
Time:      two minutes on two cores, MNIST-1D twice as many more.
Result:    benchmarks/results/surrogate_cost.json, and the tables that it prints.

Perceptrons on digits, or on MNIST-1D, six dimensions, populations of 64, tuned by the
genetic algorithm with its surrogate and without. With one seed both begin with the
same generation, train from the same initial weights, on the same batches, in the same
programs.

The side with the surrogate has a budget of ``--generations``, and the other as many
trainings as it needs to reach the best validation loss of that, up to ``--patience``
times as many. Each is charged the trainings until that loss was first reached; "saved"
is the difference, summed over the seeds, whatever its sign. Where the other side never
gets there, what it was given counts, so that less is reported than was saved.

"search" are the seconds in which the algorithm was asked and told, from the profile of
each run, compiled as a study compiles; those of the side without a surrogate are taken
off. "training" are the seconds in which blocks of members ran. Compiling is apart: the
algorithm's own programs, alone, with no cache. The *share* is what the surrogate took
in the generations that count, as a fraction of the training that was saved; a target
of 10 % holds for it, with compiling, once a search, and without.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import time
from typing import Any

import jax

import evotune as et
from benchmarks._contest import say
from benchmarks._harness import ROOT, hardware, write_result
from evotune._contracts import pending
from evotune.testing._haste import hasty_jit

TARGET = 0.1
"""The surrogate's time, as a share of the training that it saves."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One search.

    Attributes:
        best: The smallest validation loss.
        trainings: Until the loss that counts was first reached; all, if it was not.
        trained: How many members were trained.
        generations: How often the algorithm was asked.
        search_seconds: Of asking and telling, in all.
        train_seconds: Of training, in all.
    """

    best: float
    trainings: int
    trained: int
    generations: int
    search_seconds: float
    train_seconds: float


def space(epochs: int) -> et.Space:
    """Six dimensions, two of them sizes."""
    return et.Space(
        learning_rate=et.Float(1e-4, 1e-1, log=True),
        weight_decay=et.Float(1e-6, 1e-1, log=True),
        dropout=et.Float(0.0, 0.5),
        width=et.Int(16, 64, log=True),
        depth=et.Int(1, 3),
        activation=et.Categorical(["relu", "gelu", "tanh"]),
        optimizer="adamw",
        batch_size=64,
        epochs=epochs,
    )


def sides(population: int) -> dict[str, et.GeneticAlgorithm]:
    """The same algorithm, with the surrogate and without."""
    with_it = et.GeneticAlgorithm(population_size=population)
    return {"surrogate": with_it, "plain": dataclasses.replace(with_it, surrogate=None)}


def search(
    task: Any,
    algorithm: Any,
    seed: int,
    generations: int,
    epochs: int,
    target: float | None = None,
) -> Run:
    """One search, which ends where a loss of ``target`` is reached."""

    def reached(study: et.Study, trial: et.FrozenTrial) -> None:
        if target is not None and trial.value is not None and trial.value <= target:
            study.stop()

    result = et.tune(
        task,
        space(epochs),
        algorithm=algorithm,
        generations=generations,
        seed=seed,
        callbacks=[reached],
        progress=False,
    )
    goal = result.best_value if target is None else target
    numbers = [
        trial.number
        for trial in result.trials
        if trial.value is not None and trial.value <= goal
    ]
    return Run(
        best=result.best_value,
        trainings=min(numbers, default=len(result.trials) - 1) + 1,
        trained=len(result.trials),
        generations=result.profile.search.proposals,
        search_seconds=result.profile.search.seconds,
        train_seconds=result.profile.train_seconds,
    )


def compile_seconds(algorithm: Any, geometry: Any) -> float:
    """Of `ask` and `tell`, traced and compiled as a study compiles them, alone."""
    state = algorithm.init(jax.random.key(0), geometry)
    ask: Any = hasty_jit(algorithm.ask)
    tell: Any = hasty_jit(algorithm.tell)
    start = time.perf_counter()
    lowered = ask.lower(jax.random.key(0), state)
    lowered.compile()
    tell.lower(state, jax.eval_shape(pending, lowered.out_info)).compile()
    return time.perf_counter() - start


def compare(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """All pairs of runs on one dataset, and what they come to."""
    task = et.tasks.Classification(
        getattr(et.datasets, name)(), model=et.models.MLP(), metric="loss"
    )
    known, epochs = sides(options.population), options.epochs
    search(task, known["plain"], options.seeds, 1, epochs)  # compiles what both train
    pairs = []
    for seed in range(options.seeds):
        run = search(task, known["surrogate"], seed, options.generations, epochs)
        most = options.patience * options.generations
        other = search(task, known["plain"], seed, most, epochs, run.best)
        pairs.append((run, other))
        say(
            f"{name}, seed {seed}: best {run.best:.4f} after {run.trainings} "
            f"trainings, without the surrogate {other.best:.4f} after "
            f"{other.trainings}"
        )
    compiling = {
        side: compile_seconds(algorithm, space(epochs).geometry())
        for side, algorithm in known.items()
    }
    return figures_of(pairs, compiling)


def figures_of(
    pairs: list[tuple[Run, Run]], compiling: dict[str, float]
) -> dict[str, Any]:
    """Seconds, medians over the pairs, and trainings and shares, of their means.

    Args:
        pairs: The run with the surrogate and the one without, of each seed.
        compiling: Seconds of compiling each side.
    """
    generation = [run.search_seconds / run.generations for run, _ in pairs]
    plain = [run.search_seconds / run.generations for _, run in pairs]
    trains = [run.train_seconds / run.generations for run, _ in pairs]
    own = statistics.median(generation) - statistics.median(plain)
    extra = compiling["surrogate"] - compiling["plain"]
    each = statistics.median(run.train_seconds / run.trained for run, _ in pairs)
    saved = statistics.mean(other.trainings - run.trainings for run, other in pairs)
    counted = [run.trainings / run.trained * run.generations for run, _ in pairs]
    asked = statistics.mean(math.ceil(each) for each in counted)
    worth = saved * each
    return {
        "surrogate_seconds_per_generation": own,
        "search_seconds_per_generation": statistics.median(generation),
        "plain_search_seconds_per_generation": statistics.median(plain),
        "training_seconds_per_generation": statistics.median(trains),
        "surrogate_compile_seconds": extra,
        "compile_seconds": compiling,
        "trainings": statistics.mean(run.trainings for run, _ in pairs),
        "trainings_without": statistics.mean(other.trainings for _, other in pairs),
        "never_reached": sum(other.best > run.best for run, other in pairs),
        "trainings_saved": saved,
        "training_seconds_saved": worth,
        "share": own * asked / worth if worth > 0.0 else None,
        "share_with_compiling": (
            (own * asked + extra) / worth if worth > 0.0 else None
        ),
        "runs": [
            {"surrogate": dataclasses.asdict(run), "plain": dataclasses.asdict(other)}
            for run, other in pairs
        ],
    }


def table(name: str, row: dict[str, Any]) -> str:
    """The figures of one dataset, in words."""

    def share(key: str) -> str:
        found = row[key]
        return "nothing was saved" if found is None else f"{found:.1%} of that"

    return "\n".join(
        [
            f"{name}: {row['trainings']:.0f} trainings with the surrogate, "
            f"{row['trainings_without']:.0f} without ("
            f"{row['never_reached']} of {len(row['runs'])} seeds not reached)",
            f"  a generation: {row['training_seconds_per_generation']:.3f} s training, "
            f"{row['surrogate_seconds_per_generation']:.3f} s surrogate, "
            f"{row['plain_search_seconds_per_generation']:.3f} s the rest of the "
            f"search; {row['surrogate_compile_seconds']:.1f} s compiling, once",
            f"  saved: {row['training_seconds_saved']:.1f} s of training; the "
            f"surrogate took {share('share')}, {share('share_with_compiling')} with "
            "compiling",
        ]
    )


def main() -> None:
    options = parse()
    described = hardware()
    figures = {}
    for name in options.datasets:
        figures[name] = compare(name, options)
        print(table(name, figures[name]), flush=True)
    shares = [row["share"] for row in figures.values()]
    kept = all(share is not None and share < TARGET for share in shares)
    print(f"target of {TARGET:.0%}: {'kept' if kept else 'missed'}")
    if options.tiny:
        return
    path = write_result(
        "surrogate_cost", figures, settings=vars(options), described=described
    )
    print(f"Written to {path.relative_to(ROOT)}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    known = ("digits", "mnist1d")
    parser.add_argument("--datasets", nargs="+", choices=known, default=["digits"])
    parser.add_argument("--population", type=int, default=64)
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--patience", type=int, default=3, help="budgets of the other")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.datasets, options.population, options.generations = ["digits"], 8, 2
        options.patience, options.epochs, options.seeds = 2, 1, 2
    return options


if __name__ == "__main__":
    main()
