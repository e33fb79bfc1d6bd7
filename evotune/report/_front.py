"""Several objectives: the front of trials that no other dominates, and its growth."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune._pareto import hypervolume, nondominated
from evotune.report import _style
from evotune.report._grid import small_multiples
from evotune.report._records import Record, generations, label, read

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FRONTS = 5
"""Fronts of generations that are drawn at most."""

_CHECKPOINTS = 24
MOST_OBJECTIVES = 3
"""Of more, the hypervolume takes too long to be computed exactly."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Front:
    """The complete trials of a search with several objectives.

    Attributes:
        objectives: The direction of each of the M objectives by name.
        number: i64[N] trial numbers, ascending.
        generation: i64[N] their generations.
        values: f64[N, M] in the user's directions.
        is_front: bool[N] whether no other trial dominates it.
    """

    objectives: Mapping[str, str]
    number: np.ndarray
    generation: np.ndarray
    values: np.ndarray
    is_front: np.ndarray

    @property
    def signs(self) -> np.ndarray:
        """f64[M]: 1 of objectives to maximise, -1 of those to minimise."""
        directions = self.objectives.values()
        return np.asarray([1.0 if d == "maximize" else -1.0 for d in directions])


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Hypervolumes:
    """How much the front dominates, as trials come in.

    Attributes:
        trials: i64[C] how many complete trials count.
        volume: f64[C] hypervolume of theirs, never falling.
        reference: f64[M] what is dominated from, in the user's directions.
    """

    trials: np.ndarray
    volume: np.ndarray
    reference: np.ndarray


def pareto_front(source: Any) -> Front:
    """The trials of several objectives, and which of them no other dominates.

    Args:
        source: A study or a result.

    Raises:
        ValueError: If it has one objective.

    Example:
        >>> report.pareto_front(result).is_front.sum()  # doctest: +SKIP
        17
    """
    record = read(source)
    if len(record.objectives) < 2:
        raise ValueError(
            "A front is of two objectives or more, but the study has "
            f"{record.metric!r} alone. Use plot_optimization_history()."
        )
    return front_of(record)


def front_of(record: Record) -> Front:
    """See `pareto_front`."""
    values = [trial.values for trial in record.complete]
    table = np.asarray(values, np.float64).reshape(-1, len(record.objectives))
    found = Front(
        objectives=record.objectives,
        number=np.asarray([trial.number for trial in record.complete], np.int64),
        generation=generations(record.complete),
        values=table,
        is_front=np.zeros(len(table), bool),
    )
    return dataclasses.replace(found, is_front=nondominated(table * found.signs))


def hypervolumes(source: Any, reference: Any = None) -> Hypervolumes:
    """The hypervolume of the front over the trials of a search.

    Args:
        source: A study or a result.
        reference: M values that are worse than those of interest; the worst ones of
            all complete trials by default, so that it compares one search with itself.

    Raises:
        ValueError: If it has one objective, or more than three.

    Example:
        >>> report.hypervolumes(result, reference=(0, 1e5)).volume  # doctest: +SKIP
    """
    found = pareto_front(source)
    if len(found.objectives) > MOST_OBJECTIVES:
        raise ValueError(
            f"The hypervolume is computed for up to {MOST_OBJECTIVES} objectives, but "
            f"the study has {len(found.objectives)}. Use pareto_front(source)."
        )
    points = found.values * found.signs
    if reference is None:
        worst = points.min(axis=0) if len(points) else np.zeros(len(found.signs))
    else:
        worst = np.asarray(reference, np.float64) * found.signs
    counts = np.linspace(min(1, len(points)), len(points), _CHECKPOINTS)
    trials = np.unique(np.round(counts).astype(np.int64))
    trials = trials[trials > 0]
    return Hypervolumes(
        trials=trials,
        volume=np.asarray([hypervolume(points[:count], worst) for count in trials]),
        reference=worst * found.signs,
    )


def plot_hypervolume(source: Any, *, ax: Axes | None = None) -> Axes:
    """Draws how much of the space of objectives the front dominates, over trials.

    Args:
        source: A study or a result.
        ax: Axes to draw on; those of a new figure by default.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        ValueError: See `hypervolumes`.
    """
    data = hypervolumes(source)
    ax = _style.axes(ax)
    if not data.trials.size:
        _style.say_empty(ax, "No trial is complete")
        return ax
    ax.plot(data.trials, data.volume, color=_style.BLUE, linewidth=2)
    ax.set_ylim(bottom=0.0)
    _style.integer_ticks(ax.xaxis)
    ax.set_xlabel("complete trials")
    ax.set_ylabel("hypervolume")
    _style.title(ax, "Hypervolume of the front", "from the worst values of all trials")
    return ax


