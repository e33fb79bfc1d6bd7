"""A bowl with a choice, and searches that are told of trials in it by others."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Outcome, fresh
from evotune.testing import choice, cube, finish, floating

SPACE = cube(floating(), floating(), choice(3))


def score(x: Any) -> np.ndarray:
    """Best at 0.7 and 0.2 of the first category."""
    x = np.asarray(x)
    bowl = (x[:, 0] - 0.7) ** 2 + (x[:, 1] - 0.2) ** 2
    return np.asarray(-bowl - 0.1 * (x[:, 2] > 1 / 3))


def foreign(count: int, **given: Any) -> Outcome:
    """Rows of trials from 1000 on, spread over the cube, with their scores."""
    rows = np.random.default_rng(3).random((count, 3), np.float32)
    rows[:, 2] = (np.arange(count) % 3 + 0.5) / 3
    proposal = fresh(jnp.asarray(rows), jnp.arange(count, dtype=jnp.int32) + 1000)
    return finish(proposal, given.pop("fitness", score(rows)), **given)


def knowing(run: Any, outcome: Outcome) -> Any:
    """The state that knows the rows of ``outcome``, eight at a time."""
    state = run.start()
    for start in range(0, outcome.trial.shape[0], 8):
        rows = jax.tree.map(lambda leaf, at=start: leaf[at : at + 8], outcome)
        state = run.tell(state, rows)
    return state
