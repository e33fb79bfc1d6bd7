"""Examples that are series of symbols: their codes, and what must hold of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

PADDING = -1
"""What stands beyond the end of an example that is shorter than others."""


def as_codes(values: Any, what: str, found: list[str]) -> np.ndarray | None:
    """i32[N, T] of codes; rows of different lengths are filled up with -1.

    Args:
        values: [N, T] integers, or N sequences of integers.
        what: Their name in messages, such as "x".
        found: Where the reason goes if None is returned.
    """
    try:
        rows = [np.asarray(row) for row in values]
        right = all(
            row.ndim == 1 and row.dtype.kind in "iu" for row in rows if row.size
        )
    except (TypeError, ValueError):
        rows, right = [], False
    if not right or not rows:
        found.append(
            f"`{what}` with a vocabulary must be rows of integers, the codes of its "
            "symbols, but got something else. Encode text first: "
            "`[[code_of[word] for word in row] for row in rows]`."
        )
        return None
    codes = np.full((len(rows), max(len(row) for row in rows)), PADDING, np.int64)
    for row, values_of_row in zip(codes, rows, strict=True):
        row[: len(values_of_row)] = values_of_row
    return np.clip(codes, -2, np.iinfo(np.int32).max).astype(np.int32)


def same_length(*codes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Arrays i32[N, T] filled up with -1 to the longest T of them."""
    longest = max(array.shape[1] for array in codes)
    return tuple(
        np.pad(array, ((0, 0), (0, longest - array.shape[1])), constant_values=PADDING)
        for array in codes
    )


def as_vocabulary(vocabulary: Sequence[str] | int | None) -> tuple[str, ...] | None:
    """Names of the symbols by code; a number V names them "0" to "V - 1"."""
    if vocabulary is None:
        return None
    if isinstance(vocabulary, int):
        return tuple(str(code) for code in range(vocabulary))
    return tuple(str(symbol) for symbol in vocabulary)


def symbol_problems(
    what: str, x: np.ndarray | None, vocabulary: tuple[str, ...]
) -> list[str]:
    """What keeps ``x`` from being i32[N, T] codes of the vocabulary, padded at the end.

    Args:
        what: Its name in messages, such as "x_test".
        x: The codes, or None where there are none.
        vocabulary: The symbols by code.
    """
    if x is None:
        return []
    if x.dtype != np.int32 or x.ndim != 2 or not x.size:
        return [
            f"`{what}` with a vocabulary must be int32 of shape [N, T], but got "
            f"{x.dtype} of shape {x.shape}. Make the dataset with datasets.arrays(x, "
            "y, vocabulary=...), which converts."
        ]
    if x.min() < PADDING or x.max() >= len(vocabulary):
        return [
            f"Codes in `{what}` must lie in 0..{len(vocabulary) - 1}, one for each of "
            f"the {len(vocabulary)} symbols, and be -1 beyond the end of an example, "
            f"but got {x.min()}..{x.max()}. Were all symbols named?"
        ]
    late = np.flatnonzero(np.any((x[:, :-1] < 0) & (x[:, 1:] >= 0), axis=1))
    empty = np.flatnonzero(x[:, 0] < 0)
    found = []
    if late.size:
        found.append(
            f"-1 in `{what}` must only stand after an example's last symbol, but in "
            f"row {late[0]} symbols follow. Give padding inside examples a symbol of "
            "its own."
        )
    if empty.size:
        found.append(
            f"Each row of `{what}` must have a symbol, but row {empty[0]} has none. "
            "Leave such rows out."
        )
    return found
