"""Datasets from CSV files: numbers as they are, text columns one-hot."""

from __future__ import annotations

import csv as csv_files
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evotune import _errors

from ._arrays import arrays
from ._dataset import Dataset

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})


def csv(
    path: str | Path,
    *,
    target: str | Sequence[str],
    features: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    categorical: Sequence[str] = (),
    max_categories: int = 32,
    regression: bool | None = None,
    class_names: Sequence[str] | None = None,
    delimiter: str = ",",
    encoding: str = "utf-8-sig",
    name: str | None = None,
) -> Dataset:
    r"""A dataset of a CSV file with a header line.

    A column whose every value is a number stays as it is. A column of text becomes one
    0/1 column for each of its values, in sorted order, named "column=value". Missing
    values are an error that names their columns; nothing is filled in silently.

    Args:
        path: The file.
        target: The column to predict, or several quantities to regress on together.
            Whole numbers and text are classes; numbers with a point are quantities.
        features: Columns to learn from; all but the target by default.
        drop: Columns to leave out, such as identifiers.
        categorical: Columns of numbers that are categories nevertheless, such as codes.
        max_categories: A text column with more different values is an error: it is more
            likely an identifier or free text.
        regression: Whether the target is a quantity. None: as described above.
        class_names: The labels in the order of their codes; sorted by default.
        delimiter: What stands between two fields, such as "," or ";".
        encoding: The file's text encoding.
        name: The dataset's name; the file's by default.

    Raises:
        DataError: If the file cannot be read or its columns cannot be trained on; lists
            everything found, with columns and line numbers.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "pets.csv")
        >>> with open(path, "w") as file:
        ...     _ = file.write("weight,coat,kind\n4.1,long,cat\n9.5,short,dog\n")
        >>> pets = csv(path, target="kind")
        >>> pets.feature_names
        ('weight', 'coat=long', 'coat=short')
    """
    path = Path(path)
    subject = f"The CSV file {str(path)!r}"
    header, rows, lines = _read(path, delimiter, encoding, subject)
    targets = [target] if isinstance(target, str) else list(target)
    known = {column: i for i, column in enumerate(header)}
    found = [
        f"There is no column {column!r}; the header has {header}."
        f"{_errors.nearest(column, header)}"
        for column in (*targets, *(features or ()), *drop, *categorical)
        if column not in known
    ]
    if not targets:
        found.append('`target` must name a column, as in csv(path, target="price").')
    if set(targets) & set(features or ()):
        twice = sorted(set(targets) & set(features or ()))
        found.append(f"Columns {twice} are both target and feature. Choose one.")
    _errors.raise_all(found, _errors.DataError, subject)

    wanted = header if features is None else list(features)
    wanted = [column for column in wanted if column not in {*targets, *drop}]
    if not wanted:
        raise _errors.DataError(f"{subject} has no column left to learn from.")
    blocks: list[np.ndarray] = []
    names: list[str] = []
    for column in wanted:
        values = [row[known[column]] for row in rows]
        numbers = None
        if column not in categorical:
            numbers = _numbers(column, values, lines, found)
        if numbers is not None:
            blocks.append(numbers[:, None])
            names.append(column)
        elif column in categorical or not any(_is_number(value) for value in values):
            hot, values_of = _one_hot(column, values, lines, max_categories, found)
            blocks.append(hot)
            names += [f"{column}={value}" for value in values_of]
    y = _target(
        targets, [[row[known[t]] for t in targets] for row in rows], lines, found
    )
    _errors.raise_all(found, _errors.DataError, subject)
    return arrays(
        np.concatenate(blocks, axis=1),
        y,
        feature_names=names,
        class_names=class_names,
        regression=regression,
        name=path.stem if name is None else name,
        source=f"CSV file {path.name}",
    )


