"""Trials as a pandas DataFrame with Optuna's columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evotune._errors import require
from evotune.study._frozen_trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    import pandas as pd

ATTRS = (
    "number",
    "value",
    "datetime_start",
    "datetime_complete",
    "duration",
    "params",
    "user_attrs",
    "system_attrs",
    "state",
)
"""Optuna's columns, in Optuna's order."""


def trials_dataframe(
    trials: Sequence[FrozenTrial],
    attrs: Sequence[str] = ATTRS,
    objectives: int = 1,
    metrics: Sequence[str] = (),
) -> pd.DataFrame:
    """One row a trial; see `Study.trials_dataframe`.

    Args:
        trials: The trials.
        attrs: Attributes of `FrozenTrial`; "value" stands for all values, those of
            repeats and their spread included.
        objectives: M.
        metrics: What the values of a trial are, where known.
    """
    pandas = require("pandas", extra="dataframe", purpose="trials_dataframe()")
    columns: dict[str, list[Any]] = {}
    for attr in attrs if trials else ():
        if attr in ("value", "values") and objectives > 1:
            for index, name in enumerate(metrics or range(objectives)):
                columns[f"values_{name}"] = [
                    float("nan") if trial.values is None else trial.values[index]
                    for trial in trials
                ]
                columns |= _of_repeats(trials, f"_{name}", index)
            continue
        values = [getattr(trial, attr) for trial in trials]
        if isinstance(values[0], dict):
            for name in sorted({name for value in values for name in value}):
                columns[f"{attr}_{name}"] = [value.get(name) for value in values]
                missing = [name not in value for value in values]
                if any(missing):
                    columns[f"{attr}_{name}"] = [
                        float("nan") if gone else value.get(name)
                        for gone, value in zip(missing, values, strict=True)
                    ]
        elif isinstance(values[0], TrialState):
            columns[attr] = [value.name for value in values]
        else:
            columns[attr] = values
        if attr == "value":
            columns |= _of_repeats(trials)
    frame = pandas.DataFrame(columns)
    if "value" in frame:  # a column of nothing but None would be of type object
        frame["value"] = frame["value"].astype("float64")
    return frame


def _of_repeats(
    trials: Sequence[FrozenTrial], suffix: str = "", index: int | None = None
) -> dict[str, list[float]]:
    """A column for the value of each repeat and one for their spread, if there are any.

    Args:
        trials: The trials.
        suffix: Of the columns' names.
        index: Of the objective; None where there is one.
    """
    count = max(len(trial.repeats) for trial in trials)
    missing = [math.nan] * count
    rows = [
        [each if index is None else each[index] for each in trial.repeats] or missing
        for trial in trials
    ]
    columns = {f"repeats{suffix}_{k}": [row[k] for row in rows] for k in range(count)}
    if count:
        spreads: list[Any] = [trial.spread for trial in trials]
        columns[f"spread{suffix}"] = [
            math.nan if each is None else each if index is None else each[index]
            for each in spreads
        ]
    return columns
