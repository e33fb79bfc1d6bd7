"""Optuna's samplers as an algorithm of evotune."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from evotune._contracts import EMPTY, Geometry, Outcome, Proposal, Status, fresh
from evotune._errors import count_problems, nearest, raise_all
from evotune.algorithms import canonicalise
from evotune.integrations._optuna_axes import axis, coordinate_of, value_of

_STATES = {
    Status.RUNNING: TrialState.RUNNING,
    Status.COMPLETE: TrialState.COMPLETE,
    Status.PRUNED: TrialState.PRUNED,
    Status.DIVERGED: TrialState.PRUNED,
    Status.FAILED: TrialState.FAIL,
}
"""What samplers are told: PRUNED is worse than any value, FAIL says nothing."""

_WITH_STATE = (
    "CmaEsSampler",
    "GridSampler",
    "NSGAIISampler",
    "NSGAIIISampler",
    "PartialFixedSampler",
    "QMCSampler",
)
_SAMPLERS = ("TPESampler", "GPSampler", "RandomSampler", "BruteForceSampler")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptunaState:
    """What is told to the sampler anew at every `ask`.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        trial: i32[N] numbers of the newest trials, newest first; EMPTY places last.
        x: f32[N, D] their points.
        fitness: f32[N].
        status: i32[N].
    """

    geometry: Geometry
    next_trial: jax.Array
    trial: jax.Array
    x: jax.Array
    fitness: jax.Array
    status: jax.Array


jax.tree_util.register_dataclass(
    OptunaState, ["next_trial", "trial", "x", "fitness", "status"], ["geometry"]
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptunaSearch:
    """Asks a sampler of Optuna for whole generations, to be trained at once.

    Each `ask` makes a study of Optuna's in memory, of all trials so far, those under
    way included, and asks the sampler for as many trials as there are rows; while it
    does, the rows before are trials under way. Parameters enter as the unit cube sees
    them: continuous ones from 0 to 1 (log scales are straight there), discrete ones as
    numbers of levels, unordered ones as categories. Optuna takes all dimensions as
    active; what a condition switches off is set to rest afterwards.

    So the sampler must live on the trials alone. Those that keep a state of their own
    between calls (CMA-ES, NSGA-II, quasi-random ones, grids) are refused: evotune has
    them as `algorithms.CMAES`, `algorithms.QuasiRandomSearch`, `GridSearch`.

    Args:
        sampler: The name of a class in `optuna.samplers`, or a function that makes a
            sampler of ``seed=`` (an integer) and ``settings``.
        settings: Further arguments of the sampler, such as ``{"multivariate": True}``.
            "TPESampler" has ``constant_liar=True`` unless they say otherwise, without
            which a batch is many times the same trial.
        batch_size: P, rows of every proposal.
        trials: N, the newest trials that the sampler is told.

    Raises:
        ValueError: If the sampler is not known or keeps a state, or a number is not
            positive; all problems are listed.

    Example:
        >>> import evotune as et
        >>> search = OptunaSearch(sampler="TPESampler", batch_size=8)
        >>> study = et.Study(et.Space(x=et.Float(-1.0, 1.0)), algorithm=search)
        >>> len(study.ask(8))
        8

    Reference:
        Akiba et al. (2019), "Optuna: a next-generation hyperparameter optimization
        framework".
    """

    sampler: str | Callable[..., BaseSampler] = "TPESampler"
    settings: Mapping[str, Any] | tuple[tuple[str, Any], ...] = ()
    batch_size: int = 16
    trials: int = 4096

    def __post_init__(self) -> None:
        given = dict(self.settings)
        if self.sampler == "TPESampler":
            given.setdefault("constant_liar", True)
        object.__setattr__(self, "settings", tuple(sorted(given.items())))
        problems = count_problems(
            "OptunaSearch(batch_size=16)",
            batch_size=self.batch_size,
            trials=self.trials,
        )
        raise_all([*problems, *self._sampler_problems()], ValueError, "OptunaSearch")

    def _sampler_problems(self) -> list[str]:
        name = getattr(self.sampler, "__name__", self.sampler)
        if name in _WITH_STATE:
            return [
                f"sampler={name!r} keeps a state between calls that the trials alone "
                f"do not tell. Use one of {list(_SAMPLERS)}, or a search of evotune."
            ]
        if isinstance(self.sampler, str) and not hasattr(optuna.samplers, self.sampler):
            return [
                f"sampler must be the name of a class in optuna.samplers, but got "
                f"{self.sampler!r}.{nearest(self.sampler, _SAMPLERS)}"
            ]
        return []

    def init(self, key: jax.Array, geometry: Geometry) -> OptunaState:
        """The state before anything is known.

        Args:
            key: Consumed; nothing is drawn from it.
            geometry: The space.
        """
        del key
        return OptunaState(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            trial=jnp.full((self.trials,), EMPTY, jnp.int32),
            x=jnp.full((self.trials, geometry.dimensions), 0.5, jnp.float32),
            fitness=jnp.full((self.trials,), -jnp.inf, jnp.float32),
            status=jnp.full((self.trials,), Status.FAILED, jnp.int32),
        )

    def ask(self, key: jax.Array, state: OptunaState) -> Proposal:
        """The trials that the sampler suggests, one after the other.

        Args:
            key: Consumed; it seeds the sampler.
            state: Only read.
        """
        geometry = state.geometry

        def suggest(*told: Any) -> np.ndarray:
            return self._suggest(geometry, *map(np.asarray, told))

        # The counter goes in, so that a second ask with one key differs.
        seed = jax.random.bits(jax.random.fold_in(key, state.next_trial))
        shape = (self.batch_size, geometry.dimensions)
        x = jax.pure_callback(
            suggest,
            jax.ShapeDtypeStruct(shape, jnp.float32),
            *(seed, state.trial, state.x, state.fitness, state.status),
            vmap_method="sequential",
        )
        numbers = state.next_trial + jnp.arange(self.batch_size, dtype=jnp.int32)
        return fresh(canonicalise(x, geometry), numbers)

    def tell(self, state: OptunaState, outcome: Outcome) -> OptunaState:
        """The state that knows ``outcome``.

        Args:
            state: The state before.
            outcome: Any rows, in any order. The first objective counts.
        """
        fitness = outcome.fitness[:, 0]
        feasible = (outcome.constraints <= 0.0).all(axis=1) & jnp.isfinite(fitness)
        bad = (outcome.status == Status.COMPLETE) & ~feasible
        status = jnp.where(bad, Status.DIVERGED, outcome.status)
        trial = jnp.concatenate([state.trial, outcome.trial])
        place = jnp.arange(trial.shape[0])
        later = (trial[None] == trial[:, None]) & (place[None] > place[:, None])
        trial = jnp.where(later.any(axis=1), EMPTY, trial)
        order = jnp.argsort(-trial)[: self.trials]
        x = canonicalise(outcome.x, state.geometry)
        kept = trial[order] != EMPTY
        empty = self.init(jax.random.key(0), state.geometry)
        return dataclasses.replace(
            state,
            next_trial=jnp.maximum(state.next_trial, jnp.max(outcome.trial) + 1),
            trial=trial[order],
            x=jnp.where(kept[:, None], jnp.concatenate([state.x, x])[order], empty.x),
            fitness=jnp.where(
                kept, jnp.concatenate([state.fitness, fitness])[order], empty.fitness
            ),
            status=jnp.where(
                kept, jnp.concatenate([state.status, status])[order], empty.status
            ),
        )

    def _suggest(
        self,
        geometry: Geometry,
        seed: np.ndarray,
        trial: np.ndarray,
        x: np.ndarray,
        fitness: np.ndarray,
        status: np.ndarray,
    ) -> np.ndarray:
        """f32[P, D]: a study of Optuna's, told all, is asked P times."""
        axes = {f"x{d}": axis(geometry, d) for d in range(geometry.dimensions)}
        with _quiet():
            sampler = self._make(int(seed))
            study = optuna.create_study(sampler=sampler, direction="maximize")
        for row in np.argsort(trial)[np.sum(trial == EMPTY) :]:
            state = _STATES[Status(int(status[row]))]
            point = {
                name: value_of(geometry, d, float(x[row, d]))
                for d, name in enumerate(axes)
            }
            complete = state is TrialState.COMPLETE
            study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    params=point,
                    distributions=axes,
                    value=float(fitness[row]) if complete else None,
                )
            )
        rows = []
        for _ in range(self.batch_size):
            params = list(study.ask(axes).params.values())
            rows.append([coordinate_of(geometry, *pair) for pair in enumerate(params)])
        return np.asarray(rows, np.float32)

    def _make(self, seed: int) -> BaseSampler:
        make: Any = self.sampler
        if isinstance(make, str):
            make = getattr(optuna.samplers, make)
        settings = dict(self.settings)
        if "seed" in inspect.signature(make).parameters:
            settings["seed"] = seed
        sampler: BaseSampler = make(**settings)
        return sampler


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's log, and its warnings of what is experimental."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
