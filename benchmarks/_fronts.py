"""Problems of several objectives: functions, recorded networks, and real trainings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np

import evotune as et
from benchmarks import _tables
from evotune._contracts import Geometry, fresh
from evotune._pareto import hypervolume
from evotune.testing import choice, cube, floating, integer

FUNCTIONS = {
    **{f"ZDT{k}": ("zdt" + str(k), 10 if k > 3 else 30, 2) for k in (1, 2, 3, 4, 6)},
    "DTLZ2": ("dtlz2", 12, 3),
}
"""Names in pymoo, dimensions and objectives: those that results are given of."""

DEVELOPMENT = {
    **{f"WFG{k}": (f"wfg{k}", 10, 2) for k in (1, 2, 4, 5, 6, 7, 8, 9)},
    **{f"DTLZ{k}": (f"dtlz{k}", 10, 2) for k in (1, 3, 5, 7)},
    "WFG4, three": ("wfg4", 10, 3),
    "DTLZ7, three": ("dtlz7", 10, 3),
}
"""Others, for choosing between settings of evotune."""

COSTS = {
    "FCNet": ("val_loss", "model_size"),
    "HPOBench-MLP": ("val_acc", "train_time"),
    "NAS-Bench-201": ("val_acc", "model_size"),
}
"""What was recorded of each table's networks; HPOBench recorded no sizes."""

SAMPLES = 4096
"""Uniform points that say where the reference point of a function lies."""


class Problem(Protocol):
    """What a side searches; rows of the unit cube in, losses out.

    Attributes:
        objectives: M.
    """

    objectives: int

    @property
    def geometry(self) -> Geometry:
        """The marks of the cube."""
        ...

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """f64[N, M], smaller is better, of f64[N, D] in the unit cube."""
        ...

    @property
    def reference(self) -> np.ndarray:
        """f64[M], from which hypervolumes are measured."""
        ...

    @property
    def volume(self) -> float | None:
        """The hypervolume of the true front; None where nobody knows it."""
        ...


