"""The learning curves of every member, coloured by rank, the best one on top."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune import _errors
from evotune.report import _style
from evotune.report._records import count, label, read, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LearningCurves:
    """The curves of one metric, from the worst trial to the best.

    Attributes:
        metric: The name of the metric, such as "val_accuracy".
        number: i64[C] trial numbers.
        rank: f64[C] from 0 for the worst complete trial to 1 for the best.
        curves: C arrays f64[T], finite, one point for each epoch.
        best: The position of the best trial in these, or None if it has no curve.
        companion: The same metric on the training data for the best trial, f64[T], or
            None where it was not recorded.
        total: How many complete trials have this curve; C of them are kept.
        direction: "maximize" or "minimize", of the search.
        available: All metrics that trials have curves of.
    """

    metric: str
    number: np.ndarray
    rank: np.ndarray
    curves: tuple[np.ndarray, ...]
    best: int | None
    companion: np.ndarray | None
    total: int
    direction: str
    available: tuple[str, ...]


def learning_curves(
    source: Any, *, metric: str | None = None, max_curves: int = 300
) -> LearningCurves:
    """The learning curves of a study or a result, thinned evenly by rank.

    Args:
        source: A study or a result.
        metric: Whose curves; the search's own metric by default, or the first one
            recorded if that has none.
        max_curves: More curves than these are thinned; the best and the worst stay.

    Raises:
        ValueError: If no trial has a curve of the metric, while others are recorded.
    """
    record = read(source)
    available = tuple(
        dict.fromkeys(name for trial in record.complete for name in trial.curves)
    )
    if metric is None:
        known = record.metric in available or not available
        metric = record.metric if known else available[0]
    elif available and metric not in available:
        raise ValueError(
            f"No trial has a curve of {metric!r}; there are {', '.join(available)}."
            f"{_errors.nearest(metric, available)}"
        )
    ranks = record.ranks
    rows = []
    for i in np.argsort(ranks, kind="stable"):
        curve = _finite(record.complete[i].curves.get(metric))
        if curve is not None:
            rows.append((int(i), curve))
    kept = rows
    if len(rows) > max_curves:
        chosen = np.unique(
            np.linspace(0, len(rows) - 1, max_curves).round().astype(int)
        )
        kept = [rows[i] for i in chosen]
    numbers = [record.complete[i].number for i, _ in kept]
    best = None
    companion = None
    if record.best is not None and record.best.number in numbers:
        best = numbers.index(record.best.number)
        paired = "train_" + metric.removeprefix("val_").removeprefix("test_")
        if paired != metric:
            companion = _finite(record.best.curves.get(paired))
    return LearningCurves(
        metric=metric,
        number=np.asarray(numbers, np.int64),
        rank=np.asarray([ranks[i] for i, _ in kept], np.float64),
        curves=tuple(curve for _, curve in kept),
        best=best,
        companion=companion,
        total=len(rows),
        direction=record.direction,
        available=available,
    )


def plot_learning_curves(
    source: Any,
    *,
    metric: str | None = None,
    max_curves: int = 300,
    ax: Axes | None = None,
) -> Axes:
    """Draws every member's learning curve, poor ones grey, good ones blue.

    The best trial stands out; where its training curve is recorded too, it is dashed.

    Args:
        source: A study or a result.
        metric: Whose curves; the search's own metric by default.
        max_curves: More curves than these are thinned evenly by rank, and the figure
            says so.
        ax: Axes to draw on; those of a new figure by default.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        ValueError: If no trial has a curve of the metric, while others are recorded.

    Example:
        >>> plot_learning_curves(result, metric="val_loss")  # doctest: +SKIP
    """
    data = learning_curves(source, metric=metric, max_curves=max_curves)
    ax = _style.axes(ax)
    if not data.curves:
        _style.say_empty(ax, "No complete trial has a learning curve")
        return ax
    collections = _errors.require(
        "matplotlib.collections", extra="plots", purpose="plot_learning_curves()"
    )
    colors = _style.ramp()(data.rank)
    colors[:, 3] = 0.25 + 0.45 * data.rank
    lines = [np.column_stack([_epochs(curve), curve]) for curve in data.curves]
    heavy = sum(len(curve) for curve in data.curves) > 6 * _style.RASTER
    ax.add_collection(
        collections.LineCollection(
            lines, colors=colors, linewidths=0.9, rasterized=heavy, capstyle="round"
        )
    )
    if data.best is not None:
        _best(ax, data)
    _limits(ax, data)
    ax.set_xlabel("epoch")
    ax.set_ylabel(label(data.metric))
    note = f"{count(data.total, 'trial')}, by rank"
    if len(data.curves) < data.total:
        note = f"{len(data.curves):,} of {data.total:,} trials, evenly by rank"
    _style.title(ax, label(data.metric).capitalize(), note)
    _key(ax)
    return ax


def _best(ax: Axes, data: LearningCurves) -> None:
    assert data.best is not None
    curve = data.curves[data.best]
    ax.plot(_epochs(curve), curve, color=_style.SURFACE, linewidth=4, zorder=4)
    ax.plot(
        _epochs(curve),
        curve,
        color=_style.BEST,
        linewidth=2.2,
        zorder=5,
        marker="o" if len(curve) == 1 else "",
        label=f"best: trial {data.number[data.best]}, {text(float(curve[-1]))}",
    )
    if data.companion is not None:
        ax.plot(
            _epochs(data.companion),
            data.companion,
            color=_style.BEST,
            linewidth=1.4,
            linestyle=(0, (3, 1.5)),
            zorder=5,
            label="its training curve",
        )


def _limits(ax: Axes, data: LearningCurves) -> None:
    every = np.concatenate(data.curves)
    longest = max(len(curve) for curve in data.curves)
    ax.set_xlim(1 if longest > 1 else 0.5, max(longest, 1.5))
    _style.integer_ticks(ax.xaxis)
    falling = np.median([curve[-1] - curve[0] for curve in data.curves]) < 0
    kind = "minimize" if "loss" in data.metric or falling else "maximize"
    shown = every
    if data.companion is not None:
        shown = np.concatenate([every, data.companion])
    if _style.wants_log(shown, kind):
        ends = float(shown.min()), float(np.quantile(shown, 0.99))
        low, high = _style.limits(*ends, log=True, room=0.06)
        _style.log_ticks(ax, "y", low, high)
        ax.set_ylim(low, high)
    else:
        ax.set_ylim(*_style.focus(shown, kind))


def _key(ax: Axes) -> None:
    """The legend: the best curve, and what grey and blue mean."""
    lines = _errors.require(
        "matplotlib.lines", extra="plots", purpose="plot_learning_curves()"
    )
    handles, labels = ax.get_legend_handles_labels()
    ramp = _style.ramp()
    for share, word in ((0.0, "poor"), (1.0, "good")):
        handles.append(lines.Line2D([], [], color=ramp(share), linewidth=1.6))
        labels.append(word)
    _style.legend(ax, handles=handles, labels=labels)


def _epochs(curve: np.ndarray) -> np.ndarray:
    return np.arange(1, len(curve) + 1)


def _finite(curve: Any) -> np.ndarray | None:
    """f64[T] without what comes after the last finite point; None if nothing is left.

    Gaps inside are carried forward, so that a line can be drawn.
    """
    if curve is None:
        return None
    values = np.asarray(curve, np.float64).reshape(-1)
    good = np.flatnonzero(np.isfinite(values))
    if not good.size:
        return None
    values = values[: good[-1] + 1]
    last = np.maximum.accumulate(
        np.where(np.isfinite(values), np.arange(len(values)), -1)
    )
    return values[np.where(last < 0, good[0], last)]
