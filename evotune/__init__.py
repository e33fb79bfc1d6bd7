"""Evolves the hyperparameters of small Flax networks, a whole population at once.

    import evotune as et

    space = et.Space(learning_rate=et.Float(1e-4, 1e-1, log=True), width=et.Int(8, 64))
    task = et.tasks.Classification(et.datasets.digits(), model=et.models.MLP())
    result = et.tune(task, space, generations=10)

Everything is imported at first use, so that ``import evotune`` is cheap and starts no
JAX: the number of CPU devices can still be set after it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evotune import (
        algorithms,
        augmentation,
        datasets,
        diagnostics,
        engine,
        metrics,
        models,
        nn,
        report,
        space,
        study,
        tasks,
        testing,
        training,
    )
    from evotune._default_space import autotune, default_space
    from evotune._errors import (
        AllDivergedError,
        DataError,
        EvotuneError,
        HyperparameterError,
        JournalError,
        MissingExtraError,
        SpaceError,
    )
    from evotune._grow import grow
    from evotune._lr_range_test import lr_range_test
    from evotune._refine import refine
    from evotune._refinement import Refinement
    from evotune._result import Result
    from evotune._tune import plan, tune
    from evotune.algorithms import GeneticAlgorithm, GridSearch, RandomSearch
    from evotune.engine import calibrate
    from evotune.space import Bool, Categorical, Float, Int, Space
    from evotune.study import FrozenTrial, Study, Trial, TrialState, create_trial
    from evotune.tasks import Task

_HOMES = {
    "AllDivergedError": "_errors",
    "Bool": "space",
    "Categorical": "space",
    "DataError": "_errors",
    "EvotuneError": "_errors",
    "Float": "space",
    "FrozenTrial": "study",
    "GeneticAlgorithm": "algorithms",
    "GridSearch": "algorithms",
    "HyperparameterError": "_errors",
    "Int": "space",
    "JournalError": "_errors",
    "MissingExtraError": "_errors",
    "RandomSearch": "algorithms",
    "Refinement": "_refinement",
    "Result": "_result",
    "Space": "space",
    "SpaceError": "_errors",
    "Study": "study",
    "Task": "tasks",
    "Trial": "study",
    "TrialState": "study",
    "autotune": "_default_space",
    "calibrate": "engine",
    "create_trial": "study",
    "default_space": "_default_space",
    "grow": "_grow",
    "lr_range_test": "_lr_range_test",
    "plan": "_tune",
    "refine": "_refine",
    "tune": "_tune",
}
"""The module that each public name is imported from, at its first use."""

__all__ = [
    "AllDivergedError",
    "Bool",
    "Categorical",
    "DataError",
    "EvotuneError",
    "Float",
    "FrozenTrial",
    "GeneticAlgorithm",
    "GridSearch",
    "HyperparameterError",
    "Int",
    "JournalError",
    "MissingExtraError",
    "RandomSearch",
    "Refinement",
    "Result",
    "Space",
    "SpaceError",
    "Study",
    "Task",
    "Trial",
    "TrialState",
    "algorithms",
    "augmentation",
    "autotune",
    "calibrate",
    "create_trial",
    "datasets",
    "default_space",
    "diagnostics",
    "engine",
    "grow",
    "lr_range_test",
    "metrics",
    "models",
    "nn",
    "plan",
    "refine",
    "report",
    "space",
    "study",
    "tasks",
    "testing",
    "training",
    "tune",
]


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use (PEP 562)."""
    if name in _HOMES:
        value = getattr(importlib.import_module(f"evotune.{_HOMES[name]}"), name)
    elif name in __all__:
        value = importlib.import_module(f"evotune.{name}")
    elif name == "__version__":
        value = importlib.import_module("importlib.metadata").version("evotune")
    else:
        from evotune._errors import nearest

        hint = nearest(name, __all__)
        raise AttributeError(f"module 'evotune' has no attribute {name!r}.{hint}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
