"""A surrogate: many more children than can be trained, ranked by what they promise."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Geometry
from evotune._errors import raise_all
from evotune.algorithms._archive import Archive, normal_scores
from evotune.algorithms._belief import believe
from evotune.algorithms._breeding import Breeding
from evotune.algorithms._expected_improvement import log_expected_improvement
from evotune.algorithms._gaussian_process import GaussianProcess
from evotune.algorithms._learning import learnt
from evotune.algorithms._marginal_likelihood import Prior
from evotune.algorithms._offspring import leaders, offspring
from evotune.algorithms._population import Population
from evotune.algorithms._promise import Promise
from evotune.algorithms._region import region_size
from evotune.algorithms._settings import count_problem, range_problem

PRIOR = Prior(length=0.3, length_spread=1.0, noise=0.007, noise_spread=1.5)
"""Short length scales, which few trials can make longer; chosen on recorded tables."""

_LEADERS = 64
"""The best trials, whose region length scales are measured in."""

_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
"""Its multiples, modulo 1, are spread evenly, any few in a row of them too."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chosen:
    """What a surrogate chooses of a proposal.

    Attributes:
        places: bool[P], of which trials.
        x: f32[P, D], what; elsewhere it says nothing.
    """

    places: jax.Array
    x: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Surrogate:
    """A Gaussian process of the trials so far, which chooses among children.

    Of many children of the best trials, and some points all over the cube, it ranks
    each by the logarithm of its expected improvement, and takes the best one by one,
    each as if those before it had turned out as predicted. Fitness enters by its rank,
    and the kernel's lengths shrink with the region that the best trials fill.

    The process knows most while it has few trials, so it chooses all of the first
    ``chosen``, and of later generations a share: chosen / n after n trials, a quarter
    at least, and none after ``until``. The other rows are children as they are born,
    which go on closing in when the process sees no difference any more.

    Its program has one shape: on two CPU cores a proposal of 64 rows takes some 40
    milliseconds, whether 50 trials are known or 500.

    Args:
        candidates: Rows that are ranked for each proposal; four times those that are
            chosen, at least.
        filling: The share of them that fills the cube; the others are children.
        differing: The share of the children that are made by differences between
            parents, as in differential evolution; the others are crossed and mutated.
        shortlist: The best of them, of which rows are chosen; twice as many, at least.
        chosen: The first trials, all of which are chosen; see above.
        least_chosen: The least share of a proposal that is chosen; 1 for all of it.
        until: The trials after which nothing is chosen any more.
        parents: The best trials, whose children they are.
        trials: Trials that are remembered, half of them the best, half the newest.
        fitted: Trials that the kernel is fitted to, half of them the best.
        steps: Of the fit.
        prior: Of the kernel.
        narrowest: How far its lengths shrink with the region of the best trials; 1 for
            not at all.

    Raises:
        ValueError: If a setting is out of range; all problems are listed.

    Example:
        >>> from evotune.algorithms import GeneticAlgorithm
        >>> GeneticAlgorithm(surrogate=Surrogate(candidates=2048)).surrogate.trials
        512

    Reference:
        Jones, Schonlau and Welch (1998), "Efficient global optimization of expensive
        black-box functions". Differs from the paper: fitness is replaced by normal
        scores; the logarithm of the improvement (Ament et al. 2023) of a trial, noise
        included, is maximised over children of a genetic algorithm; batches are those
        of a believer; and length scales have a prior.
    """

    candidates: int = 512
    filling: float = 0.25
    differing: float = 0.25
    shortlist: int = 128
    chosen: int = 128
    least_chosen: float = 0.25
    until: int = 512
    parents: int = 32
    trials: int = 512
    fitted: int = 128
    steps: int = 40
    prior: Prior = PRIOR
    narrowest: float = 0.002

    def __post_init__(self) -> None:
        raise_all(self._problems(), ValueError, "Surrogate")

    def _problems(self) -> list[str]:
        """What is wrong with the settings."""
        least = {"candidates": 8, "shortlist": 1, "parents": 2, "trials": 4}
        problems = []
        least |= {"fitted": 2, "steps": 0, "chosen": 0, "until": 0}
        for name, count in least.items():
            problems += count_problem(name, getattr(self, name), count, "to learn from")
        for name in ("filling", "differing", "least_chosen"):
            problems += range_problem(name, getattr(self, name), 0, 1, "0.25")
        problems += range_problem("narrowest", self.narrowest, 1e-6, 1, "0.002")
        if not problems and self.shortlist > self.candidates:
            problems.append(
                f"`shortlist` must not exceed `candidates`, of which it is a part, but "
                f"got `shortlist={self.shortlist}` and `candidates={self.candidates}`. "
                f"Use for example `shortlist={max(self.candidates // 4, 1)}`."
            )
        return problems

    def propose(
        self,
        key: jax.Array,
        archive: Archive,
        seen: jax.Array,
        breeding: Breeding,
        geometry: Geometry,
        size: int,
    ) -> jax.Array:
        """The rows that promise most, each in its own way, the best first.

        Args:
            key: Consumed.
            archive: What is known.
            seen: u32[H], the history of `remember`; none of it is chosen again.
            breeding: Makes the children.
            geometry: The space.
            size: P rows.

        Returns:
            f32[P, D], canonical.
        """
        told, running = archive.told, archive.running
        known = told.trial != EMPTY
        values = normal_scores(told.fitness, known)
        process = self.fit(told.x, values, known, geometry)
        promise = Promise(
            acquisition=log_expected_improvement,
            process=believe(process, running.x, running.trial != EMPTY),
            best=jnp.max(jnp.where(known, values, -jnp.inf)),
            seen=seen,
        )
        count, width = self.counts(size)
        rows = self.rows(key, told, breeding, geometry, count)
        short = rows[jax.lax.top_k(promise(rows), width)[1]]
        return short[promise.believer(short, size)]

    def counts(self, size: int) -> tuple[int, int]:
        """Rows that are ranked, and those of them that P rows are chosen from."""
        count = max(self.candidates, 4 * size)
        return count, min(max(self.shortlist, 2 * size), count)

    def choice(
        self,
        trial: jax.Array,
        told: jax.Array,
        rows: Callable[[], jax.Array],
        dimensions: int,
    ) -> Chosen:
        """Its part of a proposal: none of the first generation, whoever asks for it.

        Args:
            trial: i32[P], one after the other.
            told: i32[], how many trials it knows.
            rows: f32[P, D], what promises most, the best first; only computed where
                some of it is chosen.
            dimensions: D.
        """
        places = self.takes(trial, trial.shape[0]) & (trial >= trial.shape[0])
        places &= told >= 2

        def in_turn() -> jax.Array:
            # The n-th that is chosen is the n-th best: who asks for one has the best.
            return rows()[jnp.clip(jnp.cumsum(places) - 1, 0)]

        nothing = jnp.zeros((trial.shape[0], dimensions), jnp.float32)
        x = jax.lax.cond(places.any(), in_turn, lambda: nothing)
        return Chosen(places=places, x=x)

    def takes(self, trial: jax.Array, size: int) -> jax.Array:
        """bool[P], which trials it chooses: all at first, then fewer and fewer.

        Args:
            trial: i32[P], one after the other.
            size: P, the trials of a generation; each has as many that are chosen as its
                share is, in other places than the one before.
        """
        generation = trial // size
        before = jnp.maximum(generation * size, 1).astype(jnp.float32)
        share = jnp.clip(self.chosen / before, self.least_chosen, 1.0)
        share = jnp.where(trial < self.until, share, 0.0)
        turn = jnp.mod(generation.astype(jnp.float32) * _GOLDEN, 1.0) * size
        place = jnp.remainder(trial + turn.astype(jnp.int32), size)
        return place.astype(jnp.float32) < jnp.round(share * size)

    def fit(
        self, x: jax.Array, values: jax.Array, known: jax.Array, geometry: Geometry
    ) -> GaussianProcess:
        """The process of all trials, its kernel fitted to some of them.

        Args:
            x: f32[N, D], canonical, the best first.
            values: f32[N], about 0 and of about unit variance.
            known: bool[N], which of them count: the first ones.
            geometry: The space.
        """
        lead = slice(_LEADERS)
        unit = region_size(x[lead], known[lead], geometry, self.narrowest)
        return learnt(
            *(x, values, known, geometry, self.prior),
            unit=unit,
            fitted=self.fitted,
            steps=self.steps,
        )

    def rows(
        self,
        key: jax.Array,
        told: Population,
        breeding: Breeding,
        geometry: Geometry,
        count: int,
    ) -> jax.Array:
        """f32[C, D], children of the best trials, then points all over the cube.

        Args:
            key: Consumed.
            told: The best first.
            breeding: Makes the children.
            geometry: The space.
            count: C.
        """
        children = self._children(count)
        return offspring(
            *(key, leaders(told, self.parents), breeding, geometry),
            children=children,
            differing=round(children * self.differing),
            filling=count - children,
        )

    def _children(self, count: int) -> int:
        """How many of some rows are children."""
        return count - min(max(round(count * self.filling), 1), count // 2)


def surrogate_problem(value: Any) -> list[str]:
    """A problem if ``value`` is neither a `Surrogate` nor None."""
    if isinstance(value, Surrogate | None):
        return []
    return [
        f"`surrogate` must be a `Surrogate` or None, but got `surrogate={value!r}`. "
        f"Leave it out, or use for example "
        f"`surrogate=et.algorithms.Surrogate(candidates=2048)`."
    ]


SURROGATE = Surrogate()
"""The default of the genetic algorithm and of NSGA-II."""
