"""The four classic tables that ship inside scikit-learn."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from evotune import _errors

from ._arrays import arrays
from ._dataset import Dataset


def digits() -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels: f32[1797, 64] in 0..1, 10 classes.

    Reference: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits",
    UCI Machine Learning Repository, 1998 (the test part of it).

    Raises:
        MissingExtraError: If scikit-learn is not installed.

    Example:
        >>> digits().x.shape
        (1797, 64)
    """
    table = _digits_table()
    if table is None:
        data = _load("digits")
        return _dataset("digits", data, x=data.data / 16.0)
    return arrays(
        table[:, :-1] / 16.0,
        table[:, -1].astype(np.int32),
        feature_names=tuple(f"pixel_{i}_{j}" for i in range(8) for j in range(8)),
        class_names=tuple(map(str, range(10))),
        name="digits",
        source="scikit-learn: load_digits",
    )


def breast_cancer() -> Dataset:
    """569 tumours, malignant or benign: f32[569, 30], in the units of the source.

    Reference: W. H. Wolberg, O. L. Mangasarian and W. N. Street, "Breast Cancer
    Wisconsin (Diagnostic)", UCI Machine Learning Repository, 1995.

    Raises:
        MissingExtraError: If scikit-learn is not installed.

    Example:
        >>> breast_cancer().class_names
        ('malignant', 'benign')
    """
    return _dataset("breast_cancer", _load("breast_cancer"))


def wine() -> Dataset:
    """178 wines of three growers: f32[178, 13], in the units of the source.

    Reference: S. Aeberhard and M. Forina, "Wine", UCI Machine Learning Repository,
    1992.

    Raises:
        MissingExtraError: If scikit-learn is not installed.

    Example:
        >>> wine().n_classes
        3
    """
    return _dataset("wine", _load("wine"))


def diabetes() -> Dataset:
    """442 patients and their disease a year later: f32[442, 10] to regress on.

    The columns of ``x`` are centred, each with a sum of squares of 1, as scikit-learn
    ships them; ``y`` runs from 25 to 346.

    Reference: B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, "Least Angle
    Regression", Annals of Statistics 32, 2004.

    Raises:
        MissingExtraError: If scikit-learn is not installed.

    Example:
        >>> diabetes().is_regression
        True
    """
    return _dataset("diabetes", _load("diabetes"))


def _digits_table() -> np.ndarray | None:
    """f64[1797, 65], the class last; None where the file is not where it has been.

    Importing scikit-learn takes ten times as long as reading its file, and all of it
    before the first training.
    """
    found = importlib.util.find_spec("sklearn")
    for folder in (found and found.submodule_search_locations) or ():
        path = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if path.exists():
            return np.loadtxt(path, delimiter=",")
    return None


def _load(name: str) -> Any:
    sklearn = _errors.require(
        "sklearn.datasets", extra="datasets", purpose=f"datasets.{name}()"
    )
    return getattr(sklearn, f"load_{name}")()


def _dataset(name: str, data: Any, *, x: np.ndarray | None = None) -> Dataset:
    regression = "target_names" not in data
    return arrays(
        data.data if x is None else x,
        data.target.astype(np.float32 if regression else np.int32),
        feature_names=tuple(str(feature) for feature in data.feature_names),
        class_names=None if regression else tuple(map(str, data.target_names)),
        regression=regression,
        name=name,
        source=f"scikit-learn: load_{name}",
    )
