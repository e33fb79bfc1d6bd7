"""Does a genetic algorithm find better networks than grid or random search?

Command:   python -m benchmarks.grid_random_genetic     (--tiny for half a minute)
Hardware:  CPU; the committed figures are of two cores.
Time:      about 10 minutes on two cores.
Result:    benchmarks/results/grid_random_genetic.json and .png, and the tables that it
           prints.

The same seven-dimensional space, on digits and on MNIST-1D, the same engine, the same
programs, ten seeds; a seed has the same splits, initial weights and data order on all
three sides. The grid has as many points as the budget has trainings and is visited in
random order, which is its best form at every budget short of the last.

Two comparisons. *Equal trainings*: after the same number of trainings. *Equal seconds*:
after the seconds that the fastest of the three searches of that seed took in all; the
time is that of the host's clock from the first training on, and compiling, the same
programs on all sides, is shown apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from typing import Any

import numpy as np

import evotune as et
from benchmarks._harness import RESULTS, hardware, write_result

SIDES = ("grid", "random", "genetic")
COLORS = {"grid": "#999999", "random": "#0072B2", "genetic": "#D55E00"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One search.

    Attributes:
        values: f32[N] validation accuracy of each training, in the order of its end;
            0 where it diverged.
        seconds: f64[N] when each was recorded, from the start of training on.
        test: Test accuracy of the winner.
    """

    values: np.ndarray
    seconds: np.ndarray
    test: float

    def best_after(self, trainings: int) -> float:
        """Best validation accuracy among the first ``trainings``."""
        return float(np.max(self.values[:trainings]))

    def best_within(self, seconds: float) -> float:
        """Best validation accuracy of what was recorded within ``seconds``."""
        done = self.values[self.seconds <= seconds]
        return float(np.max(done)) if len(done) else 0.0

    def seconds_to(self, value: float) -> float:
        """When ``value`` was first reached; infinite where it never was."""
        reached = np.flatnonzero(self.values >= value)
        return float(self.seconds[reached[0]]) if len(reached) else float("inf")


def space(epochs: int) -> et.Space:
    """Seven dimensions, three of them structural."""
    return et.Space(
        learning_rate=et.Float(1e-4, 1e-1, log=True),
        weight_decay=et.Float(1e-6, 1e-1, log=True),
        label_smoothing=et.Float(0.0, 0.3),
        width=et.Int(8, 128, log=True),
        depth=et.Int(1, 3),
        activation=et.Categorical(["relu", "gelu", "tanh"]),
        batch_size=et.Categorical([64, 128]),
        optimizer="adamw",
        epochs=epochs,
    )


def algorithms(population: int, trainings: int) -> dict[str, Any]:
    """The three sides, each proposing ``population`` members at a time."""
    return {
        "grid": et.GridSearch(
            levels=grid_levels(trainings), shuffle=True, batch_size=population
        ),
        "random": et.RandomSearch(batch_size=population),
        "genetic": et.GeneticAlgorithm(population_size=population),
    }


def grid_levels(trainings: int) -> tuple[int, ...]:
    """Levels of the seven dimensions, in their order, for about as many points.

    What matters most to accuracy gets the most levels: the learning rate, then the
    width; the rest has two, or one in the middle of its range where that is all that
    the budget allows.
    """
    for levels in (
        (8, 2, 2, 4, 3, 2, 2),
        (8, 2, 2, 4, 2, 2, 2),
        (8, 2, 2, 4, 2, 1, 2),
        (8, 2, 1, 4, 2, 1, 2),
        (6, 2, 1, 4, 2, 1, 2),
        (4, 2, 1, 4, 2, 1, 2),
        (4, 1, 1, 2, 1, 1, 2),
    ):
        if np.prod(levels) <= trainings:
            return levels
    return (2, 1, 1, 2, 1, 1, 1)


def search(task: Any, algorithm: Any, seed: int, options: argparse.Namespace) -> Run:
    """One search of ``options.trainings`` trainings."""
    times: list[float] = []
    values: list[float] = []

    def note(_: et.Study, trial: et.FrozenTrial) -> None:
        times.append(time.perf_counter())
        values.append(0.0 if trial.value is None else trial.value)

    start = time.perf_counter()
    result = et.tune(
        task,
        space(options.epochs),
        algorithm=algorithm,
        n_trials=options.trainings,
        seed=seed,
        callbacks=[note],
        progress=False,
    )
    start += result.seconds["compile"]
    return Run(
        values=np.asarray(values, np.float32),
        seconds=np.asarray(times) - start,
        test=result.test_metrics()["test_accuracy"],
    )


def compare(name: str, options: argparse.Namespace) -> dict[str, list[Run]]:
    """All runs of all sides on one dataset; sides take turns within a seed."""
    dataset = getattr(et.datasets, name)()
    runs: dict[str, list[Run]] = {side: [] for side in SIDES}
    sides = algorithms(options.population, options.trainings)
    tasks = {
        seed: et.tasks.Classification(dataset, model=et.models.MLP(), split_seed=seed)
        for seed in range(options.seeds)
    }
    for seed, task in tasks.items():
        # Whoever goes first would pay for host functions that the others find ready.
        order = SIDES[seed % 3 :] + SIDES[: seed % 3]
        for side in order:
            warm = argparse.Namespace(**{**vars(options), "trainings": 1})
            search(task, sides[side], seed, warm)
            runs[side].append(search(task, sides[side], seed, options))
            print(
                f"  {name}, seed {seed}, {side}: best {runs[side][-1].values.max():.4f}"
                f", test {runs[side][-1].test:.4f}, {runs[side][-1].seconds[-1]:.1f} s",
                flush=True,
            )
        vars(task).pop("_compiled_programs", None)
    return runs


