"""Algorithms keep their contract on the axes of orders, and learn there."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from evotune import algorithms as ea
from evotune.space import Categorical, Float, Permutation, Space
from evotune.study import cube_fitness, simulate
from evotune.tasks import Function
from evotune.testing import AlgorithmContract
from evotune.testing._haste import hasty_jit

GEOMETRIES = {
    "order": Space(
        kind=Categorical(["plain", "mixed"]),
        order=Permutation("abcde"[i] for i in range(5)),
        other=Permutation(range(3), when={"kind": "mixed"}),
        rate=Float(0.0, 1.0),
    ).geometry()
}

ITEMS, MACHINES, BATCH, GENERATIONS, SEEDS = 10, 5, 32, 12, 24


class TestRandomSearch(AlgorithmContract):
    algorithm = ea.RandomSearch(batch_size=12)
    geometries: ClassVar = GEOMETRIES


class TestGeneticAlgorithm(AlgorithmContract):
    algorithm = ea.GeneticAlgorithm(
        population_size=12, history_size=512, surrogate=None
    )
    geometries: ClassVar = GEOMETRIES

    def best(self, state):
        return float(state.seats.best)


def makespan(order: jax.Array, times: jax.Array) -> jax.Array:
    """f32[]: when a permutation flow shop of times f32[n, m] ends.

    C[j, m] = max(C[j - 1, m], C[j, m - 1]) + t[j, m]
    """
    ends = jnp.zeros(MACHINES, jnp.float32)
    for job in range(ITEMS):
        took, done = times[order[job]], jnp.float32(0.0)
        row = []
        for machine in range(MACHINES):
            done = jnp.maximum(done, ends[machine]) + took[machine]
            row.append(done)
        ends = jnp.stack(row)
    return ends[-1]


def test_the_genetic_algorithm_schedules_better_than_chance() -> None:
    space = Space(order=Permutation(range(ITEMS)))

    def best(search, key):
        instance = jax.random.fold_in(key, 2**31)
        times = jax.random.uniform(instance, (ITEMS, MACHINES), minval=1.0, maxval=99.0)
        fitness = cube_fitness(
            Function(lambda hp: makespan(hp.order, times)),
            space,
        )
        found = simulate(
            search, fitness, space.geometry(), key, generations=GENERATIONS
        )
        return -found.fitness.max()

    keys = jax.vmap(jax.random.key)(jnp.arange(SEEDS))
    scores = {}
    for search in (
        ea.GeneticAlgorithm(population_size=BATCH, surrogate=None),
        ea.RandomSearch(batch_size=BATCH),
    ):
        found = hasty_jit(jax.vmap(lambda key, search=search: best(search, key)))(keys)
        scores[type(search).__name__] = np.asarray(found)
    genetic, chance = scores.values()
    better, worse = int((genetic < chance).sum()), int((genetic > chance).sum())
    shown = {name: each.round(1).tolist() for name, each in scores.items()}
    assert better >= 18, f"{better} better, {worse} worse: {shown}"
    assert genetic.mean() < chance.mean() - 5.0, shown
