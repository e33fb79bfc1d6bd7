"""Results made by hand, to tell an algorithm."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from evotune._contracts import EMPTY, Outcome, Proposal, Status, pending


def finish(
    proposal: Proposal, fitness: ArrayLike, *, status: ArrayLike = Status.COMPLETE
) -> Outcome:
    """The rows of ``proposal`` with results.

    Args:
        proposal: What was asked.
        fitness: f32[P], larger is better; -inf is put where a row did not complete.
        status: i32[P] or one `Status` for all.

    Example:
        >>> import jax.numpy as jnp
        >>> from evotune._contracts import fresh
        >>> proposal = fresh(jnp.full((2, 3), 0.5), jnp.arange(2))
        >>> finish(proposal, [0.9, 0.8]).fitness[:, 0]
        Array([0.9, 0.8], dtype=float32)
    """
    rows = proposal.trial.shape
    states = np.broadcast_to(np.asarray(status, np.int32), rows)
    good = states == Status.COMPLETE
    values = np.broadcast_to(np.asarray(fitness, np.float32), rows)
    return dataclasses.replace(
        pending(proposal),
        fitness=jnp.asarray(
            np.where(good, values, -np.inf).astype(np.float32)[:, None]
        ),
        status=jnp.asarray(states),
    )


def part(outcome: Outcome, rows: ArrayLike) -> Outcome:
    """The same outcome with all rows EMPTY but ``rows`` (bool[P])."""
    trial = np.where(np.asarray(rows), np.asarray(outcome.trial), EMPTY)
    return dataclasses.replace(outcome, trial=jnp.asarray(trial.astype(np.int32)))
