"""Is a trial better trained once, or from several seeds, at equal trainings?

Command:   python -m benchmarks.repeats   (--tiny for seconds, not minutes)
Hardware:  CPU.
Time:      not measured on an idle machine; ``--seeds``, ``--trainings`` and
           ``--problems`` make it shorter or longer.
Result:    benchmarks/results/repeats.json, written anew after each problem, and the
           tables that it prints.

All sides have the same number of trainings and the genetic algorithm as it is by
default, with a population of 16. "repeats 1", 2 and 4 train each trial from as many
seeds. "confirmed" trains each trial once, and leaves part of its trainings for
`Result.confirm`, by which it chooses its winner: the five leading trials, eight fresh
seeds each. Seeds of the sides are paired.

Problems, all to be minimised: a bowl in four dimensions, sum (x_d - c_d)^2, with normal
noise of a standard deviation of 0.03 and of 0.3 (values over the cube have one of 0.3);
and the validation loss of a small network on the breast cancer data, of which rate,
width, dropout and batch size are searched.

"true" is what the winner is worth: the bowl without its noise, or the mean over 20
fresh seeds that chose nothing. "to repeats 1" is the mean of the differences from that
side, seed by seed, with its standard error; below 0 is better. p is of Wilcoxon's
signed-rank test, not corrected for the number of sides. "optimism" is true minus what
the winner scored when it was chosen.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import evotune as et
from benchmarks._contest import say
from benchmarks._harness import ROOT, hardware, write_result
from benchmarks._regret import paired
from evotune._confirmation import confirm
from evotune.engine import Engine

POPULATION = 16
TOP_K, CHOOSING, TRUTH = 5, 8, 20
OPTIMUM = (0.25, 0.6, 0.4, 0.85)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """What is searched.

    Attributes:
        task: To be minimised.
        space: Its space.
        exact: Whether `bowl` is what a configuration is worth.
    """

    task: et.Task
    space: et.Space
    exact: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What a side has found with one seed: see the module.

    Attributes:
        true: What its winner is worth.
        searched: What it scored when it was chosen.
    """

    true: float
    searched: float


def bowl(x: Any) -> Any:
    """The square of the distance from the optimum; ``x`` has four coordinates."""
    return sum((each - centre) ** 2 for each, centre in zip(x, OPTIMUM, strict=True))


def noisy_bowl(sigma: float) -> Problem:
    names = [f"x{d}" for d in range(len(OPTIMUM))]

    def value(hp: Any, key: jax.Array) -> jax.Array:
        point = [hp[name] for name in names]
        return jnp.asarray(bowl(point)) + sigma * jax.random.normal(key)

    space = et.Space({name: et.Float(0.0, 1.0) for name in names})
    return Problem(task=et.tasks.Function(value), space=space, exact=True)


def network() -> Problem:
    task = et.tasks.Classification(
        et.datasets.breast_cancer(), model=et.models.MLP(depth=1), metric="loss"
    )
    space = et.Space(
        learning_rate=et.Float(1e-4, 1e-1, log=True),
        dropout=et.Float(0.0, 0.5),
        width=et.Int(2, 32, log=True),
        batch_size=et.Categorical([32, 64]),
        epochs=4,
    )
    return Problem(task=task, space=space, exact=False)


PROBLEMS = {
    "bowl, noise 0.03": lambda: noisy_bowl(0.03),
    "bowl, noise 0.3": lambda: noisy_bowl(0.3),
    "network": network,
}


