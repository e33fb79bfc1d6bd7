"""`Confirmation`: the leading trials trained again on fresh seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune._errors import (
    HyperparameterError,
    check_one_objective,
    count_problems,
    raise_all,
)
from evotune._statistics import probability_of_best, standard_error

if TYPE_CHECKING:
    from evotune.engine import Engine
    from evotune.study import FrozenTrial, Study

_FRESH = 1 << 32
"""Added to a study's seed, which is below it: no search ever draws from the sum."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfirmedTrial:
    """One configuration, trained again on S fresh seeds.

    Attributes:
        number: The trial's number in the search.
        params: Its searched hyperparameters.
        searched: Its value in the search, which chose it and so flatters it; the mean
            of its repeats, where it had some.
        values: f64[S] value on each seed, in the task's direction; NaN where it
            diverged.
        probability: That its mean over all seeds is the best of those confirmed.
        direction: "maximize" or "minimize", of the values.
    """

    number: int
    params: Mapping[str, Any]
    searched: float
    values: np.ndarray
    probability: float
    direction: str = "maximize"

    @property
    def optimism(self) -> float:
        """How much better it scored in the search than on the fresh seeds.

        The value in the search minus `mean`, in the task's metric, or the negative of
        that where it is minimised; above 0 the search has flattered the trial.
        """
        gap = self.searched - self.mean
        return gap if self.direction == "maximize" else -gap

    @property
    def mean(self) -> float:
        """Mean over the seeds; NaN if any diverged."""
        return float(np.mean(self.values))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the mean, by Student's t with S - 1 degrees."""
        from scipy import stats

        if len(self.values) < 2:
            return (float("nan"), float("nan"))
        freedom = len(self.values) - 1
        half = float(stats.t.ppf(0.975, freedom)) * standard_error(self.values)
        return (self.mean - half, self.mean + half)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confirmation:
    """What fresh seeds say about the leading trials of a search; `Result.confirm`.

    Attributes:
        trials: Best mean first; one that diverged on a seed comes last.
        test_metrics: f64[S] by name: scores of the best one's networks on the test
            split, one a seed; empty without a test split.
        metric: What the values are, such as "val_accuracy".
        winner: The one that won the search, wherever it stands now.
    """

    trials: Sequence[ConfirmedTrial]
    test_metrics: Mapping[str, np.ndarray]
    metric: str
    winner: ConfirmedTrial

    @property
    def optimism(self) -> float:
        """How much better the search's winner scored there than on fresh seeds.

        See `ConfirmedTrial.optimism`; its standard error is that of the winner's mean.
        """
        return self.winner.optimism

    @property
    def verdict(self) -> str:
        """The best trial, its mean, and the optimism of the winner, in a line."""
        low, high = self.best.interval
        return (
            f"trial {self.best.number} has {self.metric} {self.best.mean:.6g} "
            f"({low:.6g} to {high:.6g}) on {len(self.best.values)} fresh seeds; "
            f"{self._optimism_text}"
        )

    @property
    def _optimism_text(self) -> str:
        error = standard_error(self.winner.values)
        return (
            f"optimism of the search's winner, trial {self.winner.number}: "
            f"{self.optimism:.3g} (standard error {error:.2g})"
        )

    @property
    def best(self) -> ConfirmedTrial:
        """The configuration with the best mean."""
        return self.trials[0]

    def __repr__(self) -> str:
        seeds = len(self.best.values)
        lines = [f"Confirmation: {self.metric} on {seeds} fresh seeds"]
        for trial in self.trials:
            low, high = trial.interval
            lines.append(
                f"  trial {trial.number}: {trial.mean:.6g} ({low:.6g} to {high:.6g}), "
                f"searched {trial.searched:.6g}, best with probability "
                f"{trial.probability:.2f}"
            )
        lines.append(f"  {self._optimism_text}")
        lines += [
            f"  {name} of the best: {np.mean(scores):.6g} "
            f"({np.min(scores):.6g} to {np.max(scores):.6g})"
            for name, scores in self.test_metrics.items()
        ]
        return "\n".join(lines)


