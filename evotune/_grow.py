"""`grow`: how many units and layers a network needs, found layer by layer."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from evotune._confirmation import scores_on_test, train_replicas
from evotune._errors import (
    AllDivergedError,
    HyperparameterError,
    check_one_objective,
)
from evotune._growth import GrownNetwork, Growth, GrowthRound
from evotune._growth_rules import judged
from evotune._sizing import Sizing, check_arguments, fixed_settings, sizing_of

if TYPE_CHECKING:
    from evotune.engine import Engine
    from evotune.space import Space
    from evotune.tasks import Task

_SEEDS = 2 << 32
"""Added to the seed: neither a search nor `Result.confirm` ever draws from the sum."""


def grow(
    task: Task,
    space: Space | Mapping[str, Any],
    *,
    widths: Sequence[int] = (4, 8, 16, 32, 64, 128),
    seeds: int = 5,
    max_depth: int = 4,
    size: str | None = None,
    width_errors: float = 1.0,
    layer_errors: float = 2.0,
    min_delta: float = 0.0,
    patience: int = 1,
    seed: int = 0,
    value: Literal["last", "best"] = "last",
    progress: bool = True,
) -> Growth:
    """Sizes a network layer by layer, until validation stops to improve.

    Each round trains all ``widths`` of one layer, on ``seeds`` seeds each, as one
    population in one program, and keeps the narrowest whose mean is within one standard
    error of the best. The next round puts a layer on top of it. A layer stays if it
    improves the mean by more than the noise of ``layer_errors`` standard errors of the
    difference; the first one is always kept.

    Layers of `et.models.MLP` have widths of their own, ``width_0`` and on, and those
    below stay as they were chosen. Other models have one width for all of their layers
    (``channels`` of convolutional ones, else ``width``), which is chosen anew at each
    depth. In a model of one's own, sizes that do not trace need a program for each
    width. The noise is that over seeds: it says nothing of how few examples the
    validation split has, and test scores are the ones to report.

    Args:
        task: What is trained: a task that has a model.
        space: All other hyperparameters, as plain values: a mapping, such as
            ``result.hyperparameters`` of a search. Sizes among them are replaced; a
            `Space` is taken where it searches nothing but these.
        widths: Units to try in each layer, ascending; two or more.
        seeds: Trainings of each network, at least 1. With one, nothing is known of the
            noise, and the best value wins.
        max_depth: Most layers.
        size: The hyperparameter that ``widths`` are of; None for the model's own, as
            above.
        width_errors: Standard errors of the best mean that a narrower layer may be
            worse.
        layer_errors: Standard errors of the difference that another layer has to gain.
            Where layers change nothing, 5 seeds of 6 widths with normal noise add a
            second one in 2 % of simulated cases (13 % with 1.0).
        min_delta: The least gain that is worth a layer, in units of the metric.
        patience: Layers in a row without a gain after which to stop.
        seed: All randomness hangs on it; 0 to 2**32 - 1.
        value: Whether a training's value is its "last" evaluation or its "best" one.
        progress: Whether to print a line after each round.

    Returns:
        The table of everything tried, the chosen hyperparameters, and their network.

    Raises:
        HyperparameterError: If the model has no such size, a setting is searched, or an
            argument breaks its rule. Nothing was compiled.
        TypeError: If the task has no model. Nothing was compiled.
        AllDivergedError: If each width of the first layer diverged on some seed.

    Reference:
        Ash (1989), Dynamic node creation in backpropagation networks; Fahlman, Lebiere
        (1990), The cascade-correlation learning architecture. Differs from both: no
        weight of a smaller network is kept or frozen, every candidate is trained from
        its own start; and sizes are tried side by side, not one unit after the other.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Classification(et.datasets.wine())
        >>> grown = et.grow(
        ...     task,
        ...     {"learning_rate": 0.02, "epochs": 10},
        ...     widths=[1, 4, 8],
        ...     max_depth=2,
        ...     progress=False,
        ... )
        >>> grown.params["width_0"] > 1
        True
        >>> module, variables = grown.model
    """
    check_one_objective(getattr(task, "objectives", ()), "grow()")
    check_arguments(
        widths=widths,
        counts={"seeds": seeds, "max_depth": max_depth, "patience": patience},
        amounts={
            "width_errors": width_errors,
            "layer_errors": layer_errors,
            "min_delta": min_delta,
        },
        seed=seed,
    )
    whole = tuple(int(width) for width in widths)
    sizing = sizing_of(task, size=size, widths=whole, max_depth=max_depth)
    settings = fixed_settings(space, sizing)
    grower = _Grower(task, sizing, settings, seeds=seeds, seed=seed, value=value)
    grower.check(max_depth)
    rounds: list[GrowthRound] = []
    states: dict[GrownNetwork, list[Any]] = {}  # of the network that is kept
    below: tuple[int, ...] = ()
    while len(rounds) < max_depth and not _stalled(rounds, patience):
        trained = grower.train(below)
        grown = judged(
            list(trained),
            next(iter(states), None),
            sign=1.0 if task.direction == "maximize" else -1.0,
            width_errors=width_errors,
            layer_errors=layer_errors,
            min_delta=min_delta,
        )
        rounds.append(grown)
        if progress:
            print(f"{grown} ({task.metric})", file=sys.stderr, flush=True)
        if grown.chosen is None:
            break
        if grown.added:
            states = {grown.chosen: trained[grown.chosen]}
        below = (*below, grown.chosen.sizes[sizing.varied(below)])
    for chosen, replicas in states.items():
        return grower.result(rounds, chosen, replicas)
    raise AllDivergedError(
        f"Each of the widths {list(whole)} diverged on some of {seeds} seeds, so there "
        "is nothing to grow. Lower the learning rate: `et.lr_range_test(task)` "
        "suggests one."
    )


def _stalled(rounds: Sequence[GrowthRound], patience: int) -> bool:
    """Whether the last ``patience`` layers brought nothing."""
    last = rounds[-patience:]
    return len(last) == patience and not any(grown.added for grown in last)


class _Grower:
    """Trains the networks of a round, and sums up at the end."""

    def __init__(
        self,
        task: Any,
        sizing: Sizing,
        settings: Mapping[str, Any],
        *,
        seeds: int,
        seed: int,
        value: Literal["last", "best"],
    ):
        self._task, self._sizing, self._settings = task, sizing, settings
        self._seeds = seeds
        self._options: dict[str, Any] = {"seed": int(seed) + _SEEDS, "value": value}
        self._engines: list[Engine] = []

    def check(self, max_depth: int) -> None:
        """Raises what the deepest round would raise; compiles nothing."""
        try:
            self._engine((self._sizing.widths[0],) * (max_depth - 1))
        except HyperparameterError as error:
            names = tuple(self._sizing.sizes((), 1))
            if any(repr(name) in str(error) for name in names):
                error.add_note(
                    f"grow() sets {' and '.join(names)} of the model; `size=` names "
                    "another width, `max_depth=1` leaves the depth alone."
                )
            raise

    def train(self, below: Sequence[int]) -> dict[GrownNetwork, list[Any]]:
        """Each width of one more layer, the narrowest first, with its S states."""
        engine, widths = self._engine(below), self._sizing.widths
        name = self._sizing.varied(below)
        # As in a study, no number stands for two networks, so no two share draws.
        numbers = np.arange(len(widths), dtype=np.int32) + len(below) * len(widths)
        x = engine.space.encode([{name: width} for width in widths])
        values, states = train_replicas(engine, numbers, x, self._seeds)
        self._engines.append(engine)
        return {
            self._network(self._sizing.sizes(below, width), scores): [
                states[number, replica] for replica in range(self._seeds)
            ]
            for number, width, scores in zip(
                numbers.tolist(), widths, values, strict=True
            )
        }

    def result(
        self, rounds: Sequence[GrowthRound], chosen: GrownNetwork, states: list[Any]
    ) -> Growth:
        """What the rounds found."""
        params = {**self._settings, **chosen.sizes}
        return Growth(
            rounds=rounds,
            chosen=chosen,
            params=params,
            test_metrics=scores_on_test(self._engines[0], params, states),
            metric=self._task.metric,
            programs=sum(len(engine.plan.programs) for engine in self._engines),
            model=self._task.export(params, states[0]),
        )

    def _engine(self, below: Sequence[int]) -> Engine:
        from evotune.engine import Engine

        members = len(self._sizing.widths) * self._seeds
        return Engine(
            self._task,
            self._sizing.space(self._settings, below),
            rows=members,
            trainings=members,
            max_programs=1,
            **self._options,
        )

    def _network(self, sizes: Mapping[str, int], values: np.ndarray) -> GrownNetwork:
        from evotune.models import parameter_count

        params = {**self._settings, **sizes}
        count = parameter_count(self._task.model, params, self._task)
        return GrownNetwork(sizes=sizes, values=values, parameters=count)
