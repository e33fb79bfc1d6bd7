"""evotune's algorithms as a sampler of Optuna's studies."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from evotune._contracts import Algorithm
from evotune.integrations._optuna_space import from_distributions, to_distributions
from evotune.space import Space
from evotune.study import Study, Trial, TrialState, create_trial

_POPULATION = 16
_STATES = {
    OptunaState.COMPLETE: TrialState.COMPLETE,
    OptunaState.PRUNED: TrialState.PRUNED,
    OptunaState.FAIL: TrialState.FAIL,
}


class EvotuneSampler(BaseSampler):
    """A sampler for `optuna.create_study` that asks an algorithm of evotune.

    Trials of any other origin are learned from as well: those that a storage had
    before, that other processes run, and that were enqueued. Trials may run at once
    (``n_jobs``): the algorithm knows which are under way.

    Args:
        space: What is searched, as an evotune space without conditions; None takes what
            all finished trials have in common, as Optuna's own samplers do. Then
            the first trial is drawn at random, and so are parameters that only some
            trials have.
        algorithm: Any of `evotune.algorithms` that proposes fresh trials; None is a
            `GeneticAlgorithm` of 16, of which Optuna takes one trial after the other.
        seed: All randomness of the search hangs on it; 0 to 2**32 - 1.

    Raises:
        ValueError: In `optimize`, if the study has several objectives.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> study = optuna.create_study(sampler=EvotuneSampler(seed=1))
        >>> study.optimize(lambda t: t.suggest_float("x", -1.0, 1.0) ** 2, n_trials=60)
        >>> study.best_value < 0.01
        True
    """

    def __init__(
        self,
        space: Space | None = None,
        *,
        algorithm: Algorithm | None = None,
        seed: int = 0,
    ) -> None:
        if algorithm is None:
            from evotune.algorithms import GeneticAlgorithm

            algorithm = GeneticAlgorithm(population_size=_POPULATION)
        self._given = None if space is None else to_distributions(space)
        self._algorithm, self._seed = algorithm, seed
        self._common = IntersectionSearchSpace()
        self._random = RandomSampler(seed)
        self._lock = threading.RLock()
        self._search: Study | None = None
        self._searched: dict[str, BaseDistribution] = {}
        self._open: dict[int, Trial] = {}
        self._known: set[int] = set()

    def reseed_rng(self) -> None:
        """Does nothing to the search: threads share it, under a lock."""
        self._random.reseed_rng()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What is searched together; see Optuna's `BaseSampler`."""
        del trial
        if self._given is not None:
            return self._given
        with self._lock:
            common = self._common.calculate(study)
        return {name: one for name, one in common.items() if not one.single()}

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """The next trial that the algorithm proposes."""
        if not search_space:
            return {}
        if len(study.directions) > 1:
            raise ValueError(
                f"EvotuneSampler searches for one objective, but the study "
                f"{study.study_name!r} has {len(study.directions)}. Use "
                "optuna.samplers.NSGAIISampler()."
            )
        with self._lock:
            search = self._of(study, search_space)
            asked = search.ask()
            self._open[trial.number] = asked
        return dict(asked.params)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random value of a parameter that is not searched with the others."""
        with self._lock:
            return self._random.sample_independent(
                study, trial, param_name, param_distribution
            )

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: OptunaState,
        values: Sequence[float] | None,
    ) -> None:
        """Tells the algorithm what became of a trial that it proposed."""
        del study
        with self._lock:
            asked = self._open.pop(trial.number, None)
            if asked is None or self._search is None:
                return
            if any(trial.params.get(k, v) != v for k, v in asked.params.items()):
                # Enqueued with values of its own: that is learned from as foreign.
                self._search.tell(asked, state=TrialState.FAIL)
                return
            self._known.add(trial.number)
            value = values[0] if values and state is OptunaState.COMPLETE else None
            self._search.tell(asked, value, state=_STATES[state])

    def _of(self, study: optuna.Study, searched: dict[str, BaseDistribution]) -> Study:
        """The search of these dimensions, which has learned of all finished trials."""
        if self._search is None or searched != self._searched:
            self._search = Study(
                from_distributions(searched),
                algorithm=self._algorithm,
                direction=(
                    "maximize"
                    if study.direction == optuna.study.StudyDirection.MAXIMIZE
                    else "minimize"
                ),
                seed=self._seed,
            )
            self._searched, self._known = dict(searched), set()
            self._open.clear()
        complete = (OptunaState.COMPLETE,)
        for trial in study.get_trials(deepcopy=False, states=complete):
            if trial.number in self._known:
                continue
            self._known.add(trial.number)
            if _fits(trial, searched):
                params = {name: trial.params[name] for name in searched}
                self._search.add_trial(create_trial(params=params, value=trial.value))
        return self._search


def _fits(trial: FrozenTrial, searched: dict[str, BaseDistribution]) -> bool:
    """Whether a trial has a value of each dimension, within its range."""
    return all(
        name in trial.params and one._contains(one.to_internal_repr(trial.params[name]))
        for name, one in searched.items()
    )
