"""Which coordinates of an order search better: insertion digits, or random keys?

Command:   python -m benchmarks.permutations   (--tiny for seconds, not minutes)
Hardware:  CPU.
Time:      not measured on an idle machine; ``--seeds``, ``--items``, ``--searches`` and
           ``--problems`` make it shorter or longer.
Result:    benchmarks/results/permutations.json, and the tables that it prints.

"digits" is `et.space.Permutation`: n - 1 ordered axes of 2 to n levels, one point to an
order. "keys" are n floats, and the items in the order of these (Bean, 1994, "Genetic
algorithms and random keys for sequencing and optimization"): many points to an order.
Each seed has an instance of its own, the same for both and for random search, and all
have as many trials: ``--generations`` of 32.

Problems, all to be minimised, of n items: the makespan of a permutation flow shop of
five machines with times from 1 to 99; the weights below the diagonal of a linear
ordering; the length of a round trip between points of the unit square; the cost of an
assignment; and sorting, the number of pairs that stand in reverse of a hidden order.
All weights and points are uniform.

"digits" and "keys" are by how much a side's best is below random search's, mean over
the seeds; "digits - keys" is the mean of the differences seed by seed with its standard
error, and above 0 where digits are better; "better" and "worse" count seeds; p is of
Wilcoxon's signed-rank test, not corrected for the number of rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import evotune as et
from benchmarks._contest import say
from benchmarks._harness import ROOT, hardware, write_result
from benchmarks._regret import paired
from evotune.study import cube_fitness, simulate

BATCH, MACHINES = 32, 5

Cost = Callable[[jax.Array, jax.Array], jax.Array]
"""From an order, i32[n], and the key of an instance to what is minimised, f32[]."""


def flow_shop(order: jax.Array, key: jax.Array) -> jax.Array:
    """The makespan: C[j, m] = max(C[j - 1, m], C[j, m - 1]) + t[j, m]."""
    times = jax.random.uniform(
        key, (len(order), MACHINES), minval=1.0, maxval=99.0, dtype=jnp.float32
    )

    def job(ready: jax.Array, took: jax.Array) -> tuple[jax.Array, None]:
        done, ends = jnp.float32(0.0), []
        for machine in range(MACHINES):
            done = jnp.maximum(done, ready[machine]) + took[machine]
            ends.append(done)
        return jnp.stack(ends), None

    start = jnp.zeros(MACHINES, jnp.float32)
    return jax.lax.scan(job, start, times[order])[0][-1]


def linear_ordering(order: jax.Array, key: jax.Array) -> jax.Array:
    """The weights below the diagonal of the matrix in that order."""
    weights = jax.random.uniform(key, (len(order), len(order)))
    return jnp.tril(weights[order][:, order], -1).sum()


def round_trip(order: jax.Array, key: jax.Array) -> jax.Array:
    """The length of the closed tour."""
    points = jax.random.uniform(key, (len(order), 2))[order]
    steps = points - jnp.roll(points, 1, axis=0)
    return jnp.sqrt((steps**2).sum(axis=1)).sum()


def assignment(order: jax.Array, key: jax.Array) -> jax.Array:
    """What it costs to put item order[k] at place k."""
    costs = jax.random.uniform(key, (len(order), len(order)))
    return costs[jnp.arange(len(order)), order].sum()


def sorting(order: jax.Array, key: jax.Array) -> jax.Array:
    """The pairs that stand in reverse of a hidden order."""
    rank = jax.random.permutation(key, len(order))[order]
    return jnp.triu(rank[:, None] > rank[None, :], 1).sum().astype(jnp.float32)


PROBLEMS: dict[str, Cost] = {
    "flow shop": flow_shop,
    "linear ordering": linear_ordering,
    "round trip": round_trip,
    "assignment": assignment,
    "sorting": sorting,
}
SEARCHES: dict[str, Any] = {
    "genetic": et.GeneticAlgorithm(population_size=BATCH, surrogate=None),
    "genetic, surrogate": et.GeneticAlgorithm(population_size=BATCH),
    "differential evolution": et.algorithms.DifferentialEvolution(
        population_size=BATCH
    ),
    "CMA-ES": et.algorithms.CMAES(batch_size=BATCH),
    "particle swarm": et.algorithms.ParticleSwarm(population_size=BATCH),
}


def digits(items: int) -> tuple[et.Space, Callable[[Any], jax.Array]]:
    """A permutation, and how an order is read from it."""
    space = et.Space(order=et.space.Permutation(range(items)))
    return space, lambda hp: hp.order


def keys(items: int) -> tuple[et.Space, Callable[[Any], jax.Array]]:
    """A float for each item, and how an order is read from these."""
    names = [f"key_{item}" for item in range(items)]
    space = et.Space({name: et.Float(0.0, 1.0) for name in names})
    return space, lambda hp: jnp.argsort(jnp.stack([hp[name] for name in names]))


def best(
    search: Any, cost: Cost, encoding: Any, options: argparse.Namespace
) -> np.ndarray:
    """f64[seeds]: the least cost that a search has found with each seed."""
    space, order_of = encoding(options.items)

    def run(key: jax.Array) -> jax.Array:
        instance = jax.random.fold_in(key, 2**31)
        task = et.tasks.Function(lambda hp: cost(order_of(hp), instance))
        fitness, geometry = cube_fitness(task, space), space.geometry()
        found = simulate(
            search, fitness, geometry, key, generations=options.generations
        )
        return -found.fitness.max()

    seeds = jnp.arange(options.seed, options.seed + options.seeds)
    return np.asarray(jax.jit(jax.vmap(run))(jax.vmap(jax.random.key)(seeds)), float)


def compare(cost: Cost, options: argparse.Namespace) -> dict[str, Any]:
    """The least costs of random search, and of each search by its coordinates."""
    chance = best(et.RandomSearch(batch_size=BATCH), cost, digits, options)
    figures: dict[str, Any] = {"random": chance.tolist()}
    for name in options.searches:
        figures[name] = {
            side.__name__: best(SEARCHES[name], cost, side, options).tolist()
            for side in (digits, keys)
        }
        say(f"{name}: done")
    return figures


def table(title: str, figures: dict[str, Any]) -> str:
    """The searches of a problem, one a line."""
    lines = [
        title,
        f"  {'':22} {'digits':>8} {'keys':>8} {'digits - keys':>18} {'better':>6} "
        f"{'worse':>6} {'p':>8}",
    ]
    chance = np.asarray(figures["random"])
    for name, sides in figures.items():
        if name == "random":
            continue
        ours, theirs = np.asarray(sides["digits"]), np.asarray(sides["keys"])
        gap = theirs - ours
        error = np.std(gap, ddof=1) / np.sqrt(len(gap))
        p = paired(ours, theirs)["p"]
        lines.append(
            f"  {name:22} {np.mean(chance - ours):8.3g} {np.mean(chance - theirs):8.3g}"
            f" {np.mean(gap):8.2g} ± {error:7.2g} {np.sum(gap > 0):6} "
            f"{np.sum(gap < 0):6} {p:8.2g}"
        )
    return "\n".join(lines)


def main() -> None:
    options = parse()
    described, figures = hardware(), {}
    for name in options.problems:
        figures[name] = compare(PROBLEMS[name], options)
        trials = options.generations * BATCH
        print(table(f"{name}, {options.items} items, {trials} trials", figures[name]))
        if options.tiny:
            continue
        path = write_result(
            "permutations",
            figures,
            settings=vars(options),
            described=described,
            part=options.part,
        )
        print(f"Written to {path.relative_to(ROOT)}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    problems, searches = list(PROBLEMS), list(SEARCHES)
    parser.add_argument("--problems", nargs="+", choices=problems, default=problems)
    parser.add_argument("--searches", nargs="+", choices=searches, default=searches)
    parser.add_argument("--items", type=int, default=10)
    parser.add_argument("--generations", type=int, default=20, help="of 32 trials")
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--part", default="", help="permutations_PART.json")
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.problems, options.searches = ["sorting"], ["genetic"]
        options.items, options.generations, options.seeds = 5, 2, 4
    return options


if __name__ == "__main__":
    main()