def _read(
    path: Path, delimiter: str, encoding: str, subject: str
) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows of stripped fields, and the line in the file that each ends on."""
    found: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        with path.open(newline="", encoding=encoding) as file:
            reader = csv_files.reader(file, delimiter=delimiter, strict=True)
            header = [field.strip() for field in next(reader, [])]
            for row in reader:
                if row:
                    rows.append([field.strip() for field in row])
                    lines.append(reader.line_num)
    except UnicodeDecodeError as error:
        raise _errors.DataError(
            f"{subject} is not {encoding} text: {error}. Give its encoding: "
            "csv(path, ..., encoding='latin-1')."
        ) from error
    except (OSError, csv_files.Error) as error:
        raise _errors.DataError(f"{subject} cannot be read: {error}.") from error
    if not rows:
        raise _errors.DataError(
            f"{subject} must have a header line and at least one row, but has "
            f"{len(rows)} rows after the header {header}."
        )
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        found.append(f"Columns must have different names, but {twice} come twice.")
    ragged = [i for i, row in enumerate(rows) if len(row) != len(header)]
    if ragged:
        found.append(
            f"Every row must have {len(header)} fields as the header has, but "
            f"{len(ragged)} have not, first line {lines[ragged[0]]} with "
            f"{len(rows[ragged[0]])}. Is the delimiter {delimiter!r} right?"
        )
    if all(_is_number(column) for column in header):
        found.append(
            f"The first line must name the columns, but it is {header}. Add a header."
        )
    _errors.raise_all(found, _errors.DataError, subject)
    return header, rows, lines


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return value.lower() not in _MISSING


def _missing(
    column: str, values: Sequence[str], lines: Sequence[int], found: list[str]
) -> None:
    gaps = [i for i, value in enumerate(values) if value.lower() in _MISSING]
    if gaps:
        found.append(
            f"Column {column!r} has {len(gaps):,} missing value"
            f"{'s' if len(gaps) > 1 else ''}, first in line {lines[gaps[0]]}. Fill "
            f"them in, drop such rows, or leave the column out: drop=[{column!r}]."
        )


def _numbers(
    column: str, values: Sequence[str], lines: Sequence[int], found: list[str]
) -> np.ndarray | None:
    """f64[N], or None for a column of text and, with a problem, for a mixed one."""
    present = [i for i, value in enumerate(values) if value.lower() not in _MISSING]
    strange = [i for i in present if not _is_number(values[i])]
    if strange and len(strange) == len(present):
        return None
    _missing(column, values, lines, found)
    if not strange:
        return np.asarray(
            [float(value) if _is_number(value) else 0.0 for value in values]
        )
    found.append(
        f"Column {column!r} has numbers, but also {len(strange):,} other value"
        f"{'s' if len(strange) > 1 else ''}, first {values[strange[0]]!r} in line "
        f"{lines[strange[0]]}. Correct them, or if all are categories pass "
        f"categorical=[{column!r}]."
    )
    return None


def _one_hot(
    column: str,
    values: Sequence[str],
    lines: Sequence[int],
    max_categories: int,
    found: list[str],
) -> tuple[np.ndarray, list[str]]:
    """f32[N, categories] of zeros and ones, and the categories in sorted order."""
    _missing(column, values, lines, found)
    categories, codes = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    if len(categories) > max_categories:
        found.append(
            f"Text column {column!r} has {len(categories):,} different values, more "
            f"than max_categories={max_categories}. For an identifier or free text "
            f"pass drop=[{column!r}], else max_categories={len(categories)}."
        )
        return np.zeros((len(values), 0), np.float32), []
    hot = np.zeros((len(values), len(categories)), np.float32)
    hot[np.arange(len(values)), codes] = 1.0
    return hot, [str(category) for category in categories]


def _target(
    targets: Sequence[str],
    values: Sequence[Sequence[str]],
    lines: Sequence[int],
    found: list[str],
) -> np.ndarray:
    """[N] labels or quantities, or f64[N, K] for several targets."""
    columns = [[row[k] for row in values] for k in range(len(targets))]
    for column, texts in zip(targets, columns, strict=True):
        _missing(column, texts, lines, found)
    numeric = all(_is_number(text) for texts in columns for text in texts)
    if len(targets) > 1:
        if not numeric and not found:
            found.append(
                f"Several targets {list(targets)} must all be numbers, to regress on "
                "together. Choose one target for classes."
            )
        return np.asarray(columns, dtype=float).T if numeric else np.zeros((0, 1))
    texts = columns[0]
    if not numeric:
        return np.asarray(texts, dtype=str)
    numbers = np.asarray(texts, dtype=float)
    whole = all(text.lstrip("+-").isdigit() for text in texts)
    return numbers.astype(np.int64) if whole else numbers
