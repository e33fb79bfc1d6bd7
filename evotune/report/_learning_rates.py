"""What each learning rate of a range test reached."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune.report import _style
from evotune.report._records import label, read

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WINDOW = 5
_SHARE = 0.8


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LearningRates:
    """The score of networks that differ in nothing but their learning rate.

    Attributes:
        learning_rate: f64[N], ascending.
        score: f64[N] of the last epoch; NaN where training diverged.
        smooth: f64[N] mean score of the rate and of up to four neighbours that did not
            diverge; NaN where the rate itself did.
        metric: The name of the score, such as "val_loss".
        direction: "maximize" or "minimize".
        best: The learning rate with the best smooth score.
        low: The lowest rate of the range around `best` in which training makes at least
            80 % of the progress that it makes at `best`.
        high: The highest rate of that range.
    """

    learning_rate: np.ndarray
    score: np.ndarray
    smooth: np.ndarray
    metric: str
    direction: str
    best: float
    low: float
    high: float


def learning_rates(source: Any, metric: str | None = None) -> LearningRates:
    """Scores by learning rate, of a study that searched nothing else.

    Progress is measured from the worst smooth score at or below the best rate, which is
    that of rates too small to learn anything.

    Args:
        source: A study or a result whose only parameter is ``learning_rate``.
        metric: A recorded metric, such as "val_loss"; the objective by default. Names
            that end in "loss" are minimised, others go as the objective does.

    Raises:
        ValueError: If no trial is complete, or another parameter was searched, too.
    """
    record = read(source)
    trials = sorted(
        (t for t in record.trials if "learning_rate" in t.params),
        key=lambda t: t.params["learning_rate"],
    )
    if not record.complete or any(set(t.params) != {"learning_rate"} for t in trials):
        raise ValueError(
            "learning_rates needs complete trials that differ in `learning_rate` "
            f"alone, but got {len(record.complete)} complete trials of "
            f"{sorted({name for t in trials for name in t.params})}. "
            "Use `et.lr_range_test(task)`, which makes such a study."
        )
    name = record.metric if metric is None else metric
    minimize = record.direction == "minimize" or name.endswith("loss")
    rates = np.asarray([t.params["learning_rate"] for t in trials], np.float64)
    scores = np.asarray([_score(t, name, record.metric) for t in trials], np.float64)
    smooth = _smoothed(scores)
    cost = smooth if minimize else -smooth
    best = int(np.nanargmin(cost))
    worst = np.nanmax(cost[: best + 1])
    good = cost <= worst - _SHARE * (worst - cost[best])
    low, high = _span(good, best)
    return LearningRates(
        learning_rate=rates,
        score=scores,
        smooth=smooth,
        metric=name,
        direction="minimize" if minimize else "maximize",
        best=float(rates[best]),
        low=float(rates[low]),
        high=float(rates[high]),
    )


def plot_learning_rates(
    source: Any, metric: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draws the score over the learning rate, the range that works, and the best.

    Args:
        source: See `learning_rates`; also what that returns.
        metric: See `learning_rates`.
        ax: Axes to draw on; those of a new figure by default.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    given = isinstance(source, LearningRates)
    found = source if given else learning_rates(source, metric)
    ax = _style.axes(ax)
    rates, diverged = found.learning_rate, np.isnan(found.score)
    ax.axvspan(found.low, found.high, color=_style.BLUE, alpha=0.1, linewidth=0)
    ax.plot(rates, found.score, ".", color=_style.POINT, label="one training")
    ax.plot(rates, found.smooth, color=_style.BLUE, linewidth=2, label="smoothed")
    if diverged.any():
        ax.plot(
            rates[diverged],
            np.full(int(diverged.sum()), 0.045),
            "x",
            transform=ax.get_xaxis_transform(),
            color=_style.INK,
            markersize=4,
            label=f"diverged ({int(diverged.sum()):,})",
        )
    # What rates above the range reach says nothing; it must not flatten the rest.
    shown = found.smooth[(rates <= found.high) & ~np.isnan(found.smooth)]
    ax.set_ylim(*_style.limits(shown.min(), shown.max(), log=False, room=0.25))
    at = float(found.smooth[np.flatnonzero(rates == found.best)[0]])
    mark = {**_style.BEST_MARK, "label": f"best, {found.best:.2g}"}
    ax.plot(found.best, at, "o", **mark, markersize=8)
    low, high = _style.limits(rates[0], rates[-1], log=True, room=0.03)
    ax.set_xlim(low, high)
    _style.log_ticks(ax, "x", low, high)
    ax.set_xlabel("learning rate")
    ax.set_ylabel(label(found.metric))
    note = f"works from {found.low:.2g} to {found.high:.2g}"
    _style.title(ax, "Learning-rate range test", note)
    _style.legend(ax)
    return ax


def _score(trial: Any, name: str, objective: str) -> float:
    if trial.state.name != "COMPLETE":
        return float("nan")
    if name == objective:
        return float(trial.value)
    return float(trial.curves[name][-1])


def _smoothed(scores: np.ndarray) -> np.ndarray:
    """Means over a window that shrinks at the ends and at diverged neighbours."""
    half = _WINDOW // 2
    smooth = np.full_like(scores, np.nan)
    for i in np.flatnonzero(~np.isnan(scores)):
        near = scores[max(0, i - half) : i + half + 1]
        smooth[i] = np.nanmean(near)
    return smooth


def _span(good: np.ndarray, inside: int) -> tuple[int, int]:
    """First and last index of the run of True around ``inside``."""
    low = high = inside
    while low > 0 and good[low - 1]:
        low -= 1
    while high + 1 < len(good) and good[high + 1]:
        high += 1
    return low, high
