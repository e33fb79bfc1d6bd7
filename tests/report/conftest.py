"""A search that never ran: trials as a genetic algorithm would leave them behind."""

from __future__ import annotations

import dataclasses
import datetime as dt
import types
from typing import Any

import numpy as np
import pytest


@dataclasses.dataclass(frozen=True, kw_only=True)
class FakeTrial:
    """The fields of a FrozenTrial that a report reads."""

    number: int
    state: Any
    value: float | None
    params: dict[str, Any]
    curves: dict[str, np.ndarray]
    generation: int
    system_attrs: dict[str, Any]
    datetime_start: dt.datetime | None = None
    datetime_complete: dt.datetime | None = None


def _dimension(**fields: Any) -> types.SimpleNamespace:
    return types.SimpleNamespace(**fields)


FLOAT, INT, CHOICE = (
    types.SimpleNamespace(value=v) for v in ("float", "int", "categorical")
)
DIMENSIONS = {
    "learning_rate": _dimension(kind=FLOAT, low=1e-4, high=1e-1, log=True),
    "weight_decay": _dimension(kind=FLOAT, low=1e-6, high=1e-2, log=True),
    "dropout": _dimension(kind=FLOAT, low=0.0, high=0.5, log=False),
    "width": _dimension(kind=INT, low=16, high=256, log=True),
    "depth": _dimension(kind=INT, low=1, high=4, log=False),
    "optimizer": _dimension(kind=CHOICE, values=("sgd", "adam", "adamw", "lion")),
    "momentum": _dimension(kind=FLOAT, low=0.0, high=0.99, log=False),
    "batch_size": _dimension(kind=CHOICE, values=(32, 64, 128)),
}


FEW = ("learning_rate", "depth", "optimizer", "momentum")
"""One hyperparameter of each kind, for tests that draw: a plot takes its time."""


def make_study(
    trials: int = 640,
    population: int = 64,
    *,
    epochs: int = 12,
    direction: str = "maximize",
    diverged: float = 0.03,
    names: tuple[str, ...] = tuple(DIMENSIONS),
    seed: int = 0,
) -> types.SimpleNamespace:
    """A study whose population narrows down on a good region over the generations."""
    rng = np.random.default_rng(seed)
    last = max(1, (trials - 1) // population)
    goal = np.asarray([0.6, 0.5, 0.15, 0.75, 0.4, 0.6, 0.9, 0.5])
    made = []
    for number in range(trials):
        generation = number // population
        spread = 1.0 - 0.85 * (generation / last)
        u = np.clip(goal + spread * (rng.random(8) - goal), 0, 1)
        params = {
            "learning_rate": float(f"{10 ** (-4 + 3 * u[0]):.4g}"),
            "weight_decay": float(f"{10 ** (-6 + 4 * u[1]):.4g}"),
            "dropout": round(0.5 * float(u[2]), 4),
            "width": int(16 * 16 ** u[3]),
            "depth": 1 + int(3.999 * u[4]),
            "optimizer": ("sgd", "adam", "adamw", "lion")[int(3.999 * u[5])],
            "batch_size": (32, 64, 128)[int(2.999 * u[7])],
        }
        if params["optimizer"] == "sgd":
            params["momentum"] = round(0.99 * float(u[6]), 4)
        params = {name: params[name] for name in names if name in params}
        miss = (u[0] - 0.6) ** 2 * 1.6 + 0.3 * (u[3] - 0.75) ** 2 + 0.08 * u[2]
        error = 0.012 + 0.5 * miss + 0.012 * rng.random()
        time = np.arange(1, epochs + 1)
        val = np.minimum(0.95, error + (0.85 - error) * np.exp(-time * (0.25 + u[0])))
        val = val + rng.normal(0, 0.004, epochs)
        accuracy, loss = 1 - val, 2.6 * val + 0.01
        state, value, attrs = "COMPLETE", float(1 - error), {"status": "complete"}
        if epochs:
            value = float(accuracy[-1])
        if direction == "minimize":
            value = float(loss[-1]) if epochs else float(error)
        if rng.random() < diverged:
            state, value, attrs = "FAIL", None, {"status": "diverged"}
            accuracy[epochs // 2 :] = np.nan
        made.append(
            FakeTrial(
                number=number,
                state=types.SimpleNamespace(name=state),
                value=value,
                params=params,
                curves={
                    "val_accuracy": accuracy.astype(np.float32),
                    "val_loss": loss.astype(np.float32),
                    "train_loss": (0.7 * loss).astype(np.float32),
                }
                if epochs
                else {},
                generation=generation,
                system_attrs=attrs,
            )
        )
    return types.SimpleNamespace(
        trials=made,
        direction=direction,
        metric="val_accuracy" if direction == "maximize" else "val_loss",
        study_name="digits-ga",
        seed=0,
        algorithm="GeneticAlgorithm(population_size=64)",
        space=types.SimpleNamespace(
            dimensions={name: DIMENSIONS[name] for name in names},
            constants={"epochs": 12},
        ),
    )


def make_result(**options: Any) -> types.SimpleNamespace:
    """The study of `make_study` as tune() would return it."""
    study = make_study(**options)
    plan = "\n".join(
        f"program {i}: width <= {w:>3}, depth 4, batch {b:>3}, 32 lanes, 11 % padding"
        for i, (w, b) in enumerate(
            [(64, 32), (256, 32), (64, 64), (256, 64), (256, 128)]
        )
    )
    return types.SimpleNamespace(
        trials=study.trials,
        direction=study.direction,
        metric=study.metric,
        study=study,
        plan=plan,
        seconds={"compile": 7.42, "train": 31.9, "total": 41.2},
        test_metrics=lambda: {"accuracy": 0.9778, "loss": 0.0893},
    )


@pytest.fixture
def study() -> types.SimpleNamespace:
    return make_study(trials=120, population=24)


@pytest.fixture(scope="session")
def result() -> types.SimpleNamespace:
    return make_result(trials=120, population=24, names=FEW)


@pytest.fixture
def build() -> types.SimpleNamespace:
    """The makers, for tests that need other sizes."""
    return types.SimpleNamespace(study=make_study, trial=FakeTrial, few=FEW)