def figures_of(runs: dict[str, list[Run]], options: argparse.Namespace) -> Any:
    """The table: means over seeds, paired differences, time to random's final best."""
    seeds = range(len(runs["random"]))
    equal = [min(runs[side][s].seconds[-1] for side in SIDES) for s in seeds]
    target = [runs["random"][s].values.max() for s in seeds]
    table: dict[str, Any] = {}
    for side, own in runs.items():
        trainings = [run.best_after(options.trainings) for run in own]
        seconds = [run.best_within(equal[s]) for s, run in enumerate(own)]
        to_random = [run.seconds_to(target[s]) for s, run in enumerate(own)]
        speedups = [
            runs["random"][s].seconds_to(target[s]) / to_random[s] for s in seeds
        ]
        better = [
            a - b.values.max() for a, b in zip(trainings, runs["random"], strict=True)
        ]
        table[side] = {
            "validation_equal_trainings": statistics.mean(trainings),
            "validation_equal_seconds": statistics.mean(seconds),
            "test_accuracy": statistics.mean(run.test for run in own),
            "test_accuracy_standard_error": float(
                np.std([run.test for run in own], ddof=1) / np.sqrt(len(own))
            )
            if len(own) > 1
            else 0.0,
            "seeds_better_than_random": int(sum(gap > 0 for gap in better)),
            "seeds_worse_than_random": int(sum(gap < 0 for gap in better)),
            "seeds_that_reach_random": int(np.sum(np.isfinite(to_random))),
            "median_seconds_to_randoms_best": float(np.median(to_random)),
            "median_times_faster_than_random": float(np.median(speedups)),
            "mean_seconds_in_all": statistics.mean(run.seconds[-1] for run in own),
            "trainings": len(own[0].values),
            "each_seed": [
                {"validation": float(run.values.max()), "test": run.test} for run in own
            ],
        }
    return table


def table_of(name: str, figures: Any) -> str:
    """The figures of one dataset, a line for each side."""
    lines = [
        name,
        f"{'':10}{'val, equal':>12}{'val, equal':>12}{'test':>16}"
        f"{'seeds better/':>15}{'s to random':>13}{'times faster':>14}",
        f"{'':10}{'trainings':>12}{'seconds':>12}{'':16}"
        f"{'worse':>15}{'at its end':>13}{'than random':>14}",
    ]
    lines += [
        f"{side:10}{row['validation_equal_trainings']:12.4f}"
        f"{row['validation_equal_seconds']:12.4f}"
        f"{row['test_accuracy']:9.4f} ±{row['test_accuracy_standard_error']:.4f}"
        f"{row['seeds_better_than_random']:>11}/{row['seeds_worse_than_random']:<3}"
        f"{row['median_seconds_to_randoms_best']:13.1f}"
        f"{row['median_times_faster_than_random']:14.2f}"
        for side, row in figures.items()
    ]
    return "\n".join(lines)


def draw(all_runs: dict[str, dict[str, list[Run]]], name: str) -> None:
    """Any-time curves: median over seeds with the band between the quartiles."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8 * len(all_runs)), layout="constrained")
    grid = figure.subplots(len(all_runs), 2, squeeze=False)
    for row, (dataset, runs) in zip(grid, all_runs.items(), strict=True):
        for side, own in runs.items():
            count = min(len(run.values) for run in own)
            by_count = np.stack([best_so_far(run.values)[:count] for run in own])
            band(row[0], np.arange(1, count + 1), by_count, side)
            end = min(run.seconds[-1] for run in own)
            clock = np.linspace(0.02 * end, end, 200)
            by_clock = np.stack(
                [[run.best_within(second) for second in clock] for run in own]
            )
            band(row[1], clock, by_clock, side)
        floor = min(
            np.median([run.values[:16].max() for run in own]) for own in runs.values()
        )
        for axes, label in zip(row, ("trainings", "seconds of search"), strict=True):
            axes.set_title(f"{dataset}: best so far by {label}", loc="left")
            axes.set_xlabel(label)
            axes.set_ylabel("validation accuracy")
            axes.set_ylim(bottom=floor)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
        row[0].legend(frameon=False, loc="lower right")
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(RESULTS / f"{name}.png", dpi=130)


def best_so_far(values: np.ndarray) -> np.ndarray:
    """Running maximum."""
    return np.maximum.accumulate(values)


def band(axes: Any, x: np.ndarray, curves: np.ndarray, side: str) -> None:
    """Median and quartiles of f32[seeds, points]."""
    low, middle, high = np.quantile(curves, [0.25, 0.5, 0.75], axis=0)
    axes.plot(x, middle, color=COLORS[side], label=side)
    axes.fill_between(x, low, high, color=COLORS[side], alpha=0.18, linewidth=0)


def main() -> None:
    options = parse()
    described = hardware()
    all_runs, figures = {}, {}
    for name in options.datasets:
        all_runs[name] = compare(name, options)
        figures[name] = figures_of(all_runs[name], options)
        print(table_of(name, figures[name]), flush=True)
    if not options.tiny:
        name = "grid_random_genetic"
        draw(all_runs, name)
        path = write_result(name, figures, settings=vars(options), described=described)
        print(f"Written to {path.relative_to(path.parents[2])} and .png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--datasets", nargs="+", default=["digits", "mnist1d"])
    parser.add_argument("--trainings", type=int, default=128)
    parser.add_argument("--population", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tiny", action="store_true", help="half a minute")
    options = parser.parse_args()
    if options.tiny:
        options.datasets, options.seeds, options.epochs = ["digits"], 1, 1
        options.trainings, options.population = 8, 4
    return options


if __name__ == "__main__":
    main()
