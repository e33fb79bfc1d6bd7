"""What a surrogate learns from: the trials told so far, as arrays of fixed size."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import EMPTY, Outcome, Status
from evotune.algorithms._population import Population, merge, nobody, score

WORST = np.float32(np.finfo(np.float32).min)
"""The fitness of a trial that diverged or is infeasible: below every other."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Archive:
    """The trials that a surrogate knows.

    Attributes:
        told: The best trials and the newest, best first. Those that diverged or are
            infeasible are known as such, with fitness `WORST`; those that failed or
            were pruned say nothing about their configuration, and are left out.
        running: The newest trials that are under way, fitness 0.
    """

    told: Population
    running: Population


jax.tree_util.register_dataclass(Archive, ["told", "running"], [])


def empty_archive(size: int, running: int, dimensions: int) -> Archive:
    """An archive of nobody.

    Args:
        size: Trials with a result that it holds.
        running: Trials under way that it holds.
        dimensions: D.
    """
    return Archive(
        told=nobody(size, dimensions),
        running=nobody(running, dimensions),
    )


def file(archive: Archive, outcome: Outcome, x: jax.Array) -> Archive:
    """The archive after some results; half of its places are kept for the best.

    Args:
        archive: Before.
        outcome: P rows, in any order.
        x: f32[P, D], the canonical rows of the outcome.
    """
    known = outcome.trial != EMPTY
    runs = known & (outcome.status == Status.RUNNING)
    trial = jnp.where(known & ~runs, outcome.trial, EMPTY)
    elites = archive.told.trial.shape[0] // 2
    told = merge(archive.told, trial, _lesson(outcome), x, elites)
    # A trial that has ended enters with -inf, which drives out what it was before.
    underway = jnp.where(runs, jnp.float32(0.0), -jnp.inf)
    running = merge(archive.running, outcome.trial, underway, x, 0)
    return dataclasses.replace(archive, told=told, running=running)


def _lesson(outcome: Outcome) -> jax.Array:
    """f32[P], fitness as the surrogate sees it; -inf where a row says nothing."""
    fitness = score(outcome)
    infeasible = (outcome.constraints > 0.0).any(axis=1)
    bad = (outcome.status == Status.COMPLETE) & (
        infeasible | (outcome.fitness[:, 0] == -jnp.inf)
    )
    bad = (outcome.trial != EMPTY) & (bad | (outcome.status == Status.DIVERGED))
    return jnp.where(bad, WORST, fitness)


def normal_scores(fitness: jax.Array, known: jax.Array) -> jax.Array:
    """Fitness as normal scores: what a normal variable has at the same rank.

    y = Phi^-1((rank - 1/2) / n), with the mean of their ranks where fitness is equal.
    Any increasing change of the fitness leaves them as they are, so that neither a
    diverged trial nor a loss of many magnitudes bends the surrogate.

    Args:
        fitness: f32[N].
        known: bool[N], which of them count.

    Returns:
        f32[N], 0 where a row does not count.

    Example:
        >>> import jax.numpy as jnp
        >>> y = normal_scores(jnp.asarray([-1e9, 5.0, 6.0]), jnp.ones(3, bool))
        >>> [round(float(each), 2) for each in y]
        [-0.97, 0.0, 0.97]

    Reference:
        Blom (1958), "Statistical estimates and transformed beta-variables". Differs
        from the book: (rank - 1/2) / n in the place of (rank - 3/8) / (n + 1/4).
    """
    below = (fitness[None] < fitness[:, None]) & known[None]
    equal = (fitness[None] == fitness[:, None]) & known[None]
    rank = jnp.sum(below, axis=1, dtype=jnp.float32)
    rank = rank + 0.5 * jnp.sum(equal, axis=1, dtype=jnp.float32)
    count = jnp.maximum(jnp.sum(known, dtype=jnp.float32), 1.0)
    share = jnp.clip(rank / count, 1e-6, 1.0 - 1e-6)
    return jnp.where(known, jax.scipy.special.ndtri(share), 0.0)
