"""Which search minimises a function of reals, or of mixed integers, in a given budget?

Command:   python -m benchmarks.search_functions   (--tiny for seconds, not minutes)
Hardware:  CPU.
Time:      half an hour a kind on two cores, Bayesian sides left out, which take longer
           than all others; ``--dimensions``, ``--functions``, ``--budgets``,
           ``--seeds`` and ``--sides`` make it shorter or longer.
Needs:     pip install 'evotune[rivals]'; sides whose packages are missing are left out,
           with a line that says so.
Result:    benchmarks/results/search_functions.json and .png, and the tables that it
           prints.

Functions of COCO, of which bbob is of reals and bbob-mixint has four integers, of 2, 4,
8 and 16 levels, to each real number; each seed has an instance of its own, the same for
all sides. All evaluate in batches of 32, each of which is asked for before one of it is
told. A run of a side is read off at each budget; "twice the trials" has two evaluations
where the others have one.

Baselines are in the form that suits batches. Optuna: TPE with a constant liar, alone
and multivariate; CMA-ES with margin, a generation of 32; NSGA-II with a population of
32; a scrambled Sobol sequence. pymoo: a population of 32. evosax: generations of 32 of
CMA-ES, whose first step is 0.3 of each interval, and of differential evolution, for
reals alone. Optuna's cost grows by the trial, so its samplers stop at
``--optuna-budget``.

``--ablation`` compares evotune's default with itself, one part changed at a time, and
writes ``search_functions_ablation.json``. What is the default was chosen on fourteen
other functions of both suites, with other seeds.

"rank" is the mean rank among the sides, 1 the best, over functions and seeds, with its
standard error over functions; losses under 1e-6 above the optimum count as equal;
"log10 loss" the mean over functions of the median over seeds; "better" the share of
pairs in which evotune's default was better, p by Wilcoxon's signed-rank test over them,
not corrected for the number of sides. "s a run" is what a run took, to the last of its
evaluations: evotune's with compiling, all seeds one after the other in one process that
has all cores; other tools' in a process on each core.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import evotune as et
from benchmarks import _functions, _pymoo, _ranks, _runs, _samplers
from benchmarks._contest import say
from benchmarks._harness import ROOT, hardware, write_result
from benchmarks._sides import missing

OURS = "evotune"
BATCH = 32
EASY_TO_HARD = (1, 3, 7, 8, 10, 15, 17, 21)
"""Of the 24: separable, stepped, curved, ill-conditioned, and of many optima."""


CHANGES: dict[str, dict[str, Any]] = {
    "children crossed alone": {"differing": 0.0},
    "children by differences alone": {"differing": 1.0},
    "never begun again": {"patience": None},
    "begun again with as many seats": {"doublings": 0},
}
"""Parts of the genetic algorithm that the ablation changes, one at a time."""

OF_THE_SURROGATE: dict[str, dict[str, Any]] = {
    "lengths of the whole cube": {"narrowest": 1.0},
    "less noise": {
        "prior": dataclasses.replace(et.algorithms.Surrogate().prior, noise=1e-4)
    },
    "all of 512 chosen": {"least_chosen": 1.0},
    "chosen for 256 trials": {"until": 256},
    "candidates crossed alone": {"differing": 0.0},
}
"""Parts of its surrogate likewise."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """One way to search.

    Attributes:
        search: An algorithm of evotune, or ``(problem, *, seed, rounds, batch) ->
            f64[n]`` losses, which a process of its own can be sent; None if a package
            is missing that it is made of.
        times: Evaluations that it has where the others have one.
        needs: Import names of packages that it needs beyond evotune's own.
        kinds: The kinds of functions that it can search.
        stops: Whether it stops at the budget of Optuna's sides.
    """

    search: Any
    times: int = 1
    needs: Sequence[str] = ()
    kinds: Sequence[str] = tuple(_functions.SUITES)
    stops: bool = False


def sides() -> dict[str, Side]:
    """All of them, by name."""
    ea = et.algorithms
    genetic = et.GeneticAlgorithm(population_size=BATCH)
    quasi = ea.QuasiRandomSearch(batch_size=BATCH)
    ours = {
        OURS: genetic,
        "evotune, no surrogate": dataclasses.replace(genetic, surrogate=None),
        "evotune Bayesian": ea.BayesianOptimization(batch_size=BATCH),
        "evotune Bayesian, trust region": ea.BayesianOptimization(
            batch_size=BATCH, batch="thompson", trust_region=ea.TrustRegion()
        ),
        "evotune DE": ea.DifferentialEvolution(population_size=BATCH),
        "evotune CMA-ES": ea.CMAES(batch_size=BATCH),
        "evotune PSO": ea.ParticleSwarm(population_size=BATCH),
        "evotune ageing": ea.AgeingEvolution(batch_size=BATCH),
        "evotune QMC": quasi,
        "evotune random": et.RandomSearch(batch_size=BATCH),
    }
    found = {name: Side(search=search) for name, search in ours.items()}
    found["evotune QMC, twice the trials"] = Side(search=quasi, times=2)
    for name in ("TPE", "multivariate TPE", "CMA-ES", "NSGA-II", "QMC", "random"):
        needs = ("optuna", "cmaes") if name == "CMA-ES" else ("optuna",)
        search = functools.partial(_samplers.optuna_losses, name)
        found[f"Optuna {name}"] = Side(search=search, needs=needs, stops=True)
    for name, kinds in {"GA": tuple(_functions.SUITES), "DE": ("real",)}.items():
        search = functools.partial(_pymoo.pymoo_losses, name)
        found[f"pymoo {name}"] = Side(search=search, needs=("pymoo",), kinds=kinds)
    found["evosax CMA-ES"] = _evosax("CMA_ES", std_init=3.0)
    found["evosax DE"] = _evosax("DifferentialEvolution")
    return found


def changed() -> dict[str, Side]:
    """evotune, and itself with one part changed; and itself without a surrogate."""
    genetic = et.GeneticAlgorithm(population_size=BATCH)
    plain = dataclasses.replace(genetic, surrogate=None)
    found = {OURS: Side(search=genetic), "no surrogate": Side(search=plain)}
    for change, settings in CHANGES.items():
        found[change] = Side(search=dataclasses.replace(genetic, **settings))
    for change, settings in OF_THE_SURROGATE.items():
        surrogate = et.algorithms.Surrogate(**settings)
        search = dataclasses.replace(genetic, surrogate=surrogate)
        found[change] = Side(search=search)
    niches = dataclasses.replace(plain, niche_radius=0.02)
    found["no surrogate, niches"] = Side(search=niches)
    for count in (2, 4):
        inner = dataclasses.replace(plain, population_size=BATCH // count)
        islands = et.algorithms.Islands(inner, islands=count)
        found[f"no surrogate, {count} islands"] = Side(search=islands)
    return found


def _evosax(strategy: str, **settings: float) -> Side:
    """A strategy of evosax in a box of ten units; nobody where evosax is missing."""
    search = None
    if not missing(("evosax",)):
        from evotune.integrations.evosax import EvosaxSearch

        search = EvosaxSearch(strategy=strategy, batch_size=BATCH, settings=settings)
    return Side(search=search, needs=("evosax",), kinds=("real",))


def compare(
    kind: str, options: argparse.Namespace, pool: concurrent.futures.Executor
) -> dict[str, Any]:
    """Ranks, curves and seconds of all sides on the functions of one kind."""
    make = _functions.Bowl if options.tiny else _functions.Function
    seeds = range(options.seed, options.seed + options.seeds)
    found: dict[str, dict[str, np.ndarray]] = {}
    seconds: dict[str, float] = {}
    for name, side in chosen(options).items():
        if kind not in side.kinds:
            continue
        budget = max(options.budgets)
        if side.stops:
            budget = min(budget, options.optuna_budget)
        mine, took = {}, []
        for dimension in options.dimensions:
            for number in options.functions:
                problems = [
                    make(
                        suite=kind,
                        number=number,
                        dimension=dimension,
                        instance=1 + seed % _functions.INSTANCES,
                    )
                    for seed in seeds
                ]
                losses, run_seconds = _runs.losses(
                    side.search,
                    problems,
                    seeds=seeds,
                    rounds=-(-budget * side.times // BATCH),
                    batch=BATCH,
                    pool=pool,
                )
                log = _ranks.logs(np.stack(losses), side.times)[:, :budget]
                mine[f"f{number} d{dimension}"] = log
                took.append(run_seconds)
        found[name], seconds[name] = mine, float(np.mean(took))
        say(f"{kind}, {name}: {seconds[name]:.2f} s a run")
    return {
        "budgets": _ranks.summary(found, budgets=options.budgets, to=OURS),
        "seconds_a_run": seconds,
        "curves": _ranks.curves(found),
    }


def chosen(options: argparse.Namespace) -> Mapping[str, Side]:
    """The sides that were asked for and have their packages; OURS always."""
    known = changed() if options.ablation else sides()
    return _runs.present(known, options.sides, always=OURS)


def main() -> None:
    options = parse()
    if not options.tiny and (line := missing(("cocoex",))):
        raise SystemExit(line)
    described, figures = hardware(), {}
    with _runs.workers(tiny=options.tiny) as pool:
        for kind in options.kinds:
            figures[kind] = compare(kind, options, pool)
            for budget, one in figures[kind]["budgets"].items():
                title = f"{kind}, {budget} evaluations"
                seconds = figures[kind]["seconds_a_run"]
                print(_ranks.table(title, one, seconds), flush=True)
    if options.tiny:
        return
    path = write_result(
        "search_functions",
        figures,
        settings=vars(options),
        described=described,
        part="ablation" if options.ablation else options.part,
    )
    _ranks.draw(figures, path.with_suffix(".png"))
    print(f"Written to {path.relative_to(ROOT)} and .png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    kinds = list(_functions.SUITES)
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--dimensions", nargs="+", type=int, default=[5, 10])
    parser.add_argument(
        "--functions", nargs="+", type=int, default=list(EASY_TO_HARD), help="1 to 24"
    )
    parser.add_argument("--budgets", nargs="+", type=int, default=[200, 1000, 5000])
    parser.add_argument("--optuna-budget", type=int, default=1000)
    parser.add_argument("--sides", nargs="+", choices=list(sides()), metavar="SIDE")
    parser.add_argument("--ablation", action="store_true", help="parts changed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--part", default="", help="search_functions_PART.json")
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.dimensions, options.functions, options.budgets = [3], [1, 2], [32, 64]
        options.seeds = 2
        options.sides = ["evotune DE", "Optuna NSGA-II", "pymoo GA"]
    return options


if __name__ == "__main__":
    main()
