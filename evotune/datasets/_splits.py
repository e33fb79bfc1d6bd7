"""Train, validation and test parts: made once, stratified, seeded."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from evotune import _errors

from ._dataset import Dataset


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Part:
    """One part of a split.

    Attributes:
        x: f32[n, ...] examples.
        y: i32[n] class codes, or f32[n] or f32[n, K].
        index: i64[n] their rows in ``Dataset.x``, or in ``Dataset.x_test`` for the test
            part of a dataset with a published test set.
        weight: f32[n] how much each row counts; None where all count the same.
    """

    x: np.ndarray
    y: np.ndarray
    index: np.ndarray
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        """n, the number of rows."""
        return len(self.x)

    def rows(self, rows: slice) -> Part:
        """Some of its rows; examples that stay on disk are not read."""
        return Part(
            x=self.x[rows],
            y=self.y[rows],
            index=self.index[rows],
            weight=None if self.weight is None else self.weight[rows],
        )

    def __repr__(self) -> str:
        return f"Part({len(self):,} rows)"


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Splits:
    """Three parts that share no row. The search never sees ``test``.

    Attributes:
        train: What members are trained on.
        validation: What a trial's value is measured on.
        test: What only the winner is measured on.
    """

    train: Part
    validation: Part
    test: Part

    def __repr__(self) -> str:
        return (
            f"Splits(train={len(self.train):,}, validation={len(self.validation):,}, "
            f"test={len(self.test):,})"
        )


def split(
    dataset: Dataset,
    *,
    validation: float | int = 0.2,
    test: float | int = 0.2,
    seed: int = 0,
    stratify: bool | None = None,
) -> Splits:
    """Splits a dataset into three parts; the same arguments give the same parts.

    Stratified parts hold every class in proportion, at least one row of each. Rows come
    in a random order.

    Args:
        dataset: What to split.
        validation: Size of the validation part: a share of all rows, or their number.
        test: Size of the test part likewise; 0 for none. Not used for a dataset with a
            published test set, which is the test part then.
        seed: Seed of the numpy generator that draws the rows.
        stratify: Whether each part holds every class in proportion. None: for
            classification yes, for regression no.

    Raises:
        DataError: If the parts do not fit the dataset; lists everything found.

    Example:
        >>> import evotune.datasets as datasets
        >>> datasets.split(datasets.digits(), seed=1)
        Splits(train=1,079, validation=359, test=359)
    """
    rows = len(dataset)
    published = dataset.x_test is not None
    found: list[str] = []
    sizes = {"validation": _size(validation, rows, "validation", found)}
    if not published and (test != 0 or isinstance(test, bool)):
        sizes = {"test": _size(test, rows, "test", found), **sizes}
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        found.append(f"`seed` must be an integer of 0 or more, but got {seed!r}.")
    if stratify is None:
        stratify = not dataset.is_regression
    classes: np.ndarray | None = dataset.y if stratify else None
    if stratify and dataset.is_regression:
        found.append(
            "`stratify=True` needs classes, but this dataset is for regression. Leave "
            "stratify out."
        )
        classes = None
    if not found and sum(sizes.values()) >= rows:
        found.append(
            f"The parts must leave rows to train on, but {_listed(sizes)} are all of "
            f"the {rows:,} rows. Use smaller ones: split(data, validation=0.2)."
        )
    if not found and classes is not None:
        found += _too_rare(dataset, sizes)
    _errors.raise_all(found, _errors.DataError, f"The split of {dataset.name!r}")

    rng = np.random.default_rng(int(seed))
    order = rng.permutation(rows)
    strata = np.zeros(rows, np.int64) if classes is None else classes.astype(np.int64)
    part_of = np.zeros(rows, np.int64)  # 0 is the training part
    for part, size in enumerate(sizes.values(), start=1):
        left = order[part_of[order] == 0]
        keep = len(sizes) - part + 1 if classes is not None else 0
        part_of[_take(left, strata[left], size, keep)] = part
    index = {
        name: order[part_of[order] == part]
        for part, name in enumerate(("train", *sizes))
    }
    parts = {name: _rows(dataset, i) for name, i in index.items()}
    parts.setdefault("test", _rows(dataset, np.arange(0)))
    if dataset.x_test is not None and dataset.y_test is not None:
        everything = np.arange(len(dataset.x_test))
        parts["test"] = Part(
            x=dataset.x_test,
            y=dataset.y_test,
            index=everything,
            weight=dataset.sample_weight_test,
        )
    return Splits(
        train=parts["train"], validation=parts["validation"], test=parts["test"]
    )


def _rows(dataset: Dataset, index: np.ndarray) -> Part:
    weight = dataset.sample_weight
    return Part(
        x=dataset.x[index],
        y=dataset.y[index],
        index=index,
        weight=None if weight is None else weight[index],
    )


def _size(value: float | int, rows: int, name: str, found: list[str]) -> int:
    """Number of rows that ``value`` stands for; 0 with the reason in ``found``."""
    if not isinstance(value, bool):
        if isinstance(value, (int, np.integer)) and 1 <= value < rows:
            return int(value)
        if isinstance(value, (float, np.floating)) and 0.0 < value < 1.0:
            return max(1, math.floor(value * rows + 1e-9))
    found.append(
        f"`{name}` must be a share between 0 and 1, or a number of rows from 1 to "
        f"{rows - 1}, but got {value!r}. Use {name}=0.2."
    )
    return 0


def _listed(sizes: dict[str, int]) -> str:
    return " and ".join(f"{size:,} for {name}" for name, size in sizes.items())


def _too_rare(dataset: Dataset, sizes: dict[str, int]) -> list[str]:
    """Classes that cannot be in every part, and parts that cannot hold every class."""
    names = dataset.class_names or ()
    counts = np.bincount(dataset.y, minlength=len(names))
    needed = len(sizes) + 1
    rare = np.flatnonzero(counts < needed)
    found = []
    if rare.size:
        listed = ", ".join(f"{names[code]!r} ({counts[code]})" for code in rare[:8])
        more = f" and {rare.size - 8} more" if rare.size > 8 else ""
        found.append(
            f"Every class needs at least {needed} rows, one for each of the {needed} "
            f"parts, but too few are of class {listed}{more}. Merge or drop rare "
            "classes, or pass stratify=False. If y is a quantity, make the dataset "
            "with regression=True."
        )
    for name, size in sizes.items():
        if size < len(names):
            found.append(
                f"A stratified {name} part must hold each of the {len(names)} classes, "
                f"but it has {size} rows. Use {name}={len(names)} or more, or "
                "stratify=False."
            )
    largest = len(dataset) - len(names)
    if not found and sum(sizes.values()) > largest:
        found.append(
            f"A stratified training part must hold each of the {len(names)} classes, "
            f"but {_listed(sizes)} leave {len(dataset) - sum(sizes.values())} rows. "
            "Use smaller parts."
        )
    return found


def _take(rows: np.ndarray, strata: np.ndarray, size: int, keep: int) -> np.ndarray:
    """The first rows of every stratum, in proportion, ``size`` in all.

    Args:
        rows: i64[n] rows in random order.
        strata: i64[n] their strata.
        size: How many to take.
        keep: How many rows of every stratum must be left.
    """
    codes, counts = np.unique(strata, return_counts=True)
    low = 1 if keep else 0
    shares = _apportion(counts, size, low=low, keep=keep)
    taken = [rows[strata == code][:n] for code, n in zip(codes, shares, strict=True)]
    return np.concatenate(taken)


def _apportion(counts: np.ndarray, total: int, *, low: int, keep: int) -> np.ndarray:
    """Largest-remainder apportionment of ``total`` to strata of ``counts`` rows.

    i64[C] shares, each at least ``low`` and at most ``counts - keep``.
    """
    quota = counts * (total / counts.sum())
    high = counts - keep
    shares = np.clip(np.floor(quota).astype(np.int64), low, high)
    while (gap := total - int(shares.sum())) != 0:
        step = 1 if gap > 0 else -1
        room = shares < high if gap > 0 else shares > low
        if not room.any():
            break
        shares[np.argmax(np.where(room, step * (quota - shares), -np.inf))] += step
    return shares
