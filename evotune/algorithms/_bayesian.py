"""Bayesian optimisation."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Geometry, Outcome, Proposal, fresh
from evotune._errors import raise_all
from evotune.algorithms._acquisition import ACQUISITIONS, Acquisition
from evotune.algorithms._archive import (
    WORST,
    Archive,
    empty_archive,
    file,
    normal_scores,
)
from evotune.algorithms._belief import believe
from evotune.algorithms._box import box_about
from evotune.algorithms._breeding import ATTEMPTS, renewed
from evotune.algorithms._candidates import candidates, climbed
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._draws import key_after, uniforms
from evotune.algorithms._duplicates import HISTORY, fingerprint, remember
from evotune.algorithms._learning import learnt
from evotune.algorithms._marginal_likelihood import Prior
from evotune.algorithms._promise import BATCHES, Promise
from evotune.algorithms._quasi_random import QuasiRandomSearch, QuasiRandomState
from evotune.algorithms._settings import (
    batch_problem,
    choice_problem,
    count_problem,
    name_problem,
    named,
)
from evotune.algorithms._surrogate import PRIOR
from evotune.algorithms._trust_region import Region, TrustRegion

PARENTS = 32
"""The best trials, about which is searched."""

CLIMBERS = 128
"""The best candidates, which climb."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BayesianState:
    """What Bayesian optimisation knows.

    Attributes:
        design: The first trials' sequence, with the space and the next free number.
        archive: What the Gaussian process learns from.
        seen: u32[H], a table of the trials told so far, pending ones too.
        region: Where the search is; None where it is everywhere.
    """

    design: QuasiRandomState
    archive: Archive
    seen: jax.Array
    region: Region | None = None

    @property
    def geometry(self) -> Geometry:
        """The space."""
        return self.design.geometry


