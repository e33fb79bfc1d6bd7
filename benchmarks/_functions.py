"""Functions to minimise: of reals and of mixed integers, as points of the unit cube."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from evotune._contracts import Geometry
from evotune.testing import cube, floating, integer

SUITES = {"real": "bbob", "mixed": "bbob-mixint"}
"""The suites of COCO by what their functions are of."""

INSTANCES = 15
"""Those that COCO has results of; each moves the optimum, and turns the axes."""


class Problem(Protocol):
    """What a side searches; rows of the unit cube in, losses out."""

    @property
    def geometry(self) -> Geometry:
        """The marks of the cube."""
        ...

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """f64[N], smaller is better, of f64[N, D] in the unit cube."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Function:
    """One function of COCO; nothing of it is loaded before it is evaluated.

    Attributes:
        suite: "real" or "mixed".
        number: Of the function, 1 to 24; both suites have the same ones.
        dimension: D; of the suite "mixed" four in five are integers, of 2, 4, 8 and 16
            levels.
        instance: 1 to 15.

    Reference:
        Hansen et al. (2021), "COCO: a platform for comparing continuous optimizers in a
        black-box setting"; Tušar, Brockhoff and Hansen (2019), "Mixed-integer benchmark
        problems for single- and bi-objective optimization".
    """

    suite: str
    number: int
    dimension: int
    instance: int

    @property
    def geometry(self) -> Geometry:
        """Ordered cells for integers, all of [0, 1] for reals."""
        levels = _opened(self).levels.tolist()
        return cube(*[integer(count) if count else floating() for count in levels])

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """f64[N] above the best value that there is, of f64[N, D] in the unit cube.

        The offset of the best value, which an instance draws at random, is taken off
        for all sides: single precision would lose small differences beside it.
        """
        coco, x = _opened(self), np.asarray(x, np.float64)
        level = np.clip(np.floor(x * coco.levels), 0, np.maximum(coco.levels - 1, 0))
        part = np.where(coco.levels > 0, level, x * (coco.high - coco.low))
        values = np.asarray([coco.value(point) for point in coco.low + part])
        return np.maximum(values - coco.best, 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Opened:
    """COCO's problem and what it says of itself.

    Attributes:
        value: Of one point, f64[D].
        low: f64[D], lower bounds.
        high: f64[D], upper bounds.
        levels: i64[D], 0 where continuous.
        best: The best value that there is.
    """

    value: Any
    low: np.ndarray
    high: np.ndarray
    levels: np.ndarray
    best: float


@functools.lru_cache(maxsize=512)
def _opened(function: Function) -> _Opened:
    """The problem, opened once in each process."""
    suite = _suite(function.suite, function.dimension)
    problem = suite.get_problem_by_function_dimension_instance(
        function.number, function.dimension, function.instance
    )
    low, high = np.asarray(problem.lower_bounds), np.asarray(problem.upper_bounds)
    whole = np.arange(function.dimension) < problem.number_of_integer_variables
    levels = np.where(whole, np.round(high - low) + 1, 0).astype(np.int64)
    best = float(problem(_best_point(problem)))
    return _Opened(value=problem, low=low, high=high, levels=levels, best=best)


def _best_point(problem: Any) -> np.ndarray:
    """f64[D], which COCO writes into the working folder, and nowhere else."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        problem._best_parameter("print")
        (path,) = Path(folder).iterdir()
        return np.loadtxt(path, ndmin=1)


@functools.cache
def _suite(name: str, dimension: int) -> Any:
    import cocoex

    return cocoex.Suite(
        SUITES[name], f"instances: 1-{INSTANCES}", f"dimensions: {dimension}"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bowl:
    """A small function of no suite, for a run that takes seconds.

    Attributes:
        suite: "real" or "mixed"; then all but the last of its dimensions are integers.
        number: 1 is smooth, any other has ripples.
        dimension: D.
        instance: Moves the optimum.
    """

    suite: str
    number: int
    dimension: int
    instance: int

    @property
    def geometry(self) -> Geometry:
        """Integers of eight levels, or reals."""
        whole = self.dimension - 1 if self.suite == "mixed" else 0
        return cube(*[integer(8)] * whole, *[floating()] * (self.dimension - whole))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """f64[N], 0 at the optimum of the reals, of f64[N, D] in the unit cube."""
        draw = np.random.default_rng([self.number, self.instance])
        away = np.asarray(x, np.float64) - draw.uniform(0.2, 0.8, self.dimension)
        ripple = 0.0 if self.number == 1 else 0.1
        waves = ripple * (1.0 - np.cos(6.0 * np.pi * away))
        return np.asarray((away**2 + waves).sum(axis=1))