class Side:
    """One way to spend the trainings on a problem, compiled once for all seeds."""

    def __init__(
        self, problem: Problem, trainings: int, *, repeats: int, confirms: bool = False
    ) -> None:
        self.problem, self.repeats, self.confirms = problem, repeats, confirms
        spared = TOP_K * CHOOSING if confirms else 0
        self.trials = (trainings - spared) // repeats
        self.algorithm = et.GeneticAlgorithm(population_size=POPULATION)
        self.engine = Engine(
            problem.task,
            problem.space,
            rows=POPULATION * repeats,
            trainings=trainings,
        )

    def run(self, seed: int) -> Found:
        """Searches once."""
        study = et.Study(
            self.problem.space,
            algorithm=self.algorithm,
            direction=self.problem.task.direction,
            seed=seed,
            repeats=self.repeats,
        )
        engine = self.engine.reseeded(seed)
        study.run(engine, n_trials=self.trials, progress=False)
        number, searched = study.best_trial.number, study.best_value
        if not self.confirms and self.problem.exact:
            return Found(true=float(bowl(study.coordinates(number))), searched=searched)
        confirmed = confirm(
            study,
            engine,
            top_k=TOP_K if self.confirms else 1,
            seeds=CHOOSING + (0 if self.problem.exact else TRUTH),
        )
        chosen = confirmed.winner
        if self.confirms:
            means = [np.mean(trial.values[:CHOOSING]) for trial in confirmed.trials]
            chosen = confirmed.trials[int(np.nanargmin(means))]
            searched = float(np.nanmin(means))
        if self.problem.exact:
            true = float(bowl(study.coordinates(chosen.number)))
        else:
            true = float(np.mean(chosen.values[CHOOSING:]))
        return Found(true=true, searched=searched)


def compare(problem: Problem, options: argparse.Namespace) -> dict[str, Any]:
    """What all sides have found, by name and seed."""
    given = {f"repeats {n}": {"repeats": n} for n in options.repeats}
    given["confirmed"] = {"repeats": 1, "confirms": True}
    figures: dict[str, Any] = {}
    for name, settings in given.items():
        side = Side(problem, options.trainings, **settings)
        seeds = range(options.seed, options.seed + options.seeds)
        found = [dataclasses.asdict(side.run(seed)) for seed in seeds]
        lists = {key: [each[key] for each in found] for key in found[0]}
        figures[name] = {"trials": side.trials, **lists}
        say(f"{name}: {side.trials} trials, true {np.mean(figures[name]['true']):.4g}")
    return figures


def table(title: str, figures: Mapping[str, Any]) -> str:
    """The sides of a problem, one a line."""
    lines = [
        title,
        f"  {'':12} {'trials':>6} {'true':>9} {'to repeats 1':>19} {'p':>6} "
        f"{'optimism':>9}",
    ]
    base = np.asarray(next(iter(figures.values()))["true"])
    for name, each in figures.items():
        true = np.asarray(each["true"])
        gap = true - base
        error = np.std(gap, ddof=1) / np.sqrt(len(gap))
        p = paired(base, true)["p"]
        optimism = np.mean(true - np.asarray(each["searched"]))
        lines.append(
            f"  {name:12} {each['trials']:6} {np.mean(true):9.4g} {np.mean(gap):9.2g} "
            f"± {error:7.2g} {p:6.2g} {optimism:9.2g}"
        )
    return "\n".join(lines)


def main() -> None:
    options = parse()
    described, figures = hardware(), {}
    for name in options.problems:
        figures[name] = compare(PROBLEMS[name](), options)
        title = f"{name}, {options.trainings} trainings"
        print(table(title, figures[name]), flush=True)
        if options.tiny:
            continue
        path = write_result(
            "repeats",
            figures,
            settings=vars(options),
            described=described,
            part=options.part,
        )
        print(f"Written to {path.relative_to(ROOT)}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = list(PROBLEMS)
    parser.add_argument("--problems", nargs="+", choices=names, default=names)
    parser.add_argument("--repeats", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--trainings", type=int, default=192, help="of each search")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--part", default="", help="repeats_PART.json")
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.problems, options.repeats = ["bowl, noise 0.3"], [1, 2]
        options.trainings, options.seeds = 64, 2
    return options


if __name__ == "__main__":
    main()
