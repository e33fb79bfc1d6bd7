"""`Refinement`: what a search in several rounds found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evotune._result import Result
    from evotune.space import Space
    from evotune.study import FrozenTrial
    from evotune.tasks import FittedModel


class Refinement:
    """What `refine` found: the best trial of all rounds, and the result of each.

    Whatever else a `Result` has, such as ``report`` and ``confirm``, each round has:
    ``refinement.best_round.confirm()``.

    Attributes:
        rounds: The results, in order.

    Example:
        >>> import evotune as et
        >>> refined = et.refine(
        ...     et.tasks.Function(lambda hp: hp.x**2),
        ...     et.Space(x=et.Float(-1.0, 1.0)),
        ...     rounds=2,
        ...     n_trials=128,
        ...     progress=False,
        ... )
        >>> [len(result.trials) for result in refined.rounds]
        [64, 64]
    """

    def __init__(self, rounds: Sequence[Result]) -> None:
        """Of the results of all rounds, at least one."""
        self.rounds = tuple(rounds)

    @property
    def best_round(self) -> Result:
        """The result that has the best value, the first one of equals.

        The last one where no trial of any round is complete.
        """
        found = [result for result in self.rounds if _has_best(result)]
        if not found:
            return self.rounds[-1]  # whose `best` says what is wrong
        choose = max if self.direction == "maximize" else min
        return choose(found, key=lambda result: result.best_value)

    @property
    def has_best(self) -> bool:
        """Whether a trial of any round is complete."""
        return any(map(_has_best, self.rounds))

    @property
    def best(self) -> FrozenTrial:
        """The complete trial with the best value; its number is that of its round.

        Raises:
            ValueError: If no trial is complete.
        """
        return self.best_round.best

    @property
    def best_params(self) -> dict[str, Any]:
        """Its active hyperparameters of the first space, those decided since included.

        So it lies in the space of the first round, whichever round found it.
        """
        found = self.best_round
        known = {**found.space.constants, **found.best_params}
        return {name: known[name] for name in self.space if name in known}

    @property
    def best_value(self) -> float:
        """Its value, in the task's direction."""
        return self.best_round.best_value

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """All that the best trial was trained with, constants included."""
        return self.best_round.hyperparameters

    def best_model(self) -> FittedModel:
        """The best network of all rounds; see `Result.best_model`."""
        return self.best_round.best_model()

    def test_metrics(self) -> dict[str, float]:
        """Scores of the best model on the test split; see `Result.test_metrics`."""
        return self.best_round.test_metrics()

    @property
    def space(self) -> Space:
        """What the first round searched; ``rounds[k].space`` has that of the others."""
        return self.rounds[0].space

    @property
    def direction(self) -> str:
        """Either "maximize" or "minimize"."""
        return self.rounds[0].direction

    @property
    def metric(self) -> str:
        """The name of what `best_value` is, such as "val_accuracy"."""
        return self.rounds[0].metric

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of all rounds: "compile", "train", "search" and "total"."""
        return {
            name: sum(result.seconds[name] for result in self.rounds)
            for name in self.rounds[0].seconds
        }

    def __repr__(self) -> str:
        trials = sum(len(result.trials) for result in self.rounds)
        lines = [f"Refinement: {trials} trials in {len(self.rounds)} rounds"]
        for number, result in enumerate(self.rounds, 1):
            best = f"{result.best_value:.6g}" if _has_best(result) else "none complete"
            lines.append(
                f"  round {number}: {len(result.trials)} trials, best {self.metric} "
                f"{best}"
            )
        if not self.has_best:
            return "\n".join(lines)
        lines.append(f"  best {self.metric} {self.best_value:.6g}:")
        params = self.best_params
        width = max(map(len, params), default=0)
        for name, value in params.items():
            shown = f"{value:.6g}" if isinstance(value, float) else repr(value)
            lines.append(f"    {name:{width}}  {shown}")
        return "\n".join(lines)


def _has_best(result: Result) -> bool:
    return any(trial.state.name == "COMPLETE" for trial in result.trials)
