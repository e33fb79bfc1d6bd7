"""The optimisation history: the value of every trial and the best so far."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune.report import _style
from evotune.report._records import generations, label, read, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class History:
    """How the search went, trial by trial.

    Attributes:
        number: i64[N] numbers of the complete trials, ascending.
        value: f64[N] their values, in the user's direction.
        best: f64[N] the best value so far; never gets worse.
        generation: i64[N] their generations.
        failed: i64[F] numbers of the trials that failed or diverged.
        pruned: i64[Q] numbers of the pruned trials.
        best_number: The number of the best trial; -1 without any.
        metric: The name of the value, such as "val_accuracy".
        direction: "maximize" or "minimize".
    """

    number: np.ndarray
    value: np.ndarray
    best: np.ndarray
    generation: np.ndarray
    failed: np.ndarray
    pruned: np.ndarray
    best_number: int
    metric: str
    direction: str

    @property
    def median(self) -> tuple[np.ndarray, np.ndarray]:
        """i64[G] generations that have a complete trial, and f64[G] their medians."""
        found = np.unique(self.generation)
        medians = [np.median(self.value[self.generation == g]) for g in found]
        return found, np.asarray(medians, np.float64)


def optimization_history(source: Any) -> History:
    """The history of a study or a result, as arrays.

    Args:
        source: A study or a result.

    Example:
        >>> from types import SimpleNamespace as Fake
        >>> trials = [
        ...     Fake(number=i, state=Fake(name="COMPLETE"), value=v, generation=0,
        ...          params={})
        ...     for i, v in enumerate([0.2, 0.7, 0.5])
        ... ]
        >>> optimization_history(Fake(trials=trials, direction="maximize")).best
        array([0.2, 0.7, 0.7])
    """
    record = read(source)
    so_far = np.maximum if record.direction == "maximize" else np.minimum
    values = record.values
    return History(
        number=_numbers(record.complete),
        value=values,
        best=so_far.accumulate(values) if values.size else values,
        generation=generations(record.complete),
        failed=_numbers(record.failed),
        pruned=_numbers([t for t in record.trials if t.state.name == "PRUNED"]),
        best_number=-1 if record.best is None else record.best.number,
        metric=record.metric,
        direction=record.direction,
    )


def plot_optimization_history(source: Any, *, ax: Axes | None = None) -> Axes:
    """Draws every trial's value, the median of each generation and the best so far.

    Crosses at the bottom are trials that failed or diverged. Outliers on the worse side
    are drawn as small triangles at the edge, so that they do not flatten the rest.

    Args:
        source: A study or a result.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes; ``ax.figure.savefig("history.png")`` writes them to a file.

    Raises:
        MissingExtraError: If matplotlib is not installed.

    Example:
        >>> ax = plot_optimization_history(result)  # doctest: +SKIP
        >>> ax.figure.savefig("history.png")  # doctest: +SKIP
    """
    history = optimization_history(source)
    ax = _style.axes(ax)
    if not history.number.size:
        failed = f"; {len(history.failed):,} failed" if history.failed.size else ""
        _style.say_empty(ax, f"No trial is complete{failed}")
        return ax
    if _style.wants_log(history.value, history.direction):
        ends = float(history.value.min()), float(history.value.max())
        low, high = _style.limits(*ends, log=True, room=0.12)
        _style.log_ticks(ax, "y", low, high)
    else:
        low, high = _style.focus(history.value, history.direction)
        room = 0.06 * (high - low)  # for the label of the best trial
        maximize = history.direction == "maximize"
        low, high = (low, high + room) if maximize else (low - room, high)
    ax.set_ylim(low, high)
    _trials(ax, history, low, high)
    _lines(ax, history)
    _best(ax, history)
    crowned = _generations(ax, history)
    _style.integer_ticks(ax.xaxis)
    ax.set_xlabel("trial number")
    ax.set_ylabel(label(history.metric))
    note = f"{history.direction} {label(history.metric)}"
    _style.title(ax, "Optimisation history", note, pad=17 if crowned else 6)
    _style.legend(ax)
    return ax


def _trials(ax: Axes, history: History, low: float, high: float) -> None:
    inside = (history.value >= low) & (history.value <= high)
    many = history.number.size > _style.RASTER
    ax.scatter(
        history.number[inside],
        history.value[inside],
        s=7 if many else 14,
        color=_style.POINT,
        alpha=0.35 if many else 0.55,
        linewidths=0,
        label="trial",
        rasterized=many,
    )
    if not inside.all():
        upper = history.direction == "minimize"
        count = int((~inside).sum())
        edge = f"above {high:.3g}" if upper else f"below {low:.3g}"
        ax.plot(
            history.number[~inside],
            np.full(count, 0.985 if upper else 0.015),
            "^" if upper else "v",
            transform=ax.get_xaxis_transform(),
            color=_style.POINT,
            markersize=3.5,
            markeredgewidth=0,
            label=f"{count:,} {edge}",
            rasterized=many,
        )
    for numbers, word, marker in (
        (history.failed, "failed or diverged", "x"),
        (history.pruned, "pruned", "1"),
    ):
        if numbers.size:
            ax.plot(
                numbers,
                np.full(numbers.size, 0.045),
                marker,
                transform=ax.get_xaxis_transform(),
                color=_style.INK,
                markersize=4,
                markeredgewidth=0.9,
                alpha=0.7,
                label=f"{word} ({numbers.size:,})",
                rasterized=numbers.size > _style.RASTER,
            )


def _lines(ax: Axes, history: History) -> None:
    found, medians = history.median
    if len(found) > 1:
        starts = [history.number[history.generation == g].min() for g in found]
        ax.step(
            [*starts, history.number[-1]],
            [*medians, medians[-1]],
            where="post",
            color=_style.MUTED,
            linewidth=1.1,
            linestyle=(0, (3, 1.5)),
            label="median of the generation",
        )
    ax.step(
        history.number,
        history.best,
        where="post",
        color=_style.BLUE,
        linewidth=2,
        label="best so far",
    )


def _best(ax: Axes, history: History) -> None:
    at = int(np.flatnonzero(history.number == history.best_number)[0])
    x, y = int(history.number[at]), float(history.value[at])
    ax.plot(x, y, "o", **_style.BEST_MARK, markersize=8, label="best trial")
    span = max(1, int(history.number[-1] - history.number[0]))
    left = (x - history.number[0]) / span > 0.6
    ax.annotate(
        f"{text(y)} (trial {x})",
        (x, y),
        xytext=(4 if left else -4, 11 if history.direction == "maximize" else -11),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=8.5,
        fontweight="bold",
        color=_style.BEST,
    )


def _generations(ax: Axes, history: History) -> bool:
    """Marks generations along the top; whether there are not too many to do so."""
    found = np.unique(history.generation)
    if not 2 <= len(found) <= 40:
        return False
    starts = np.asarray([history.number[history.generation == g].min() for g in found])
    ends = np.asarray([history.number[history.generation == g].max() for g in found])
    for start in starts[1:]:
        ax.axvline(start - 0.5, color=_style.RULE, linewidth=0.7, zorder=0)
    every = -(-len(found) // 16)
    for i in range(0, len(found), every):
        ax.text(
            (starts[i] + ends[i]) / 2,
            1.01,
            f"gen. {found[i]}" if i == 0 else f"{found[i]}",
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=7,
            color=_style.MUTED,
        )
    return True


def _numbers(trials: Any) -> np.ndarray:
    return np.asarray([trial.number for trial in trials], np.int64)
