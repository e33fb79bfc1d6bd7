"""Which of a trial's recorded curves tell about its training, and which way is up."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

SPARSITY = "weight_sparsity"
"""The curve that `evotune.tasks.WeightSparsity` records."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Curves:
    """The curves of one trial, lower is better, as long as they are finite.

    Attributes:
        main: f64[T] the loss on the validation split, else the search's own metric,
            else the training loss; None without any.
        training: f64[T] the loss on the training split; None if it was not recorded.
        validation: f64[T] the loss on the validation split, or likewise None.
        sparsity: The last share of weights below the threshold; None if unrecorded.
    """

    main: np.ndarray | None
    training: np.ndarray | None
    validation: np.ndarray | None
    sparsity: float | None

    @classmethod
    def of(cls, curves: Mapping[str, Any], metric: str, direction: str) -> Curves:
        """What to look at among all recorded ``curves``.

        Training and validation are compared by the loss, that of the training split
        evaluated as the validation split is ("train_evaluated_loss") where it was, and
        else as the steps of the epoch had it; without them by the search's own metric,
        where it was recorded for both splits.
        """
        sign = -1.0 if direction == "maximize" else 1.0
        objective = _finite(curves.get(metric), sign)
        validation = _finite(curves.get("val_loss"))
        training = _finite(curves.get("train_evaluated_loss"))
        if training is None:
            training = _finite(curves.get("train_loss"))
        if validation is None and metric.startswith("val_"):
            twin = _finite(curves.get("train_" + metric.removeprefix("val_")), sign)
            if twin is not None:
                training, validation = twin, objective
        found = (validation, objective, training)
        sparsity = _finite(curves.get(SPARSITY))
        return cls(
            main=next((curve for curve in found if curve is not None), None),
            training=training,
            validation=validation,
            sparsity=None if sparsity is None else float(sparsity[-1]),
        )


def _finite(curve: Any, sign: float = 1.0) -> np.ndarray | None:
    """f64[T] up to the first number that is not finite; None if nothing is left."""
    if curve is None:
        return None
    values = np.asarray(curve, np.float64).reshape(-1)
    good = np.cumprod(np.isfinite(values), dtype=bool)
    return sign * values[good] if good.any() else None