jax.tree_util.register_dataclass(
    BayesianState, ["design", "archive", "seen", "region"], []
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BayesianOptimization:
    """A Gaussian process of the trials says where the next ones promise most.

    The first trials are points of a scrambled Sobol sequence. Then a Gaussian process
    (Matern 5/2, a length scale for each dimension, fitted anew for each batch) predicts
    the normal scores of the fitness. What it promises is looked for all over the cube
    and in steps about the best trials, and the best of that climbs further by random
    steps; levels, categories and conditions are searched as numbers are.

    Results may come back in any order, in parts, or with failures; trials under way are
    believed to turn out as predicted. Trials that diverged or are infeasible are the
    worst there are; those that failed or were pruned say nothing. The first objective
    counts, and nothing is tried twice.

    Args:
        batch_size: P, the rows of every proposal.
        batch: How the rows of one proposal differ. "believer": each is chosen as if
            those before it had come true. "local_penalization": each keeps a distance
            to those before it. "thompson": each is the best of one function drawn from
            what is known. The believer was ahead on five recorded tables (8 seeds, 5
            rounds of 20), with p = 0.07 of Thompson sampling, p = 0.7 of the other.
        acquisition: What is maximised: "log_expected_improvement",
            "log_probability_of_improvement", "upper_confidence_bound", or a function
            ``(mean, deviation, best) -> f32[P]``; for "thompson" it is not read.
        trust_region: Keeps to a box about the best trial (`TrustRegion`), for spaces of
            many dimensions; None searches everywhere.
        initial: Trials of the Sobol sequence; as many as a batch, and 2 (D + 1) at
            least, if None.
        candidates: C, rows that are ranked for each proposal; four times its rows, at
            least. "thompson" chooses among all of them.
        shortlist: The best of them, from which the proposal is chosen; twice its rows,
            at least.
        climbs: Random steps of each of the shortlist's best 128.
        trials: Trials that are remembered, half of them the best, half the newest.
        fitted: Trials that the kernel is fitted to, half of them the best.
        steps: Of the fit.
        prior: Of the kernel.

    Raises:
        ValueError: If a setting is out of range or a name is unknown; all problems are
            listed.

    Example:
        >>> import jax
        >>> from evotune.testing import choice, cube, floating
        >>> search = BayesianOptimization(batch_size=4, batch="thompson")
        >>> state = search.init(jax.random.key(0), cube(floating(), choice(3)))
        >>> search.ask(jax.random.key(1), state).x.shape
        (4, 2)

    Reference:
        Jones, Schonlau and Welch (1998), "Efficient global optimization of expensive
        black-box functions"; Ament et al. (2023) for the logarithm of expected
        improvement; each batch names its own source. Differs from the papers: fitness
        is replaced by normal scores, the improvement is that of a trial, noise
        included, and it is maximised over candidates and by random steps.
    """

    batch_size: int = 64
    batch: str = "believer"
    acquisition: str | Acquisition = "log_expected_improvement"
    trust_region: TrustRegion | None = None
    initial: int | None = None
    candidates: int = 1024
    shortlist: int = 128
    climbs: int = 16
    trials: int = 512
    fitted: int = 128
    steps: int = 40
    prior: Prior = PRIOR

    def __post_init__(self) -> None:
        raise_all(self._problems(), ValueError, "BayesianOptimization")

    def _problems(self) -> list[str]:
        """What is wrong with the settings."""
        problems = batch_problem(self.batch_size)
        problems += name_problem("batch", self.batch, BATCHES)
        problems += choice_problem("acquisition", self.acquisition, ACQUISITIONS)
        least = {"candidates": 8, "shortlist": 1, "climbs": 0, "trials": 4}
        least |= {"fitted": 2, "steps": 0}
        for name, count in least.items():
            problems += count_problem(name, getattr(self, name), count, "to learn from")
        if self.initial is not None:
            problems += count_problem("initial", self.initial, 2, "to compare")
        if not isinstance(self.trust_region, TrustRegion | None):
            problems.append(
                f"`trust_region` must be a `TrustRegion` or None, but got "
                f"`trust_region={self.trust_region!r}`. Use for example "
                f"`trust_region=et.algorithms.TrustRegion()`."
            )
        return problems

    @property
    def _design(self) -> QuasiRandomSearch:
        """What proposes the first trials."""
        return QuasiRandomSearch(batch_size=self.batch_size)

    def _designed(self, dimensions: int) -> int:
        """How many trials are of the sequence."""
        return self.initial or max(self.batch_size, 2 * (dimensions + 1))

    def init(self, key: jax.Array, geometry: Geometry) -> BayesianState:
        """The state before anything is known.

        Args:
            key: Consumed; it chooses the first trials.
            geometry: The space.
        """
        size, region = self.batch_size, self.trust_region
        return BayesianState(
            design=self._design.init(key, geometry),
            archive=empty_archive(self.trials, size, geometry.dimensions),
            seen=jnp.zeros((HISTORY,), jnp.uint32),
            region=None if region is None else region.begin(size),
        )

    def ask(self, key: jax.Array, state: BayesianState) -> Proposal:
        """The next P rows: of the Sobol sequence, later those that promise most.

        Args:
            key: Consumed.
            state: Only read.
        """
        rows, geometry = self.batch_size, state.geometry
        first = self._design.ask(key, state.design)
        # The counter goes in, so that a second ask with one key differs.
        key = key_after(key, state.design.next_trial)
        tries = (ATTEMPTS, rows, geometry.dimensions)
        hits, steps = uniforms(key, tries, tries)
        picked = self._picked(key, state)
        start = jnp.int32(0) if state.region is None else state.region.start
        initial = self._designed(geometry.dimensions)
        told = jnp.sum(state.archive.told.trial != EMPTY, dtype=jnp.int32)
        early = (first.trial < start + initial) | (told < 2)
        x = jnp.where(early[:, None], first.x, picked)
        return fresh(renewed(x, hits, steps, geometry, state.seen), first.trial)

    def tell(self, state: BayesianState, outcome: Outcome) -> BayesianState:
        """The state that knows ``outcome``.

        RUNNING rows are believed, and not proposed again.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        x = canonicalise(outcome.x, state.geometry)
        design = self._design.tell(state.design, outcome)
        archive, region, trial = state.archive, state.region, outcome.trial
        if self.trust_region is not None and region is not None:
            before, dimensions = region.start, state.geometry.dimensions
            region = self.trust_region.follow(
                region,
                outcome,
                dimensions=dimensions,
                design=self._designed(dimensions),
                next_trial=design.next_trial,
            )
            # A new region has learnt nothing from what was before.
            blank = empty_archive(self.trials, self.batch_size, dimensions)
            keep = functools.partial(jnp.where, region.start > before)
            archive = jax.tree.map(keep, blank, archive)
            trial = jnp.where(trial < region.start, EMPTY, trial)
        return BayesianState(
            design=design,
            archive=file(archive, dataclasses.replace(outcome, trial=trial), x),
            seen=remember(state.seen, outcome.trial, fingerprint(x)),
            region=region,
        )

    def _picked(self, key: jax.Array, state: BayesianState) -> jax.Array:
        """f32[P, D], rows that promise most, each in its own way."""
        geometry, archive = state.geometry, state.archive
        told, running = archive.told, archive.running
        known = told.trial != EMPTY
        values = normal_scores(told.fitness, known)
        process = learnt(
            *(told.x, values, known, geometry, self.prior),
            fitted=self.fitted,
            steps=self.steps,
        )
        promise = Promise(
            acquisition=named(self.acquisition, ACQUISITIONS),
            process=believe(process, running.x, running.trial != EMPTY),
            best=jnp.max(jnp.where(known, values, -jnp.inf)),
            seen=state.seen,
        )
        # Beyond any counter, so that no other `ask` has these keys.
        keys = [key_after(key, jnp.int32(1 << bit)) for bit in (28, 29, 30)]
        count = max(self.candidates, 4 * self.batch_size)
        bounded = functools.partial(canonicalise, geometry=geometry)
        if state.region is None:
            good = jnp.sum(told.fitness > WORST, dtype=jnp.int32)
            rows = candidates(keys[0], told.x[:PARENTS], good, geometry, count)
        else:
            lengths = process.hyperparameters.log_lengths
            box = box_about(told.x[:1], state.region.length, lengths, geometry)
            bounded = functools.partial(box.bounded, geometry=geometry)
            rows = box.candidates(keys[0], geometry, count)
        if self.batch != "thompson":
            width = min(max(self.shortlist, 2 * self.batch_size), count)
            rows = rows[jax.lax.top_k(promise(rows), width)[1]]
            top = climbed(
                *(keys[1], rows[:CLIMBERS], promise, geometry),
                steps=self.climbs,
                bounded=bounded,
            )
            rows = jnp.concatenate([top, rows])
        return rows[promise.batch(self.batch, keys[2], rows, self.batch_size)]
