"""How all figures look: one palette, safe for the colour-blind, on light and on dark.

Grey is early or poor, blue is late or good, vermillion is the best: the same in every
figure. Hues are Okabe and Ito's ("Color Universal Design", 2008). Figures are made
without pyplot, so that no global state of matplotlib changes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune import _errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK = "#1c2330"
MUTED = "#5d6778"
RULE = "#d9dee7"
SURFACE = "#fefefe"
BLUE = "#0072b2"
BEST = "#d55e00"
POINT = "#8795ab"
CHOICES = (BLUE, "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#b5a400", "#d55e00")
"""Colours of categorical values, in the order of the choices; then they repeat."""

_RAISED = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
_RAMP = ("#aab5c6", "#7fa3c7", "#3f87bd", "#0f6fae")
BEST_MARK: dict[str, Any] = {
    "color": BEST,
    "markeredgecolor": SURFACE,
    "markeredgewidth": 1.2,
    "zorder": 6,
}
"""How the best trial is marked in every figure."""

RASTER = 1500
"""Marks above which a layer is drawn as pixels, so that pages stay small."""

RASTER_SMALL = 300
"""The same for each of several small plots."""


def figure(
    width: float = 6.4, height: float = 3.4, *, nrows: int = 1, ncols: int = 1
) -> tuple[Figure, np.ndarray]:
    """A new figure with its axes, bound to no window and no global state.

    Args:
        width: In inches.
        height: In inches.
        nrows: Rows of axes.
        ncols: Columns of axes.

    Returns:
        The figure and its [nrows, ncols] axes.
    """
    module = _errors.require("matplotlib.figure", extra="plots", purpose="A plot")
    fig: Figure = module.Figure(figsize=(width, height), layout="constrained", dpi=144)
    return fig, fig.subplots(nrows, ncols, squeeze=False)


def axes(ax: Axes | None) -> Axes:
    """The given axes, or those of a new figure, in the house style."""
    chosen: Axes = figure()[1][0, 0] if ax is None else ax
    dress(chosen)
    return chosen


def dress(ax: Axes) -> None:
    """Quiet axes: two spines, horizontal rules, small muted tick labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(RULE)
    ax.tick_params(colors=MUTED, labelsize=8, length=3, width=0.8, color=RULE)
    ax.tick_params(which="minor", length=0)
    ax.grid(axis="y", color=RULE, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.xaxis.label.set(color=INK, fontsize=9)
    ax.yaxis.label.set(color=INK, fontsize=9)
    ax.title.set(color=INK, fontsize=10)


def title(ax: Axes, words: str, note: str = "", *, pad: float = 6) -> None:
    """A title at the left and a small note at the right of the same line."""
    ax.set_title(words, loc="left", fontsize=10, color=INK, fontweight="bold", pad=pad)
    if note:
        ax.set_title(note, loc="right", fontsize=7.5, color=MUTED, pad=pad)


def legend(ax: Axes, **options: Any) -> None:
    """A frameless legend; below the axes unless a place is given."""
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 4}
    ax.legend(
        **{
            **place,
            "frameon": False,
            "fontsize": 8,
            "labelcolor": MUTED,
            "handletextpad": 0.5,
            "columnspacing": 1.4,
            **options,
        }
    )


def say_empty(ax: Axes, words: str) -> None:
    """Axes without data say why, instead of showing an empty frame."""
    ax.set_axis_off()
    ax.text(
        0.5,
        0.5,
        words,
        transform=ax.transAxes,
        ha="center",
        va="center",
        color=MUTED,
        fontsize=10,
    )


def log_ticks(ax: Axes, which: str, low: float, high: float) -> None:
    """Readable ticks of a logarithmic axis: powers of ten, or 1, 2, 5 for short spans.

    Args:
        ax: The axes.
        which: "x" or "y", whose scale becomes logarithmic.
        low: Its lower limit, above 0.
        high: Its upper limit.
    """
    ticker = _errors.require("matplotlib.ticker", extra="plots", purpose="A plot")
    axis = ax.xaxis if which == "x" else ax.yaxis
    ax.set(**{f"{which}scale": "log"})
    axis.set_minor_locator(ticker.NullLocator())
    if high / low > 300:
        axis.set_major_formatter(ticker.FuncFormatter(lambda tick, _: _power(tick)))
        return
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low > 3 else (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    axis.set_major_locator(ticker.FixedLocator([t for t in ticks if low <= t <= high]))
    axis.set_major_formatter(ticker.FuncFormatter(lambda tick, _: f"{tick:g}"))


def _power(tick: float) -> str:
    """A power of ten with its exponent as raised digits, or "" for anything else."""
    exponent = math.log10(tick) if tick > 0 else 0.5
    if abs(exponent - round(exponent)) > 1e-9:
        return ""
    raised = str(round(exponent)).translate(str.maketrans("-0123456789", _RAISED))
    return f"10{raised}"


def integer_ticks(axis: Axis) -> None:
    """Ticks at whole numbers only."""
    ticker = _errors.require("matplotlib.ticker", extra="plots", purpose="A plot")
    axis.set_major_locator(ticker.MaxNLocator(nbins=7, integer=True, min_n_ticks=1))


def limits(low: float, high: float, *, log: bool, room: float) -> tuple[float, float]:
    """Axis limits with ``room``, a share of the span, on both sides."""
    if log:
        factor = (high / low) ** room if high > low else 1.5
        return low / factor, high * factor
    margin = room * (high - low) or room * abs(high) or 0.5
    return low - margin, high + margin


def ramp() -> Any:
    """The colour map from grey (early or poor) to blue (late or good)."""
    colors = _errors.require("matplotlib.colors", extra="plots", purpose="A plot")
    return colors.LinearSegmentedColormap.from_list("evotune", _RAMP)


def focus(values: np.ndarray, direction: str) -> tuple[float, float]:
    """Limits that show where the good values are, unless all fit in well.

    Poor values must not flatten the rest: where they would take more than a third of
    the span, the worse limit is the median less three times its distance from the best,
    or the worst fifth, whichever shows more. What lies beyond belongs at the edge.

    Args:
        values: f64[N] finite values, N >= 1.
        direction: "maximize" or "minimize".
    """
    good = values if direction == "maximize" else -values
    low, high = float(good.min()), float(good.max())
    if len(values) >= 20:
        median = float(np.median(good))
        near = min(float(np.quantile(good, 0.2)), median - 3 * (high - median))
        low = near if near - low > (high - low) / 3 else low
    if direction == "minimize":
        low, high = -high, -low
    return limits(low, high, log=False, room=0.08)


def wants_log(values: np.ndarray, direction: str) -> bool:
    """Whether values to minimise span so much that only their logarithm shows it."""
    if direction != "minimize" or len(values) < 3 or values.min() <= 0:
        return False
    return bool(np.quantile(values, 0.75) / values.min() > 30)
