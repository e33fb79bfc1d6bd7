"""Search methods: pure `init`, `ask` and `tell` over arrays in the unit cube.

The operators of the genetic algorithm are free functions, to be used with other
settings (`functools.partial`) or replaced by one's own.
"""

from __future__ import annotations

from evotune.algorithms._acquisition import (
    Acquisition,
    log_probability_of_improvement,
    upper_confidence_bound,
)
from evotune.algorithms._adaptation import (
    Adaptation,
    constant_strength,
    spread_strength,
)
from evotune.algorithms._ageing import AgeingEvolution
from evotune.algorithms._bayesian import BayesianOptimization
from evotune.algorithms._cma_es import CMAES
from evotune.algorithms._crossover import (
    Crossover,
    blend_crossover,
    one_point_crossover,
    simulated_binary_crossover,
    two_point_crossover,
    uniform_crossover,
)
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._differential_evolution import DifferentialEvolution
from evotune.algorithms._expected_improvement import log_expected_improvement
from evotune.algorithms._genetic import GeneticAlgorithm
from evotune.algorithms._grid import GridSearch, GridSizeError
from evotune.algorithms._islands import Islands
from evotune.algorithms._latin_hypercube import LatinHypercubeSearch
from evotune.algorithms._lattice import GridLevelsError
from evotune.algorithms._marginal_likelihood import Prior
from evotune.algorithms._mutation import (
    Mutation,
    gaussian_mutation,
    polynomial_mutation,
    resample_category,
)
from evotune.algorithms._nsga2 import NSGA2
from evotune.algorithms._nsga3 import NSGA3
from evotune.algorithms._particle_swarm import ParticleSwarm
from evotune.algorithms._quasi_random import QuasiRandomSearch
from evotune.algorithms._random import RandomSearch
from evotune.algorithms._selection import (
    Selection,
    linear_rank_selection,
    roulette_selection,
    tournament_selection,
    truncation_selection,
)
from evotune.algorithms._staged import StagedSearch
from evotune.algorithms._surrogate import Surrogate
from evotune.algorithms._trust_region import TrustRegion

__all__ = [
    "CMAES",
    "NSGA2",
    "NSGA3",
    "Acquisition",
    "Adaptation",
    "AgeingEvolution",
    "BayesianOptimization",
    "Crossover",
    "DifferentialEvolution",
    "GeneticAlgorithm",
    "GridLevelsError",
    "GridSearch",
    "GridSizeError",
    "Islands",
    "LatinHypercubeSearch",
    "Mutation",
    "ParticleSwarm",
    "Prior",
    "QuasiRandomSearch",
    "RandomSearch",
    "Selection",
    "StagedSearch",
    "Surrogate",
    "TrustRegion",
    "blend_crossover",
    "canonicalise",
    "constant_strength",
    "gaussian_mutation",
    "linear_rank_selection",
    "log_expected_improvement",
    "log_probability_of_improvement",
    "one_point_crossover",
    "polynomial_mutation",
    "resample_category",
    "roulette_selection",
    "simulated_binary_crossover",
    "spread_strength",
    "tournament_selection",
    "truncation_selection",
    "two_point_crossover",
    "uniform_crossover",
    "upper_confidence_bound",
]
