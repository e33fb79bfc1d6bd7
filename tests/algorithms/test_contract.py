"""Every algorithm keeps the contract, in every space."""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import jax.numpy as jnp

from evotune import algorithms as ea
from evotune.testing import GEOMETRIES, AlgorithmContract

FEW = {name: GEOMETRIES[name] for name in ("conditional", "mixed")}
"""Every kind of dimension, in two spaces: compiling is what takes long."""


class TestRandomSearch(AlgorithmContract):
    algorithm = ea.RandomSearch(batch_size=12)


class TestQuasiRandomSearch(AlgorithmContract):
    algorithm = ea.QuasiRandomSearch(batch_size=12)
    geometries: ClassVar = FEW


class TestLatinHypercubeSearch(AlgorithmContract):
    algorithm = ea.LatinHypercubeSearch(batch_size=12)
    geometries: ClassVar = FEW


class TestGridSearch(AlgorithmContract):
    algorithm = ea.GridSearch(levels=3, batch_size=12)
    geometries: ClassVar = {name: g for name, g in GEOMETRIES.items() if name != "many"}


class TestShuffledGridSearch(AlgorithmContract):
    algorithm = ea.GridSearch(levels=4, shuffle=True, batch_size=12)
    geometries: ClassVar = FEW


class TestGeneticAlgorithm(AlgorithmContract):
    algorithm = ea.GeneticAlgorithm(
        population_size=12, history_size=512, surrogate=None
    )
    rounding = 1e-5

    def best(self, state):
        return float(state.seats.best)


class TestGeneticAlgorithmOfOtherOperators(TestGeneticAlgorithm):
    algorithm = ea.GeneticAlgorithm(
        population_size=13,
        patience=2,
        doublings=1,
        selection="roulette",
        crossover=ea.simulated_binary_crossover,
        mutation="polynomial",
        mutation_strength=0.05,
        differing=0.0,
        history_size=64,
        surrogate=None,
    )
    geometries: ClassVar = FEW


class TestGeneticAlgorithmInNiches(TestGeneticAlgorithm):
    algorithm = ea.GeneticAlgorithm(
        population_size=12, history_size=512, surrogate=None, niche_radius=0.2
    )
    geometries: ClassVar = FEW
    any_order = False  # a niche that is cleared and forgotten does not return


class TestDifferentialEvolution(AlgorithmContract):
    algorithm = ea.DifferentialEvolution(population_size=12)
    geometries: ClassVar = FEW
    rounding = 1e-5

    def best(self, state):
        return float(state.seats.best)


class TestAgeingEvolution(AlgorithmContract):
    algorithm = ea.AgeingEvolution(
        population_size=12, sample_size=4, batch_size=12, history_size=512
    )
    geometries: ClassVar = FEW


class TestParticleSwarm(AlgorithmContract):
    algorithm = ea.ParticleSwarm(population_size=12)
    geometries: ClassVar = FEW

    def best(self, state):
        return float(state.bests.fitness.max())


class TestCMAES(AlgorithmContract):
    algorithm = ea.CMAES(batch_size=12)
    geometries: ClassVar = FEW
    rounding = 1e-5


class TestGeneticAlgorithmWithASurrogate(TestGeneticAlgorithm):
    algorithm = ea.GeneticAlgorithm(
        population_size=12,
        history_size=512,
        surrogate=ea.Surrogate(
            candidates=64, shortlist=24, trials=48, fitted=24, steps=5
        ),
    )
    geometries: ClassVar = {
        name: GEOMETRIES[name] for name in ("one_choice", "conditional", "one_level")
    }


class TestBayesianOptimization(AlgorithmContract):
    algorithm = ea.BayesianOptimization(
        batch_size=12,
        initial=12,
        candidates=48,
        shortlist=24,
        climbs=2,
        trials=48,
        fitted=24,
        steps=5,
    )
    geometries: ClassVar = FEW
    rounding = 1e-6

    def best(self, state):
        return float(state.archive.told.fitness[0])


class TestBayesianOptimizationByLocalPenalization(TestBayesianOptimization):
    algorithm = dataclasses.replace(
        TestBayesianOptimization.algorithm,
        batch="local_penalization",
        acquisition="upper_confidence_bound",
    )


class TestBayesianOptimizationByThompsonSamplingInATrustRegion(
    TestBayesianOptimization
):
    algorithm = dataclasses.replace(
        TestBayesianOptimization.algorithm,
        batch="thompson",
        trust_region=ea.TrustRegion(),
    )


class TestNSGA2(AlgorithmContract):
    algorithm = ea.NSGA2(population_size=12, objectives=1, surrogate=None)
    geometries: ClassVar = FEW

    def best(self, state):
        fitness = state.members.fitness[:, 0]
        return float(fitness.max(where=state.members.known, initial=-jnp.inf))


class TestNSGA2WithASurrogate(TestNSGA2):
    algorithm = ea.NSGA2(
        population_size=12,
        objectives=1,
        surrogate=ea.Surrogate(
            candidates=64, shortlist=24, trials=48, fitted=24, steps=5
        ),
    )
    geometries: ClassVar = {
        name: GEOMETRIES[name] for name in ("conditional", "one_level")
    }


class TestNSGA3(TestNSGA2):
    algorithm = ea.NSGA3(population_size=12, objectives=1)


class TestStagedSearch(AlgorithmContract):
    algorithm = ea.StagedSearch(
        stages=[(0,), (1, 2)], trials=12, inner=ea.RandomSearch(batch_size=12)
    )
    geometries: ClassVar = FEW

    def best(self, state):
        return float(state.best.fitness[0])


class TestIslands(AlgorithmContract):
    algorithm = ea.Islands(
        inner=ea.GeneticAlgorithm(population_size=4, history_size=512, surrogate=None),
        islands=3,
        interval=1,
    )
    geometries: ClassVar = FEW

    def best(self, state):
        return float(state.inner.seats.best.max())


def test_every_algorithm_of_the_package_is_in_the_registry() -> None:
    methods = {name for name in dir(ea) if hasattr(getattr(ea, name), "ask")}
    suites = [value for value in globals().values() if isinstance(value, type)]
    tested = {type(s.algorithm).__name__ for s in suites if hasattr(s, "algorithm")}
    assert methods == tested


def test_operators_with_other_settings_are_still_functions() -> None:
    tuned = functools.partial(ea.blend_crossover, alpha=0.1)
    assert ea.GeneticAlgorithm(crossover=tuned).crossover is tuned
