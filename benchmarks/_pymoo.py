"""Evolutionary algorithms of pymoo on a problem."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import _fronts, _functions
from evotune._contracts import Kind

Problem = _functions.Problem | _fronts.Problem


def pymoo_losses(
    method: str, problem: Problem, *, seed: int, rounds: int, batch: int
) -> np.ndarray:
    """What a method of pymoo finds: f64[rounds * batch] losses in their order.

    A round is a generation. With integers and choices the methods are pymoo's for mixed
    variables, which have operators for each kind. Of several objectives the losses are
    f64[rounds * batch, M].

    Args:
        method: "GA" or "DE", the latter for reals alone; "NSGA-II", "NSGA-II, its own
            size" or "NSGA-III" for several objectives.
        problem: Where it searches.
        seed: Of the method.
        rounds: Generations.
        batch: Its population size.

    Reference:
        Blank and Deb (2020), "pymoo: multi-objective optimization in Python".
    """
    from pymoo.optimize import minimize

    told: list[Any] = []
    minimize(
        _recording(problem, told),
        _method(method, problem, batch),
        ("n_eval", rounds * batch),
        seed=seed,
    )
    # Offspring that are all repeats are left out, so a generation may be smaller.
    losses = np.asarray(told)[: rounds * batch]
    missing = rounds * batch - len(losses)
    pad = [(0, missing), *[(0, 0)] * (losses.ndim - 1)]
    return np.pad(losses, pad, constant_values=np.inf)


def _recording(problem: Problem, told: list[Any]) -> Any:
    """The problem as pymoo sees it, which appends each loss to ``told``."""
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.core.variable import Choice, Integer, Real

    levels, kinds = problem.geometry.levels, problem.geometry.kinds
    names = [f"x{d}" for d in range(len(levels))]
    objectives = getattr(problem, "objectives", 1)

    class Recording(PymooProblem):
        """Objectives without constraints."""

        def _evaluate(
            self, x: Any, out: dict[str, Any], *rest: Any, **more: Any
        ) -> None:
            if any(levels):
                points = np.asarray([[one[name] for name in names] for one in x], float)
                count = np.maximum(levels, 1)
                rows = np.where(np.asarray(levels) > 0, (points + 0.5) / count, points)
            else:
                rows = np.asarray(x, float)
            losses = problem.evaluate(rows)
            told.extend(losses.tolist())
            out["F"] = losses.reshape(len(rows), objectives)

    def variable(count: int, kind: Kind) -> Any:
        if not count:
            return Real(bounds=(0, 1))
        if kind is Kind.CATEGORICAL:
            return Choice(options=list(range(count)))
        return Integer(bounds=(0, count - 1))

    if any(levels):
        axes = zip(names, levels, kinds, strict=True)
        mixed = {name: variable(count, kind) for name, count, kind in axes}
        return Recording(vars=mixed, n_obj=objectives)
    return Recording(n_var=len(levels), n_obj=objectives, xl=0.0, xu=1.0)


def _method(name: str, problem: Problem, batch: int) -> Any:
    """The method with a population of ``batch``, otherwise as pymoo sets it."""
    from pymoo.algorithms.moo.nsga2 import NSGA2, RankAndCrowding
    from pymoo.algorithms.moo.nsga3 import NSGA3
    from pymoo.algorithms.soo.nonconvex.de import DE
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.mixed import MixedVariableGA

    mixed = any(problem.geometry.levels)
    if name == "DE":
        return DE(pop_size=batch)
    if name == "GA":
        return (MixedVariableGA if mixed else GA)(pop_size=batch)
    if name == "NSGA-III":
        return NSGA3(ref_dirs=_directions(problem, batch), pop_size=batch)
    size = batch
    if name != "NSGA-II":
        size = 50 if mixed else 100  # pymoo's own, of which a batch is replaced
    if mixed:
        return MixedVariableGA(
            pop_size=size, n_offsprings=batch, survival=RankAndCrowding()
        )
    return NSGA2(pop_size=size, n_offsprings=batch)


def _directions(problem: Problem, batch: int) -> Any:
    """As many as a population of ``batch`` has members for, evenly spread."""
    from pymoo.util.ref_dirs import get_reference_directions

    objectives, divisions = getattr(problem, "objectives", 1), 1
    found = get_reference_directions("das-dennis", objectives, n_partitions=divisions)
    while True:
        divisions += 1
        more = get_reference_directions(
            "das-dennis", objectives, n_partitions=divisions
        )
        if len(more) > batch:
            return found
        found = more
