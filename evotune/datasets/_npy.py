"""Datasets from npy files, whose examples are never read whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evotune import _errors

from ._arrays import arrays
from ._dataset import Dataset
from ._mapped import CHUNK_BYTES, MappedRows


def npy(
    x: str | Path,
    y: str | Path,
    *,
    x_test: str | Path | None = None,
    y_test: str | Path | None = None,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    regression: bool | None = None,
    name: str | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Dataset:
    """A dataset of examples that stay on disk, for sets larger than memory.

    The file of examples is mapped. A training split of more than ``chunk_bytes`` comes
    to the devices in chunks, one of which is read while members train on the last:
    twice ``chunk_bytes`` are on a device at a time. Targets, validation and test split
    are held in memory; give numbers of rows where shares are too large:
    ``validation=10_000``.

    This is not a full shuffle. Rows are dealt to chunks at random, once; every epoch
    visits the chunks in a new order, and shuffles the rows within each. A split that
    fits into one chunk is read once, held, and trained on as `arrays` of it are.

    Args:
        x: File of [N, ...] numbers of any width, as `numpy.save` writes it.
        y: File of [N] labels, or [N] or [N, K] quantities.
        x_test: File of the examples of a published test set; with ``y_test``.
        y_test: File of its labels or quantities.
        feature_names: Names of the columns of a two-dimensional ``x``.
        class_names: Names of the classes by code.
        regression: As in `arrays`.
        name: The dataset's name; that of the file ``x`` by default.
        chunk_bytes: Most bytes of examples, as float32, in a chunk. The chunks, and so
            the order of the data, hang on it; it is not taken from the device at hand,
            so that the same call trains alike on every machine.

    Raises:
        DataError: If a file cannot be mapped, or holds what cannot be trained on; when
            a chunk is read, also if it has values that are not finite.

    Example:
        >>> import os, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> x, y = (os.path.join(folder, name) for name in ("x.npy", "y.npy"))
        >>> np.save(x, np.eye(6, dtype=np.uint8))
        >>> np.save(y, [0, 1, 1, 0, 1, 0])
        >>> npy(x, y).n_classes
        2
    """
    found: list[str] = []
    if isinstance(chunk_bytes, bool) or chunk_bytes < 1:
        found.append(
            f"`chunk_bytes` must be a number of bytes of at least 1, but got "
            f"{chunk_bytes!r}. Use chunk_bytes=2**28."
        )

    def opened(path: str | Path | None, what: str) -> Any:
        return None if path is None else _mapped(Path(path), what, found)

    examples = opened(x, "x"), opened(x_test, "x_test")
    targets = opened(y, "y"), opened(y_test, "y_test")
    for what, array in zip(("x", "x_test"), examples, strict=True):
        if array is not None and array.dtype.kind not in "biuf":
            found.append(
                f"`{what}` must be an array of numbers, but the file has dtype "
                f"{array.dtype}. Save numbers: np.save(path, x.astype(np.float32))."
            )
    _errors.raise_all(found, _errors.DataError, "npy()")
    path = Path(x)
    rows = [
        None if array is None else MappedRows(array, name=name, chunk_bytes=chunk_bytes)
        for array, name in zip(examples, (str(x), str(x_test)), strict=True)
    ]
    return arrays(
        rows[0],
        np.array(targets[0]),
        x_test=rows[1],
        y_test=None if targets[1] is None else np.array(targets[1]),
        feature_names=feature_names,
        class_names=class_names,
        regression=regression,
        name=path.stem if name is None else name,
        source=f"npy file {path.name}",
    )


def _mapped(path: Path, what: str, found: list[str]) -> Any:
    """The array in a file, not read; None with the reason in ``found``."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        found.append(
            f"`{what}`: {str(path)!r} cannot be mapped: {error} Write it with "
            f"np.save(path, {what}), as numbers or strings."
        )
        return None
    if isinstance(array, np.ndarray):
        return array
    array.close()
    found.append(
        f"`{what}`: {str(path)!r} is an archive of arrays, which is not mapped. Save "
        f"them one by one: np.save(path, archive[{what!r}]); or read it whole: "
        "datasets.npz(path)."
    )
    return None
