"""A trust region: its size follows success and failure, and it starts again."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Outcome, Status
from evotune._errors import raise_all
from evotune.algorithms._notes import Notes, look_up, no_notes, noted
from evotune.algorithms._population import score, told_trials
from evotune.algorithms._settings import count_problem, range_problem

ROUNDS = 4
"""Rounds of results that wait for one before them to be complete."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Region:
    """Where the search is, and how it fared there.

    Attributes:
        length: f32[], of a side, before the sides are stretched.
        successes: i32[], rounds in a row that improved on the best.
        failures: i32[], rounds in a row that did not.
        best: f32[], the best fitness in closed rounds; -inf before there is any.
        start: i32[], the first trial of this region; those before it do not count.
        round: i32[], the first round that is not closed; trial t is of round t // P.
        asked: i32[ROUNDS * P], the newest trials that were told as RUNNING.
        results: f32[ROUNDS * P, 1] fitness of the trials that wait for their round.
    """

    length: jax.Array
    successes: jax.Array
    failures: jax.Array
    best: jax.Array
    start: jax.Array
    round: jax.Array
    asked: jax.Array
    results: Notes


jax.tree_util.register_dataclass(
    Region,
    ["length", "successes", "failures", "best", "start", "round", "asked", "results"],
    [],
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrustRegion:
    """A box about the best trial, for spaces of many dimensions.

    Its sides are in proportion to the length scales of their dimensions. After some
    rounds in a row that improved on the best trial its length doubles, after some that
    did not it halves; where it becomes too small the search starts again, and forgets
    what was before. Along levels the box holds the neighbours, at least; a category is
    another with a chance of ``length``.

    A round are P trials with consecutive numbers. It counts once all of them have
    ended, and rounds count in their order, whenever results come; one that is not
    complete when four later ones have begun is passed over. Trials that somebody else
    ran are neither success nor failure.

    Args:
        initial: The length to begin with, in unit-cube lengths.
        smallest: The length below which the search starts again.
        largest: The largest length.
        successes: Rounds that double it.
        failures: Rounds that halve it; max(4, D) / P if None, rounded up.

    Raises:
        ValueError: If a setting is out of range; all problems are listed.

    Example:
        >>> TrustRegion(failures=3).rounds_to_shrink(dimensions=20, size=4)
        3
        >>> TrustRegion().rounds_to_shrink(dimensions=20, size=4)
        5

    Reference:
        Eriksson et al. (2019), "Scalable global optimization via local Bayesian
        optimization", TuRBO-1. Differs from the paper: candidates are a Latin
        hypercube, not Sobol points; any improvement is a success; levels, categories
        and rounds are treated as told above.
    """

    initial: float = 0.8
    smallest: float = 2.0**-7
    largest: float = 1.6
    successes: int = 3
    failures: int | None = None

    def __post_init__(self) -> None:
        problems = range_problem("smallest", self.smallest, 1e-6, 1, "0.0078125")
        problems += range_problem("largest", self.largest, 1e-6, 2, "1.6")
        problems += count_problem("successes", self.successes, 1, "to grow after")
        if self.failures is not None:
            problems += count_problem("failures", self.failures, 1, "to shrink after")
        if not problems:
            problems += range_problem(
                "initial", self.initial, self.smallest, self.largest, "0.8"
            )
        raise_all(problems, ValueError, "TrustRegion")

    def rounds_to_shrink(self, dimensions: int, size: int) -> int:
        """Rounds of ``size`` trials without success that halve the box."""
        return self.failures or math.ceil(max(4, dimensions) / size)

    def begin(self, size: int) -> Region:
        """The region before anything is known, for rounds of ``size`` trials."""
        none = jnp.zeros((), jnp.int32)
        return Region(
            length=jnp.full((), self.initial, jnp.float32),
            successes=none,
            failures=none,
            best=jnp.full((), -jnp.inf, jnp.float32),
            start=none,
            round=none,
            asked=jnp.full((ROUNDS * size,), EMPTY, jnp.int32),
            results=no_notes(ROUNDS * size, 1),
        )

    def follow(
        self,
        region: Region,
        outcome: Outcome,
        *,
        dimensions: int,
        design: int,
        next_trial: jax.Array,
    ) -> Region:
        """The region after some results, in any order.

        Args:
            region: Before.
            outcome: P rows; EMPTY ones are ignored.
            dimensions: D.
            design: The first trials of a region that are not chosen by what is known,
                and so are no success.
            next_trial: i32[], the next free trial number, where a new region starts.
        """
        trial, width = told_trials(outcome), region.asked.shape[0]
        size = width // ROUNDS
        newest = jnp.max(trial, initial=EMPTY) // size
        runs = (outcome.trial != EMPTY) & (outcome.status == Status.RUNNING)
        place = jnp.where(runs, jnp.remainder(outcome.trial, jnp.int32(width)), width)
        region = dataclasses.replace(
            region,
            round=jnp.maximum(region.round, newest - (ROUNDS - 1)),
            asked=region.asked.at[place].max(outcome.trial, mode="drop"),
            results=noted(region.results, trial, score(outcome)[:, None]),
        )
        patience = self.rounds_to_shrink(dimensions, size)

        def closed(region: Region) -> Region:
            return self._closed(region, design, patience, next_trial)

        return jax.lax.while_loop(_is_complete, closed, region)

    def _closed(
        self, region: Region, design: int, patience: int, next_trial: jax.Array
    ) -> Region:
        """The region after the first open round."""
        trial, value, ended = _open_round(region)
        counts = ended & (trial >= region.start)
        # That of a trial which was never told as RUNNING is somebody else's.
        asked = region.asked[jnp.remainder(trial, jnp.int32(region.asked.shape[0]))]
        chosen = counts & (asked == trial) & (trial >= region.start + design)
        top = jnp.max(jnp.where(counts, value, -jnp.inf))
        found = jnp.max(jnp.where(chosen, value, -jnp.inf))
        success = chosen.any() & (found > region.best)
        failure = chosen.any() & ~success
        successes = jnp.where(success, region.successes + 1, region.successes)
        successes = jnp.where(failure, 0, successes)
        failures = jnp.where(failure, region.failures + 1, region.failures)
        failures = jnp.where(success, 0, failures)

        grows, shrinks = successes >= self.successes, failures >= patience
        factor = jnp.where(grows, 2.0, jnp.where(shrinks, 0.5, 1.0))
        length = jnp.minimum(region.length * factor, self.largest)
        over = length < self.smallest
        following, size = region.round + 1, trial.shape[0]
        return Region(
            length=jnp.where(over, jnp.float32(self.initial), length),
            successes=jnp.where(grows, 0, successes),
            failures=jnp.where(shrinks, 0, failures),
            best=jnp.where(over, -jnp.inf, jnp.maximum(region.best, top)),
            start=jnp.where(over, next_trial, region.start),
            round=jnp.where(
                over, jnp.maximum(following, next_trial // size), following
            ),
            asked=region.asked,
            results=region.results,
        )


def _open_round(region: Region) -> tuple[jax.Array, jax.Array, jax.Array]:
    """i32[P] trials of the first open round, f32[P] fitness, bool[P] who has ended."""
    size = region.asked.shape[0] // ROUNDS
    trial = region.round * size + jnp.arange(size, dtype=jnp.int32)
    value, ended = look_up(region.results, trial)
    return trial, value[:, 0], ended


def _is_complete(region: Region) -> jax.Array:
    """Whether all trials of the first open round have ended, but those before."""
    trial, _, ended = _open_round(region)
    return (ended | (trial < region.start)).all() & ended.any()
