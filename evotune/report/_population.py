"""Where the population went: each hyperparameter, generation by generation."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune.report import _grid, _style
from evotune.report._records import Record, generations, read, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ParameterByGeneration:
    """One hyperparameter of the complete trials in which it was active.

    Attributes:
        name: The hyperparameter.
        choices: The values of a categorical one, in order; () for numbers.
        is_log: Whether it is searched on the logarithmic scale.
        generation: i64[N] generations.
        value: f64[N] values, or i64[N] positions in ``choices``.
        rank: f64[N] from 0 for the worst complete trial of the study to 1.
        generations: i64[G] the generations that occur, ascending.
        share: f64[G, C] share of each choice in each generation; [G, 0] for numbers.
        quartiles: f64[G, 3] lower quartile, median, upper quartile; [0, 3] for choices.
        best_value: That of the best trial, or None where it was not active there.
        is_int: Whether it is a whole number.
        bounds: The bounds of a number: of the space, else as seen.
        span: First and last generation of the study's complete trials.
        note: What its numbers are, where that is not plain.
    """

    name: str
    choices: tuple[Any, ...]
    is_log: bool
    generation: np.ndarray
    value: np.ndarray
    rank: np.ndarray
    generations: np.ndarray
    share: np.ndarray
    quartiles: np.ndarray
    best_value: Any
    is_int: bool
    bounds: tuple[float, float]
    span: tuple[int, int]
    note: str


def parameter_by_generation(source: Any, name: str) -> ParameterByGeneration:
    """The values of one hyperparameter by generation, with shares or quartiles.

    Raises:
        ValueError: If there is no such hyperparameter.
    """
    record = read(source)
    trials = record.having(name)
    choices = record.choices(name) if record.is_categorical(name) else ()
    born = generations(trials)
    every = generations(record.complete)
    value = values_of(record, name)
    found = np.unique(born)
    share = np.zeros((len(found), len(choices)))
    quartiles = np.zeros((0, 3))
    if choices:
        for row, generation in enumerate(found):
            counts = np.bincount(value[born == generation], minlength=len(choices))
            share[row] = counts / counts.sum()
    else:
        levels = (0.25, 0.5, 0.75)
        quartiles = np.asarray(
            [np.quantile(value[born == generation], levels) for generation in found]
        ).reshape(-1, 3)
    return ParameterByGeneration(
        name=name,
        choices=choices,
        is_log=record.is_log(name),
        generation=born,
        value=value,
        rank=ranks_of(record, name),
        generations=found,
        share=share,
        quartiles=quartiles,
        best_value=_best_value(record, name),
        is_int=record.is_int(name),
        bounds=record.bounds(name),
        span=(int(every.min()), int(every.max())) if every.size else (0, 0),
        note=record.note(name),
    )


def plot_parameter_by_generation(
    source: Any, name: str, *, ax: Axes | None = None
) -> Axes:
    """Draws the distribution of one hyperparameter over the generations.

    Numbers: every member, good ones blue, with the median and the middle half of each
    generation. Choices: the share of each in each generation. The best trial's value is
    marked at the right.

    Args:
        source: A study or a result.
        name: The hyperparameter.
        ax: Axes to draw on; those of a new figure by default.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        ValueError: If there is no such hyperparameter.

    Example:
        >>> plot_parameter_by_generation(result, "learning_rate")  # doctest: +SKIP
    """
    data = parameter_by_generation(source, name)
    ax = _style.axes(ax)
    _style.title(ax, name, data.note)
    if not data.generations.size:
        _style.say_empty(ax, f"{name}: never active in a complete trial")
        return ax
    if data.choices:
        _shares(ax, data)
    else:
        _spread(ax, data)
    ax.set_xlim(data.span[0] - 0.6, data.span[1] + 0.6)
    _style.integer_ticks(ax.xaxis)
    ax.set_xlabel("generation")
    return ax


def plot_population(source: Any) -> Figure:
    """All hyperparameters by generation, as small multiples.

    Args:
        source: A study or a result.

    Returns:
        A new figure.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    record = read(source)
    return _grid.small_multiples(
        record.names, lambda name, ax: plot_parameter_by_generation(source, name, ax=ax)
    )


def values_of(record: Record, name: str) -> np.ndarray:
    """f64[N] values, or i64[N] positions among the choices, where active.

    Of orders the pairs that they reverse from the best one.
    """
    values = record.numbers_of(name)
    if not record.is_categorical(name):
        return np.asarray(values, np.float64)
    place = {repr(choice): i for i, choice in enumerate(record.choices(name))}
    return np.asarray([place[repr(value)] for value in values], np.int64)


def _best_value(record: Record, name: str) -> Any:
    """The best trial's value of a parameter; None where it is not active in it."""
    found = None if record.best is None else record.best.params.get(name)
    return 0 if record.is_order(name) and found is not None else found


def ranks_of(record: Record, name: str) -> np.ndarray:
    """f64[N] ranks within the whole study, of the trials where active."""
    active = [name in trial.params for trial in record.complete]
    return record.ranks[np.asarray(active, dtype=bool)]


def _spread(ax: Axes, data: ParameterByGeneration) -> None:
    few = data.is_int and not data.is_log and data.bounds[1] - data.bounds[0] <= 12
    low, high = _style.limits(*data.bounds, log=data.is_log, room=0.06)
    if data.is_log:
        _style.log_ticks(ax, "y", low, high)
    elif data.is_int:
        _style.integer_ticks(ax.yaxis)
    ax.set_ylim(low, high)
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(data.value))
    shaken = data.value + 0.4 * jitter[::-1] if few else data.value
    order = np.argsort(data.rank, kind="stable")  # good ones on top
    many = len(data.value) > _style.RASTER_SMALL
    ax.scatter(
        (data.generation + jitter)[order],
        shaken[order],
        c=data.rank[order],
        cmap=_style.ramp(),
        vmin=0,
        vmax=1,
        s=8 if len(data.value) < _style.RASTER else 4,
        alpha=0.5 if many else 0.75,
        linewidths=0,
        rasterized=many,
    )
    if len(data.generations) > 1:
        lower, middle, upper = data.quartiles.T
        ax.fill_between(
            data.generations, lower, upper, color=_style.BLUE, alpha=0.16, linewidth=0
        )
        ax.plot(data.generations, middle, color=_style.BLUE, linewidth=1.8)
    if data.best_value is not None:
        edge = data.span[1] + 0.6
        ax.plot(
            edge,
            data.best_value,
            "<",
            **_style.BEST_MARK,
            markersize=7.5,
            clip_on=False,
        )


def _shares(ax: Axes, data: ParameterByGeneration) -> None:
    ax.grid(visible=False)
    floor = np.zeros(len(data.generations))
    width = 0.86 if len(data.generations) <= 40 else 1.0
    for i, choice in enumerate(data.choices):
        color = _style.CHOICES[i % len(_style.CHOICES)]
        ax.bar(
            data.generations,
            data.share[:, i],
            width,
            bottom=floor,
            color=color,
            alpha=0.8,
            linewidth=0,
            label=text(choice),
        )
        floor = floor + data.share[:, i]
    ax.set_ylim(0, 1)
    ax.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    best = "" if data.best_value is None else f"best: {text(data.best_value)}"
    ax.set_title(best, loc="right", fontsize=7.5, color=_style.BEST)
    handles, labels = ax.get_legend_handles_labels()
    _style.legend(
        ax,
        handles=handles[::-1],
        labels=labels[::-1],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        ncols=1,
        fontsize=7.5,
        handlelength=0.9,
        handleheight=0.9,
    )