def confirm(study: Study, engine: Engine, *, top_k: int, seeds: int) -> Confirmation:
    """See `Result.confirm`.

    Args:
        study: Where the trials are.
        engine: The search's own; its programs are used again.
        top_k: Trials to confirm.
        seeds: Trainings of each.
    """
    fix = "Use `result.confirm(top_k=5, seeds=5)`."
    problems = count_problems(fix, top_k=top_k, seeds=seeds)
    raise_all(problems, HyperparameterError, "confirm()")
    check_one_objective(study.directions, "confirm()")
    leading = _leading(study, top_k)
    numbers = np.asarray([trial.number for trial in leading], np.int32)
    x = np.stack([study.coordinates(number) for number in numbers.tolist()])
    fresh_engine = engine.reseeded(study.seed + _FRESH)
    values, states = train_replicas(fresh_engine, numbers, x, seeds)
    sign = 1.0 if study.direction == "maximize" else -1.0
    chances = probability_of_best(sign * values)
    confirmed = [
        ConfirmedTrial(
            number=trial.number,
            params=trial.params,
            searched=float(trial.value or 0.0),
            values=values[row],
            probability=float(chances[row]),
            direction=study.direction,
        )
        for row, trial in enumerate(leading)
    ]
    order = np.argsort(-sign * np.mean(values, axis=1), kind="stable")  # NaN comes last
    winner = leading[int(order[0])]
    mine = [states[winner.number, replica] for replica in range(seeds)]
    return Confirmation(
        trials=[confirmed[row] for row in order],
        test_metrics=scores_on_test(engine, winner.params, mine),
        metric=engine.metric,
        winner=confirmed[0],
    )


def _leading(study: Study, count: int) -> list[FrozenTrial]:
    """The best complete trials, the best one first."""
    best = study.best_trial  # raises where none is complete
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    sign = -1.0 if study.direction == "maximize" else 1.0
    complete.sort(key=lambda trial: (sign * (trial.value or 0.0), trial.number))
    return [best, *(trial for trial in complete if trial.number != best.number)][:count]


def train_replicas(
    engine: Engine, numbers: np.ndarray, x: np.ndarray, seeds: int
) -> tuple[np.ndarray, dict[tuple[int, int], Any]]:
    """Trains every one of K configurations ``seeds`` times.

    Args:
        engine: What trains them; its seed, a number and a replica make the draws.
        numbers: i32[K] trial numbers, none twice.
        x: f32[K, D] the configurations, in the unit cube of the engine's space.
        seeds: S, replicas of each.

    Returns:
        f64[K, S] values, NaN where one diverged, and all final states, by trial number
        and replica.
    """
    import jax.numpy as jnp

    from evotune._contracts import EMPTY, fresh

    values = np.full((len(numbers), seeds), np.nan)
    states: dict[tuple[int, int], Any] = {}
    for start in range(0, values.size, engine.rows):
        # Padded to one length, so that nothing compiles for the last part.
        members = np.arange(start, start + engine.rows)
        row, seed = np.divmod(np.minimum(members, values.size - 1), seeds)
        trial = np.where(members < values.size, numbers[row], EMPTY)
        engine.submit(fresh(jnp.asarray(x[row]), jnp.asarray(trial), jnp.asarray(seed)))
        while engine.pending:
            finished = engine.collect()
            outcome, found = finished.outcome, np.asarray(finished.values, np.float64)
            for member in np.flatnonzero(np.asarray(outcome.trial) != EMPTY):
                key = int(outcome.trial[member]), int(outcome.replica[member])
                values[np.flatnonzero(numbers == key[0])[0], key[1]] = found[member]
                states[key] = engine.member(*key)
    return values, states


def scores_on_test(
    engine: Engine, params: Mapping[str, Any], states: Sequence[Any]
) -> dict[str, np.ndarray]:
    """f64[S] by name: scores on the test split of S trainings of ``params``."""
    tested = engine.test(params, states)
    return {name: np.asarray([scores[name] for scores in tested]) for name in tested[0]}