def plot_pareto_front(
    source: Any, x: str | None = None, y: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draws the trials by two objectives, the front marked.

    Of two objectives, steps show the fronts after some of the generations, from grey
    (early) to blue (late). Of more, a trial of the front may seem to be dominated in
    the two that are drawn.

    Args:
        source: A study or a result.
        x: The objective along the horizontal axis; the second by default.
        y: That along the vertical axis; the first by default.
        ax: Axes to draw on; those of a new figure by default.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        ValueError: If it has one objective, or none of that name.

    Example:
        >>> report.plot_pareto_front(result)  # doctest: +SKIP
    """
    data = pareto_front(source)
    names = list(data.objectives)
    x, y = x or names[1], y or names[0]
    for name in (x, y):
        if name not in names:
            raise ValueError(
                f"There is no objective {name!r}; there are {', '.join(names)}."
            )
    ax = _style.axes(ax)
    if not data.number.size:
        _style.say_empty(ax, "No trial is complete")
        return ax
    columns = names.index(x), names.index(y)
    for which, column in zip("xy", columns, strict=True):
        _axis(ax, which, data.values[:, column], data.objectives[names[column]])
    if len(names) == 2:
        _fronts(ax, data, columns)
    _points(ax, data, columns)
    ax.set_xlabel(label(x))
    ax.set_ylabel(label(y))
    note = f"{data.objectives[x]} {label(x)}, {data.objectives[y]} {label(y)}"
    _style.title(ax, "Pareto front", note)
    _style.legend(ax)
    return ax


def plot_pareto_fronts(source: Any) -> Figure:
    """A small plot of the trials for each pair of objectives.

    Args:
        source: A study or a result.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        ValueError: If it has one objective.
    """
    pairs = {
        f"{label(a)} and {label(b)}": (b, a)
        for a, b in itertools.combinations(pareto_front(source).objectives, 2)
    }

    def draw(name: str, ax: Axes) -> None:
        plot_pareto_front(source, *pairs[name], ax=ax)
        ax.set_title("", loc="left")
        ax.set_title("", loc="right")
        legend = ax.get_legend()
        if legend is not None:
            legend.remove()

    return small_multiples(list(pairs), draw)


def _axis(ax: Axes, which: str, values: np.ndarray, direction: str) -> None:
    log = _style.wants_log(values, direction)
    ends = float(values.min()), float(values.max())
    low, high = _style.limits(*ends, log=log, room=0.06)
    if log:
        _style.log_ticks(ax, which, low, high)
    ax.set(**{f"{which}lim": (low, high)})


def _points(ax: Axes, data: Front, columns: tuple[int, int]) -> None:
    x, y = data.values[:, columns[0]], data.values[:, columns[1]]
    many = len(x) > _style.RASTER
    ax.scatter(
        *(x, y),
        s=7 if many else 12,
        color=_style.POINT,
        alpha=0.35 if many else 0.5,
        linewidths=0,
        label="trial",
        rasterized=many,
    )
    found = data.is_front
    word = f"front ({int(found.sum()):,})"
    ax.plot(x[found], y[found], "o", **_style.BEST_MARK, markersize=5.5, label=word)


def _fronts(ax: Axes, data: Front, columns: tuple[int, int]) -> None:
    """The fronts of all trials up to some of the generations, as steps."""
    born = np.unique(data.generation)
    places = np.linspace(0, len(born) - 1, _FRONTS).round().astype(int)
    shown = born[np.unique(places)]
    for share, generation in zip(np.linspace(0, 1, len(shown)), shown, strict=True):
        values = data.values[data.generation <= generation]
        front = values[nondominated(values * data.signs)][:, list(columns)]
        front = front[np.argsort(front[:, 0], kind="stable")]
        rises = data.signs[columns[0]] < 0  # what is reached at x holds beyond it
        ax.step(
            *(front[:, 0], front[:, 1]),
            where="post" if rises else "pre",
            color=_style.ramp()(share),
            linewidth=1.0 + share,
            label=f"after gen. {generation}" if generation in shown[[0, -1]] else None,
        )
