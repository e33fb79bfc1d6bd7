"""How long does a search think about its next generation?

Command:   python -m benchmarks.ask                    (--tiny for seconds, not minutes)
Hardware:  CPU.
Time:      two minutes on two cores.
Result:    benchmarks/results/ask.json, and the tables that it prints.

Every search method of evotune is asked for 1,024 members in a space of 20 dimensions,
ten numbers, five integers and five categories, when it has been told two generations;
those that learn a model of the trials, surrogates and Bayesian optimisation, are
measured apart, and for 64 rows after 448 trials, too, the last generation in which a
surrogate chooses; of 1,024 it never does. Compiling is not part of a call, and is given
beside it. Proposals are compiled as a study compiles them, up to 256 rows in a hurry.

"ms" is the median of the calls, "least" the shortest of them, "CPU ms" the median
processor time of all threads, which a machine that others load changes less. A target
of 50 ms holds for the methods that learn no model: those over it are named at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

import evotune as et
from benchmarks._contest import say
from benchmarks._harness import ROOT, hardware, write_result
from evotune._contracts import Algorithm, pending
from evotune.testing import choice, cube, finish, floating, integer
from evotune.testing._haste import hasty_jit

TARGET_MS = 50.0
HASTY_ROWS = 256
"""Up to which a study compiles in a hurry (`evotune.study._search`)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """What is asked.

    Attributes:
        search: The algorithm.
        told: Generations that it has been told before.
    """

    search: Algorithm
    told: int


def evolving(members: int) -> dict[str, Case]:
    """The methods that learn no model of the trials, by name."""
    ea = et.algorithms
    plain = et.GeneticAlgorithm(population_size=members, surrogate=None)
    searches: dict[str, Any] = {
        "random": et.RandomSearch(batch_size=members),
        "QMC": ea.QuasiRandomSearch(batch_size=members),
        "Latin hypercube": ea.LatinHypercubeSearch(batch_size=members),
        "grid": et.GridSearch(levels=1, batch_size=members),
        "genetic": plain,
        "genetic, niches": dataclasses.replace(plain, niche_radius=0.02),
        "genetic, 4 islands": ea.Islands(
            dataclasses.replace(plain, population_size=members // 4), islands=4
        ),
        "ageing": ea.AgeingEvolution(batch_size=members),
        "DE": ea.DifferentialEvolution(population_size=members),
        "PSO": ea.ParticleSwarm(population_size=members),
        "CMA-ES": ea.CMAES(batch_size=members),
        "NSGA-II": ea.NSGA2(population_size=members, surrogate=None),
        "NSGA-III": ea.NSGA3(population_size=members, objectives=3),
        "staged": ea.StagedSearch(
            stages=[range(10), range(10, 20)],
            trials=members,
            inner=ea.DifferentialEvolution(population_size=members),
        ),
    }
    return {name: Case(search=search, told=2) for name, search in searches.items()}


def learning(members: int, told: int) -> dict[str, Case]:
    """The methods that learn one, by name."""
    bayesian = et.algorithms.BayesianOptimization(batch_size=members)
    region = et.algorithms.TrustRegion()
    searches: dict[str, Any] = {
        "genetic, surrogate": et.GeneticAlgorithm(population_size=members),
        "NSGA-II, surrogate": et.algorithms.NSGA2(population_size=members),
        "Bayesian, believer": bayesian,
        "Bayesian, local penalization": dataclasses.replace(
            bayesian, batch="local_penalization"
        ),
        "Bayesian, Thompson": dataclasses.replace(bayesian, batch="thompson"),
        "Bayesian, Thompson, trust region": dataclasses.replace(
            bayesian, batch="thompson", trust_region=region
        ),
    }
    return {name: Case(search=each, told=told) for name, each in searches.items()}


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Milliseconds of one proposal, all calls, and the seconds that compiling took."""
    search: Any = case.search
    geometry = cube(*[floating()] * 10, *[integer(16)] * 5, *[choice(4)] * 5)
    objectives = getattr(search, "objectives", 1) or 1
    # Nobody times `tell` here, so it is always compiled in a hurry.
    tell, state = hasty_jit(search.tell), search.init(jax.random.key(0), geometry)
    start = time.perf_counter()
    hasty = search.batch_size <= HASTY_ROWS
    jitted: Any = (hasty_jit if hasty else jax.jit)(search.ask)
    ask = jitted.lower(jax.random.key(0), state).compile()
    compiling = time.perf_counter() - start
    for number in range(case.told):
        proposal = ask(jax.random.key(number), state)
        away = [jnp.square(proposal.x - at).sum(axis=1) for at in (0.3, 0.7, 0.5)]
        fitness = -jnp.stack(away[:objectives], axis=1)
        told = dataclasses.replace(
            finish(proposal, 0.0), fitness=fitness, variance=jnp.zeros_like(fitness)
        )
        under_way = pending(proposal, objectives=objectives)
        state = tell(tell(state, under_way), told)
    wall, processor = [], []
    for number in range(repeats + 1):
        clocks = time.perf_counter(), time.process_time()
        jax.block_until_ready(ask(jax.random.key(99 + number), state))
        wall.append(1e3 * (time.perf_counter() - clocks[0]))
        processor.append(1e3 * (time.process_time() - clocks[1]))
    return {
        "ms": statistics.median(wall[1:]),
        "least_ms": min(wall[1:]),
        "cpu_ms": statistics.median(processor[1:]),
        "compile_seconds": compiling,
        "all_ms": [round(each, 3) for each in wall[1:]],
    }


def table(title: str, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each method."""
    columns = {"ms": "ms", "least": "least_ms", "CPU ms": "cpu_ms"}
    columns |= {"compile s": "compile_seconds"}
    lines = [f"{title:40}" + "".join(f"{name:>11}" for name in columns)]
    lines += [
        f"{name:40}" + "".join(f"{row[key]:11.2f}" for key in columns.values())
        for name, row in figures.items()
    ]
    return "\n".join(lines)


def main() -> None:
    options = parse()
    described = hardware()
    figures: dict[str, dict[str, Any]] = {}
    few, many = options.few, options.members
    groups = {
        f"{many} members": evolving(many),
        f"{few} members, a model of {7 * few} trials": learning(few, 7),
        f"{many} members, a model": learning(many, 2),
    }
    for title, cases in groups.items():
        figures[title] = {}
        for name in [each for each in cases if each in (options.methods or cases)]:
            case = cases[name]
            figures[title][name] = measure(case, options.repeats)
            say(f"{title}, {name}: {figures[title][name]['ms']:.1f} ms")
        print(table(title, figures[title]), flush=True)
    slow = [n for n, row in figures[f"{many} members"].items() if row["ms"] > TARGET_MS]
    print(f"over {TARGET_MS:.0f} ms: {', '.join(slow) or 'none'}")
    if options.tiny:
        return
    path = write_result("ask", figures, settings=vars(options), described=described)
    print(f"Written to {path.relative_to(ROOT)}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--members", type=int, default=1024)
    parser.add_argument("--few", type=int, default=64, help="members of small batches")
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="by name")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.members, options.few, options.repeats = 8, 4, 1
        options.methods = ["DE", "NSGA-II", "Bayesian, Thompson"]
    return options


if __name__ == "__main__":
    main()