def beyond(front: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """The reference point: a tenth beyond the front, or the median point if further.

    Far enough for a search that has not come near the front to be told from another.

    Args:
        front: f64[F, M] losses of the front.
        usual: f64[N, M] losses of uniform points.
    """
    worst, best = front.max(axis=0), front.min(axis=0)
    return np.asarray(np.maximum(worst + 0.1 * (worst - best), np.median(usual, 0)))


@dataclasses.dataclass(frozen=True)
class Function:
    """A function of pymoo, in float64; nothing of it is loaded before it is evaluated.

    Attributes:
        name: pymoo's.
        dimension: D.
        objectives: M.

    Reference:
        Zitzler, Deb and Thiele (2000), "Comparison of multiobjective evolutionary
        algorithms: empirical results"; Deb, Thiele, Laumanns and Zitzler (2005),
        "Scalable test problems for evolutionary multiobjective optimization"; Huband et
        al. (2006), "A review of multiobjective test problems".
    """

    name: str
    dimension: int
    objectives: int

    @property
    def geometry(self) -> Geometry:
        """All reals."""
        return cube(*[floating()] * self.dimension)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """f64[N, M] of f64[N, D] in the unit cube."""
        problem = _opened(self).problem
        x = np.asarray(x, np.float64)
        return np.asarray(problem.evaluate(problem.xl + x * (problem.xu - problem.xl)))

    @property
    def reference(self) -> np.ndarray:
        """A tenth beyond the front, or the median point if further."""
        return _opened(self).reference

    @property
    def volume(self) -> float | None:
        """Of 10,000 points of the front; None of those that are not known."""
        return _opened(self).volume


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Opened:
    """pymoo's problem, its reference point and the front's hypervolume."""

    problem: Any
    reference: np.ndarray
    volume: float | None


@functools.cache
def _opened(function: Function) -> _Opened:
    """The problem, opened once in each process."""
    from pymoo.problems import get_problem

    name, dimension, objectives = dataclasses.astuple(function)
    aims = {} if name.startswith("zdt") else {"n_obj": objectives}
    problem = get_problem(name, n_var=dimension, **aims)
    x = np.random.default_rng(0).random((SAMPLES, dimension))
    usual = problem.evaluate(problem.xl + x * (problem.xu - problem.xl))
    volume = None
    if name.startswith("zdt"):
        front = problem.pareto_front(10_000)
    elif name == "dtlz2":  # the positive part of the unit sphere
        front = np.eye(objectives)
    else:
        front = usual.min(axis=0, keepdims=True)
    reference = beyond(front, usual)
    if name.startswith("zdt"):
        volume = hypervolume(-front, -reference)
    elif name == "dtlz2" and objectives == 3:
        volume = float(np.prod(reference) - np.pi / 6.0)
    return _Opened(problem=problem, reference=reference, volume=volume)


@dataclasses.dataclass(frozen=True)
class Recorded:
    """Networks of a recorded table: their error, and the logarithm of what they cost.

    Attributes:
        benchmark: The paper's name.
        dataset: The table's.
        objectives: 2.
    """

    benchmark: str
    dataset: str
    objectives: int = 2

    @property
    def geometry(self) -> Geometry:
        """Equal cells in every dimension, one for each level."""
        return _loaded(self)[0].geometry

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """f64[N, 2] at the levels that rows of the unit cube, f64[N, D], lie in."""
        return np.stack([table.evaluate(x) for table in _loaded(self)], axis=1)

    @functools.cached_property
    def _points(self) -> np.ndarray:
        return np.stack([t.losses.ravel() for t in _loaded(self)], axis=1)

    @functools.cached_property
    def _front(self) -> np.ndarray:
        return staircase(self._points)

    @functools.cached_property
    def reference(self) -> np.ndarray:
        """A tenth beyond the front, or the median point if further."""
        return beyond(self._front, self._points)

    @functools.cached_property
    def volume(self) -> float | None:
        """Of the front of all points."""
        return hypervolume(-self._front, -self.reference)


@functools.cache
def _loaded(recorded: Recorded) -> tuple[_tables.Table, _tables.Table]:
    """Two tables on one grid, loaded once in each process."""
    error, cost = COSTS[recorded.benchmark]
    given = (recorded.benchmark, recorded.dataset)
    costs = _tables.load(*given, metric=cost, direction="minimize")
    logs = dataclasses.replace(costs, losses=np.log10(costs.losses))
    return _tables.load(*given, metric=error), logs


def staircase(points: np.ndarray) -> np.ndarray:
    """f64[F, 2], the front of f64[N, 2] losses, in O(N log N)."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    before = np.minimum.accumulate(ordered[:, 1])
    first = np.concatenate([[True], ordered[1:, 1] < before[:-1]])
    return np.asarray(ordered[first])


SPACE = {
    "learning_rate": et.Float(1e-4, 1e-1, log=True),
    "weight_decay": et.Float(1e-6, 1e-1, log=True),
    "dropout": et.Float(0.0, 0.5),
    "width": et.Int(2, 64, log=True),
    "depth": et.Int(1, 3),
    "activation": et.Categorical(["relu", "gelu", "tanh"]),
}
"""What `Networks` search."""


@dataclasses.dataclass
class Networks:
    """Perceptrons that are trained: validation error, and the logarithm of their size.

    Trial t of each run is trained with the same numbers on all sides.

    Attributes:
        seed: Of a run.
        epochs: Of each training.
        rows: Trainings of a round.
        tried: How many were trained so far.
        objectives: 2.
    """

    seed: int
    epochs: int = 8
    rows: int = 32
    tried: int = 0
    objectives: int = 2

    @property
    def geometry(self) -> Geometry:
        """That of `SPACE`."""
        return et.Space(SPACE).geometry()

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """f64[N, 2] of f64[N, D], N up to ``rows``; a diverged one has error 1."""
        engine = _engine(self.epochs, self.rows).reseeded(self.seed)
        trial = np.arange(self.tried, self.tried + len(x), dtype=np.int32)
        engine.submit(fresh(jnp.asarray(x, jnp.float32), jnp.asarray(trial)))
        losses = np.zeros((len(x), 2))
        while engine.pending:
            done = engine.collect()
            mine = done.outcome.trial >= self.tried
            place = done.outcome.trial[mine] - self.tried
            losses[place] = done.values[mine] * [-1.0, 1.0] + [1.0, 0.0]
        self.tried += len(x)
        return np.stack(
            [np.nan_to_num(losses[:, 0], nan=1.0), np.log10(losses[:, 1])], 1
        )

    @property
    def reference(self) -> np.ndarray:
        """Guessing, with the largest network that there is."""
        return np.asarray([0.9, np.log10(13_130.0)])

    @property
    def volume(self) -> float | None:
        """Nobody knows; the front that all sides have found in all runs counts."""
        return None


@functools.cache
def _engine(epochs: int, rows: int) -> et.engine.Engine:
    """What trains them all, compiled once."""
    task = et.tasks.Classification(
        et.datasets.digits(),
        model=et.models.MLP(),
        objectives=["accuracy", "parameters"],
    )
    space = et.Space({**SPACE, "epochs": epochs})
    return et.engine.Engine(task, space, rows=rows)


@dataclasses.dataclass(frozen=True)
class Bowls:
    """Two small bowls of no suite, for a run that takes seconds.

    Attributes:
        whole: How many of the four dimensions are integers or choices.
        objectives: 2.
    """

    whole: int = 0
    objectives: int = 2

    @property
    def geometry(self) -> Geometry:
        """Integers, one choice, and reals."""
        axes = [choice(3), integer(8), integer(5), integer(9)][: self.whole]
        return cube(*axes, *[floating()] * (4 - self.whole))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """f64[N, 2], the squared distances from two points, of f64[N, 4]."""
        x = np.asarray(x, np.float64)
        return np.stack([((x - at) ** 2).sum(axis=1) for at in (0.2, 0.7)], axis=1)

    @property
    def reference(self) -> np.ndarray:
        """A little beyond either end of the front."""
        return np.full(2, 1.1)

    @property
    def volume(self) -> float | None:
        """Of points between the two."""
        line = np.linspace(0.2, 0.7, 1001)[:, None] * np.ones((1, 4))
        return hypervolume(-self.evaluate(line), -self.reference)
