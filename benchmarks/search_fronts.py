"""Which search finds the best trade-offs between several objectives in few trials?

Command:   python -m benchmarks.search_fronts   (--tiny for seconds, not minutes)
Hardware:  CPU.
Time:      each part some minutes on two cores that others loaded; ``--kinds``,
           ``--problems``, ``--budgets``, ``--seeds`` and ``--sides`` make it shorter or
           longer. With OPENBLAS_NUM_THREADS=1 a surrogate is faster on a busy machine.
Needs:     pip install 'evotune[rivals]'; sides whose packages are missing are left out,
           with a line that says so.
Result:    benchmarks/results/search_fronts_PART.json and .png for ``--part PART``, and
           the tables that it prints.

Four kinds of problems: ZDT1 to 4 and 6, of two objectives and 30 or 10 reals; DTLZ2, of
three objectives and 12 reals; recorded tables of real networks (FCNet and
NAS-Bench-201: validation error and parameters, HPOBench: validation error and seconds
of training, of which the logarithms count); and perceptrons that are trained on digits
by evotune's engine for all sides (validation error, and the logarithm of the number of
parameters; six hyperparameters). All evaluate in batches of 32, each of which is asked
for before one of it is told; "twice the trials" has two evaluations where the others
have one. Every side is told what is measured, and repeats a run's seed.

A search is worth the hypervolume of all that it has found. Its reference point is, in
each objective, a tenth beyond the true front, or the median of uniform points if that
is further, so that it also tells apart searches that are far from the front. "log10
gap" is the logarithm of the share of the true front's hypervolume that is missing, at
least 1e-4, the mean over problems of the median over seeds; of trained networks that of
the front of all sides and runs. "rank" is the mean rank among the sides, 1 the best,
over problems and seeds, with its standard error over problems; "better" the share of
pairs in which evotune's default, NSGA-II with a surrogate, was better, p by Wilcoxon's
signed-rank test over them, not corrected for the number of sides. "s a run" is what a
run took, evotune's with compiling, all seeds one after the other in one process that
has all cores; other tools' in a process on each core. Of trained networks all sides run
one after the other.

Rivals have the settings of their authors, and a population of 32, which suits batches
of 32; "its own size" are 50 of Optuna, and of pymoo 100, or 50 of mixed variables.
``--problems development`` takes others than those that results are given of.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

import evotune as et
from benchmarks import _fronts, _hypervolumes, _pymoo, _ranks, _runs, _samplers, _tables
from benchmarks._contest import say
from benchmarks._harness import ROOT, cores, hardware, write_result

OURS = "evotune"
BATCH = 32
KINDS = ("functions", "three", "tables", "networks")
MEASURE = "log10 gap"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """One way to search.

    Attributes:
        search: ``(objectives) -> algorithm`` of evotune, or ``(problem, *, seed,
            rounds, batch) -> f64[n, M]`` losses, which another process can be sent.
        ours: Whether it is evotune's.
        times: Evaluations that it has where the others have one.
        needs: Import names of packages that it needs beyond evotune's own.
        three: Whether it is for three objectives alone.
    """

    search: Callable[..., Any]
    ours: bool = False
    times: int = 1
    needs: Sequence[str] = ()
    three: bool = False


def sides() -> dict[str, Side]:
    """All of them, by name."""
    ea = et.algorithms

    def quasi(_: int) -> Any:
        return ea.QuasiRandomSearch(batch_size=BATCH)

    def random(_: int) -> Any:
        return et.RandomSearch(batch_size=BATCH)

    def ours(objectives: int) -> Any:
        return ea.NSGA2(population_size=BATCH, objectives=objectives)

    def plain(objectives: int) -> Any:
        return dataclasses.replace(ours(objectives), surrogate=None)

    def nsga3(objectives: int) -> Any:
        return ea.NSGA3(population_size=BATCH, objectives=objectives)

    found = {
        OURS: Side(search=ours, ours=True),
        "evotune, no surrogate": Side(search=plain, ours=True),
        "evotune NSGA-III": Side(search=nsga3, ours=True, three=True),
        "evotune QMC": Side(search=quasi, ours=True),
        "evotune random": Side(search=random, ours=True),
        "evotune QMC, twice the trials": Side(search=quasi, ours=True, times=2),
    }
    for name in ("NSGA-II", "NSGA-II, its own size", "NSGA-II, SBX", "NSGA-III", "TPE"):
        search = functools.partial(_samplers.optuna_losses, name)
        three = name == "NSGA-III"
        found[f"Optuna {name}"] = Side(search=search, needs=("optuna",), three=three)
    for name in ("NSGA-II", "NSGA-II, its own size", "NSGA-III"):
        search = functools.partial(_pymoo.pymoo_losses, name)
        three = name == "NSGA-III"
        found[f"pymoo {name}"] = Side(search=search, needs=("pymoo",), three=three)
    return found


def problems(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """The problems of a kind by name, each ``(seed) -> problem``."""
    if options.tiny:
        return {"bowls": lambda _: _fronts.Bowls(whole=4 * (kind == "tables"))}
    if kind == "networks":
        # One that compiles the engine, so that no side has to.
        _fronts.Networks(seed=0).evaluate(np.full((BATCH, len(_fronts.SPACE)), 0.5))
        return {"digits": lambda seed: _fronts.Networks(seed=seed)}
    development = options.problems == "development"
    found: dict[str, Any] = {}
    if kind == "tables":
        tables = _tables.DEVELOPMENT if development else _tables.MEASURED
        for name, source in tables.items():
            found[name] = _fronts.Recorded(*source)
    else:
        functions = _fronts.DEVELOPMENT if development else _fronts.FUNCTIONS
        for name, function in functions.items():
            if function[2] == (3 if kind == "three" else 2):
                found[name] = _fronts.Function(*function)
    return {name: functools.partial(_same, one) for name, one in found.items()}


def _same(problem: Any, _: int) -> Any:
    """The problem, whatever the seed."""
    return problem


def compare(
    kind: str, options: argparse.Namespace, pool: concurrent.futures.Executor
) -> dict[str, Any]:
    """Ranks, curves and seconds of all sides on the problems of one kind."""
    seeds = range(options.seed, options.seed + options.seeds)
    budget = max(options.budgets)
    at = _hypervolumes.marks(options.budgets, BATCH)
    found: dict[str, dict[str, np.ndarray]] = {}
    seconds: dict[str, list[float]] = {}
    for name, make in problems(kind, options).items():
        volumes = {}
        for title, side in chosen(kind, options).items():
            given = [make(seed) for seed in seeds]
            search = side.search(given[0].objectives) if side.ours else side.search
            losses, took = _runs.losses(
                search,
                given,
                seeds=seeds,
                rounds=-(-budget * side.times // BATCH),
                batch=BATCH,
                pool=pool,
            )
            volumes[title] = np.stack(
                [
                    _hypervolumes.volumes(one, given[0].reference, at, side.times)
                    for one in losses
                ]
            )
            seconds.setdefault(title, []).append(took)
            say(f"{kind}, {name}, {title}: {took:.2f} s a run")
        for title, gap in _hypervolumes.gaps(volumes, make(options.seed)).items():
            found.setdefault(title, {})[name] = gap
    return {
        "budgets": _ranks.summary(found, budgets=options.budgets, to=OURS),
        "seconds_a_run": {side: float(np.mean(took)) for side, took in seconds.items()},
        "curves": _ranks.curves(found),
    }


def chosen(kind: str, options: argparse.Namespace) -> Mapping[str, Side]:
    """The sides of a kind that were asked for; OURS always."""
    known = {
        name: side
        for name, side in sides().items()
        if kind == "three" or not side.three
    }
    return _runs.present(known, options.sides, always=OURS)


def main() -> None:
    options = parse()
    jax.config.update("jax_num_cpu_devices", cores())
    described, figures = hardware(), {}
    for kind in options.kinds:
        # Networks are trained by one engine, which has all cores.
        alone = kind == "networks"
        threads = concurrent.futures.ThreadPoolExecutor(1)
        with threads if alone else _runs.workers(tiny=options.tiny) as pool:
            figures[kind] = compare(kind, options, pool)
        for budget, one in figures[kind]["budgets"].items():
            seconds = figures[kind]["seconds_a_run"]
            title = f"{kind}, {budget} evaluations"
            print(_ranks.table(title, one, seconds, MEASURE), flush=True)
    if options.tiny:
        return
    part = options.part or options.problems.replace("measured", "")
    if hasattr(os, "getloadavg"):
        described["load_after"] = round(os.getloadavg()[0], 2)
    path = write_result(
        "search_fronts",
        figures,
        settings=vars(options),
        described=described,
        part=part,
    )
    measure = "log10 of the missing hypervolume"
    _ranks.draw(figures, path.with_suffix(".png"), measure)
    print(f"Written to {path.relative_to(ROOT)} and .png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument(
        "--problems", choices=("measured", "development"), default="measured"
    )
    parser.add_argument("--budgets", nargs="+", type=int, default=[100, 300, 1000])
    parser.add_argument("--sides", nargs="+", choices=list(sides()), metavar="SIDE")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--part", default="", help="search_fronts_PART.json")
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.kinds, options.budgets = ["functions", "tables"], [32, 64]
        options.seeds = 2
        options.sides = ["evotune QMC", "Optuna NSGA-II", "pymoo NSGA-II"]
    return options


if __name__ == "__main__":
    main()
