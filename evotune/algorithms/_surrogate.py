"""A surrogate: many more children than can be trained, ranked by what they promise."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Geometry
from evotune._errors import raise_all
from evotune.algorithms._archive import WORST, Archive, normal_scores
from evotune.algorithms._batch import believer_batch
from evotune.algorithms._breeding import Breeding
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._draws import latin_hypercube, uniforms
from evotune.algorithms._duplicates import fingerprint, repeats
from evotune.algorithms._expected_improvement import log_expected_improvement
from evotune.algorithms._gaussian_process import (
    GaussianProcess,
    condition,
    noise_variance,
)
from evotune.algorithms._kernel import covariance
from evotune.algorithms._marginal_likelihood import Prior, most_likely
from evotune.algorithms._population import Population
from evotune.algorithms._settings import count_problem, range_problem

PRIOR = Prior(length=0.3, length_spread=1.0, noise=0.007, noise_spread=1.5)
"""Short length scales, which few trials can make longer; chosen on recorded tables."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Surrogate:
    """A Gaussian process of the trials so far, which chooses among children.

    Of many children of the best trials, and some points all over the cube, it ranks
    each by the logarithm of its expected improvement, and takes the best one by one,
    each as if those before it had turned out as predicted. Fitness enters by its rank.

    Its program has one shape: on a CPU a proposal of 64 rows takes about a tenth of a
    second, whether 50 trials are known or 500.

    Args:
        candidates: Rows that are ranked for each proposal; four times its rows, at
            least.
        filling: The share of them that fills the cube; the others are children.
        shortlist: The best of them, of which the proposal is chosen; twice its rows, at
            least.
        parents: The best trials, whose children they are.
        trials: Trials that are remembered, half of them the best, half the newest.
        fitted: Trials that the kernel is fitted to, half of them the best.
        steps: Of the fit.
        prior: Of the kernel.

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
    shortlist: int = 128
    parents: int = 32
    trials: int = 512
    fitted: int = 128
    steps: int = 40
    prior: Prior = PRIOR

    def __post_init__(self) -> None:
        raise_all(self._problems(), ValueError, "Surrogate")

    def _problems(self) -> list[str]:
        """What is wrong with the settings."""
        least = {"candidates": 8, "shortlist": 1, "parents": 2, "trials": 4}
        problems = []
        for name, count in (least | {"fitted": 2, "steps": 0}).items():
            problems += count_problem(name, getattr(self, name), count, "to learn from")
        problems += range_problem("filling", self.filling, 0, 1, "0.25")
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
        """New rows that promise to improve on the best trial, each in its own way.

        Args:
            key: Consumed.
            archive: What is known.
            seen: u32[H], the history of `remember`; none of it is proposed again.
            breeding: Makes the children.
            geometry: The space.
            size: P rows.

        Returns:
            f32[P, D], canonical.
        """
        told, running = archive.told, archive.running
        known = told.trial != EMPTY
        values = normal_scores(told.fitness, known)
        best = jnp.max(jnp.where(known, values, -jnp.inf))
        process = self._fit(told, values, known, geometry)
        noise = noise_variance(process.hyperparameters.log_noise)

        count = max(self.candidates, 4 * size)
        rows = self._candidates(key, told, breeding, geometry, count)
        mean, variance, _ = process.predict(rows)
        promise = log_expected_improvement(mean, jnp.sqrt(variance + noise), best)
        again = repeats(fingerprint(rows), seen)
        promise = jnp.where(again, -jnp.inf, promise)
        width = min(max(self.shortlist, 2 * size), rows.shape[0])
        short = jax.lax.top_k(promise, width)[1]

        underway = running.trial.shape[0]
        rows = jnp.concatenate([running.x, rows[short]])
        real = jnp.concatenate([running.trial != EMPTY, jnp.ones(short.shape, bool)])
        mean, joint = _joint(process, rows, real)
        chosen = believer_batch(
            mean,
            joint,
            noise,
            jnp.concatenate([jnp.zeros((underway,), bool), ~again[short]]),
            best,
            running=underway,
            size=size,
        )
        return rows[chosen]

    def _fit(
        self, told: Population, values: jax.Array, known: jax.Array, geometry: Geometry
    ) -> GaussianProcess:
        """The process of all trials, its kernel fitted to some of them."""
        some = self._fitted(known)
        found = most_likely(
            told.x[some],
            values[some],
            known[some],
            geometry,
            self.prior,
            steps=self.steps,
        )
        return condition(told.x, values, known, found, geometry)

    def _fitted(self, known: jax.Array) -> jax.Array:
        """i32[F], places of the best trials, and of others over the whole range."""
        size = min(self.fitted, known.shape[0])
        best = size // 2
        place = jnp.arange(size, dtype=jnp.int32)
        others = jnp.maximum(jnp.sum(known, dtype=jnp.int32), size) - best
        spread = best + (place - best) * others // (size - best)
        return jnp.where(place < best, place, spread)

    def _candidates(
        self,
        key: jax.Array,
        told: Population,
        breeding: Breeding,
        geometry: Geometry,
        count: int,
    ) -> jax.Array:
        """f32[C, D], children of the best trials, and points all over the cube."""
        dimensions = geometry.dimensions
        filling = min(max(round(count * self.filling), 1), count - 1)
        children = count - filling
        shape, fill = (children, dimensions), (filling, dimensions)
        shapes = ((2 * children,), (children, 1), shape, shape, shape, fill, fill)
        u = uniforms(key, *shapes)
        fitness = told.fitness[: self.parents]
        parents = Population(
            x=told.x[: self.parents],
            fitness=jnp.where(fitness > WORST, fitness, -jnp.inf),
            trial=told.trial[: self.parents],
        )
        start = breeding.cross(parents, geometry, *u[:3])
        # Some children keep near to their parents, others do not.
        double = 2.0 ** (jnp.arange(children) % 3).astype(jnp.float32)
        rate = breeding.mutation_rate * double[:, None]
        bred = breeding.mutate(parents, start, geometry, u[3], u[4], rate)
        rows = jnp.concatenate([bred, latin_hypercube(u[5], u[6])])
        return canonicalise(rows, geometry)


def _joint(
    process: GaussianProcess, rows: jax.Array, real: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Means and covariances of rows together; those that are not real have neither."""
    lengths = process.hyperparameters.log_lengths
    mean, _, columns = process.predict(rows)
    joint = covariance(rows, rows, lengths, process.geometry) - columns.T @ columns
    return mean, jnp.where(real[:, None] & real[None], joint, 0.0)


SURROGATE = Surrogate()
"""The default of the genetic algorithm."""
