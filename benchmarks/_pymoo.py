"""Genetic algorithms and differential evolution of pymoo on a problem."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._functions import Problem


def pymoo_losses(
    method: str, problem: Problem, *, seed: int, rounds: int, batch: int
) -> np.ndarray:
    """What a method of pymoo finds: f64[rounds * batch] losses in their order.

    A round is a generation. With integers, "GA" is pymoo's for mixed variables, which
    has operators for each kind.

    Args:
        method: "GA" or "DE"; the latter for reals alone.
        problem: Where it searches.
        seed: Of the method.
        rounds: Generations.
        batch: Its population size.

    Reference:
        Blank and Deb (2020), "pymoo: multi-objective optimization in Python".
    """
    from pymoo.optimize import minimize

    told: list[float] = []
    minimize(
        _recording(problem, told),
        _method(method, problem, batch),
        ("n_gen", rounds),
        seed=seed,
    )
    # Offspring that are all repeats are left out, so a generation may be smaller.
    losses = np.asarray(told)[: rounds * batch]
    missing = rounds * batch - len(losses)
    return np.pad(losses, (0, missing), constant_values=np.inf)


def _recording(problem: Problem, told: list[float]) -> Any:
    """The problem as pymoo sees it, which appends each loss to ``told``."""
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.core.variable import Integer, Real

    levels = problem.geometry.levels
    names = [f"x{d}" for d in range(len(levels))]

    class Recording(PymooProblem):
        """One objective without constraints."""

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
            out["F"] = losses[:, None]

    if any(levels):
        kinds = [
            Integer(bounds=(0, n - 1)) if n else Real(bounds=(0, 1)) for n in levels
        ]
        return Recording(vars=dict(zip(names, kinds, strict=True)), n_obj=1)
    return Recording(n_var=len(levels), n_obj=1, xl=0.0, xu=1.0)


def _method(name: str, problem: Problem, batch: int) -> Any:
    """The method with a population of ``batch``, otherwise as pymoo sets it."""
    from pymoo.algorithms.soo.nonconvex.de import DE
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.mixed import MixedVariableGA

    if name == "DE":
        return DE(pop_size=batch)
    mixed = any(problem.geometry.levels)
    return (MixedVariableGA if mixed else GA)(pop_size=batch)
