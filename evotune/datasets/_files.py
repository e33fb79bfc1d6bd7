"""Datasets from numpy's npz archives."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evotune import _errors

from ._arrays import arrays
from ._dataset import Dataset


def npz(
    path: str | Path,
    x: str = "x",
    y: str = "y",
    *,
    x_test: str = "x_test",
    y_test: str = "y_test",
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    regression: bool | None = None,
    name: str | None = None,
) -> Dataset:
    """A dataset of the arrays in an npz archive; values are not scaled.

    Args:
        path: The archive, as numpy.savez writes it. Pickled objects are not read.
        x: Name of the array of examples, [N, ...].
        y: Name of the array of labels or quantities.
        x_test: Name of the examples of a published test set, used where it is there.
        y_test: Name of its labels or quantities.
        feature_names: Names of the columns of a two-dimensional ``x``.
        class_names: Names of the classes by code.
        regression: As in `arrays`.
        name: The dataset's name; the file's by default.

    Raises:
        DataError: If the archive cannot be read, an array is missing, or the arrays
            cannot be trained on.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "tiny.npz")
        >>> np.savez(path, x=np.eye(3), y=[0, 1, 1])
        >>> npz(path).n_classes
        2
    """
    path = Path(path)
    found: dict[str, np.ndarray] = {}
    problems: list[str] = []
    try:
        opened = np.load(path, allow_pickle=False)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise _errors.DataError(
                f"{str(path)!r} holds a single array, not an archive with names. "
                "Write both: np.savez(path, x=x, y=y)."
            )
        with opened as archive:
            held = archive.files
            for key, needed in ((x, True), (y, True), (x_test, False), (y_test, False)):
                if key in held:
                    try:
                        found[key] = archive[key]
                    except ValueError:
                        problems.append(
                            f"Array {key!r} holds Python objects, which are not read "
                            "for safety. Save it as numbers or strings."
                        )
                elif needed:
                    problems.append(
                        f"There is no array {key!r}; the archive has {held}."
                        f"{_errors.nearest(key, held)} Name it: npz(path, x=..., "
                        "y=...)."
                    )
    except _errors.DataError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _errors.DataError(
            f"The npz archive {str(path)!r} cannot be read: {error}. Write it with "
            "np.savez(path, x=x, y=y)."
        ) from error
    _errors.raise_all(problems, _errors.DataError, f"The npz archive {str(path)!r}")
    return arrays(
        found[x],
        found[y],
        x_test=found.get(x_test),
        y_test=found.get(y_test),
        feature_names=feature_names,
        class_names=class_names,
        regression=regression,
        name=path.stem if name is None else name,
        source=f"npz archive {path.name}",
    )
