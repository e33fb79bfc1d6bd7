"""Each hyperparameter against the value it led to."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune.report import _grid, _style
from evotune.report._population import values_of
from evotune.report._records import generations, label, read, text, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ParameterValues:
    """One hyperparameter where it was active, and what the trials reached.

    Of the N complete trials in which the hyperparameter was active.

    Attributes:
        name: The hyperparameter.
        choices: The values of a categorical one, in order; () for numbers.
        is_log: Whether it is searched on the logarithmic scale.
        parameter: f64[N] its values, or i64[N] positions in ``choices``.
        is_int: Whether it is a whole number.
        bounds: The bounds of a number: of the space, else as seen.
        value: f64[N] values of the trials, in the user's direction.
        generation: i64[N] their generations.
        best: The position of the best trial in these, or None where it was not active.
        all_values: f64[M] values of all complete trials, for limits that agree.
        metric: The name of the value.
        direction: "maximize" or "minimize".
        note: What its numbers are, where that is not plain.
    """

    name: str
    choices: tuple[Any, ...]
    is_log: bool
    parameter: np.ndarray
    is_int: bool
    bounds: tuple[float, float]
    value: np.ndarray
    generation: np.ndarray
    best: int | None
    all_values: np.ndarray
    metric: str
    direction: str
    note: str


def parameter_values(source: Any, name: str) -> ParameterValues:
    """One hyperparameter and the trials' values, as arrays.

    Raises:
        ValueError: If there is no such hyperparameter.
    """
    record = read(source)
    trials = record.having(name)
    numbers = [trial.number for trial in trials]
    best = None
    if record.best is not None and record.best.number in numbers:
        best = numbers.index(record.best.number)
    return ParameterValues(
        name=name,
        choices=record.choices(name) if record.is_categorical(name) else (),
        is_log=record.is_log(name),
        parameter=values_of(record, name),
        is_int=record.is_int(name),
        bounds=record.bounds(name),
        value=np.asarray([value_of(trial) for trial in trials], np.float64),
        generation=generations(trials),
        best=best,
        all_values=record.values,
        metric=record.metric,
        direction=record.direction,
        note=record.note(name),
    )


def plot_parameter_values(source: Any, name: str, *, ax: Axes | None = None) -> Axes:
    """Draws the value of every trial against one hyperparameter.

    Early trials are grey, late ones blue, the best one vermillion. Choices get a line
    at their median. Outliers on the worse side sit at the edge.

    Args:
        source: A study or a result.
        name: The hyperparameter.
        ax: Axes to draw on; those of a new figure by default.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        ValueError: If there is no such hyperparameter.

    Example:
        >>> plot_parameter_values(result, "learning_rate")  # doctest: +SKIP
    """
    data = parameter_values(source, name)
    ax = _style.axes(ax)
    _style.title(ax, name, data.note)
    if not data.value.size:
        _style.say_empty(ax, f"{name}: never active in a complete trial")
        return ax
    x = data.parameter.astype(np.float64)
    if data.choices:
        x = x + np.random.default_rng(0).uniform(-0.26, 0.26, len(x))
    else:
        x = _numeric_axis(ax, data)
    if _style.wants_log(data.all_values, data.direction):
        ends = float(data.all_values.min()), float(data.all_values.max())
        low, high = _style.limits(*ends, log=True, room=0.06)
        _style.log_ticks(ax, "y", low, high)
        ax.set_ylim(low, high)
    else:
        ax.set_ylim(*_style.focus(data.all_values, data.direction))
    order = np.argsort(data.generation, kind="stable")  # late ones on top
    many = len(x) > _style.RASTER_SMALL
    ax.scatter(
        x[order],
        np.clip(data.value, *ax.get_ylim())[order],  # outliers sit at the edge
        c=data.generation[order],
        cmap=_style.ramp(),
        vmin=0,
        vmax=max(1, int(data.generation.max())),
        s=9 if len(x) < _style.RASTER else 5,
        alpha=0.5 if many else 0.75,
        linewidths=0,
        rasterized=many,
    )
    if data.best is not None:
        at = data.parameter[data.best], data.value[data.best]
        ax.plot(*at, "o", **_style.BEST_MARK, markersize=7.5)
    if data.choices:
        _medians(ax, data)
    ax.set_ylabel(label(data.metric))
    return ax


def plot_parameters(source: Any) -> Figure:
    """All hyperparameters against the value, as small multiples.

    Args:
        source: A study or a result.

    Returns:
        A new figure.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    record = read(source)

    def draw(name: str, ax: Axes) -> None:
        plot_parameter_values(source, name, ax=ax)

    return _grid.small_multiples(record.names, draw, share_label=True)


def _numeric_axis(ax: Axes, data: ParameterValues) -> np.ndarray:
    """Sets up the x axis of a number; f64[N] where the trials are drawn on it."""
    few = data.is_int and not data.is_log and data.bounds[1] - data.bounds[0] <= 12
    low, high = _style.limits(*data.bounds, log=data.is_log, room=0.1 if few else 0.04)
    if data.is_log:
        _style.log_ticks(ax, "x", low, high)
    elif data.is_int:
        _style.integer_ticks(ax.xaxis)
    ax.set_xlim(low, high)
    if few:
        jitter = np.random.default_rng(0).uniform(-0.12, 0.12, len(data.parameter))
        return data.parameter + jitter
    return data.parameter


def _medians(ax: Axes, data: ParameterValues) -> None:
    for i in range(len(data.choices)):
        mine = data.value[data.parameter == i]
        if mine.size:
            ax.hlines(
                np.median(mine), i - 0.34, i + 0.34, color=_style.INK, linewidth=1.4
            )
    names = [text(choice) for choice in data.choices]
    crowded = sum(map(len, names)) > 26
    ax.set_xticks(range(len(names)), names)
    if crowded:
        ax.tick_params(axis="x", labelrotation=30, labelsize=7)
    ax.set_xlim(-0.6, len(names) - 0.4)
