"""What went wrong in a study, with which settings, and what helps."""

from __future__ import annotations

from typing import Any

import numpy as np

from evotune.diagnostics import FLAGS, Diagnostics, diagnose
from evotune.report._records import Record, read, text
from evotune.report._tables import Table

ADVICE = {
    "diverged": "Lower the upper bound of the learning rate, clip gradients "
    "(gradient_clip), or add a warmup.",
    "overfitting": "Regularise (weight_decay, dropout, augmentation), train for fewer "
    "epochs, or stop early (patience); value='best' scores the best epoch.",
    "underfitting": "Raise the lower bounds of width, depth and epochs, search larger "
    "learning rates, or regularise less.",
    "plateau": "Train for fewer epochs (patience), or let the learning rate fall "
    "(schedule).",
    "noisy": "Lower the learning rate or let it fall (schedule), use larger batches, "
    "or average the weights (ema).",
}
"""What to do about each trouble."""

_CLEAR = 0.25
"""How far from 1/2 a chance must be to be worth a word."""

_FEW = 3
"""Trials that a comparison needs on each side."""


def troubles(source: Any) -> Table:
    """How many trials have each trouble, which settings go with it, and what helps.

    A setting goes with a trouble where a trial that has it has a larger (or a smaller)
    value than one that does not in three of four pairs, or where a choice makes up a
    share of the troubled trials that is larger than that of the others by a quarter.
    That is association only: a search does not vary one setting at a time.

    Args:
        source: A study or a result.

    Returns:
        One row for each trouble that some trial has, the gravest first.

    Reference:
        McGraw, Wong (1992), A common language effect size statistic.

    Example:
        >>> print(troubles(result))  # doctest: +SKIP
    """
    record = read(source)
    found = diagnose(record.trials, metric=record.metric, direction=record.direction)
    rows = []
    for flag in FLAGS:
        count = found.counts[flag]
        if count:
            share = f"{count:,} of {len(found):,}"
            rows.append((flag, share, _goes_with(record, found, flag), ADVICE[flag]))
    return Table(
        headers=("trouble", "trials", "goes with", "what helps"), rows=tuple(rows)
    )


def _goes_with(record: Record, found: Diagnostics, flag: str) -> str:
    """The settings that go with a trouble, the clearest first."""
    clear: list[tuple[float, str]] = []
    for name in record.names:
        values = [(t.params.get(name), name in t.params) for t in record.trials]
        pairs = [
            (value, flag in each.flags)
            for (value, is_active), each in zip(values, found, strict=True)
            if is_active
        ]
        troubled = [value for value, has in pairs if has]
        others = [value for value, has in pairs if not has]
        if min(len(troubled), len(others)) >= _FEW:
            named = record.is_categorical(name) or record.is_order(name)
            compare = _choices if named else _numbers
            clear += compare(name, troubled, others)
    clear.sort(key=lambda each: -each[0])
    return ", ".join(words for _, words in clear[:3]) or "–"


def _numbers(
    name: str, troubled: list[Any], others: list[Any]
) -> list[tuple[float, str]]:
    """How clearly a number differs, at most 1/2, and in words."""
    a, b = np.asarray(troubled, np.float64)[:, None], np.asarray(others, np.float64)
    chance = float(np.mean(a > b) + 0.5 * np.mean(a == b)) - 0.5
    if abs(chance) < _CLEAR:
        return []
    word = "large" if chance > 0 else "small"
    middle = text(float(f"{np.median(a):.2g}"))
    rest = text(float(f"{np.median(b):.2g}"))
    return [(abs(chance), f"{word} {name} ({middle} against {rest})")]


def _choices(
    name: str, troubled: list[Any], others: list[Any]
) -> list[tuple[float, str]]:
    """The choices that are more frequent, by how much, and in words."""
    found = []
    for choice in dict.fromkeys(troubled):
        mine = troubled.count(choice) / len(troubled)
        theirs = others.count(choice) / len(others)
        if mine - theirs >= _CLEAR:
            words = f"{name} {text(choice)} ({mine:.0%} against {theirs:.0%})"
            found.append(((mine - theirs) / 2, words))
    return found
