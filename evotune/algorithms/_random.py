"""Random search."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry, Outcome, Proposal, fresh
from evotune._errors import raise_all
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._draws import trial_uniforms
from evotune.algorithms._settings import batch_problem
from evotune.algorithms._trials import advance, next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomState:
    """What random search knows: how far it has counted.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
    """

    geometry: Geometry
    next_trial: jax.Array


jax.tree_util.register_dataclass(RandomState, ["next_trial"], ["geometry"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomSearch:
    """Every trial is drawn uniformly from the unit cube, alone.

    A logarithmic parameter is uniform on the log scale, and levels of a discrete one
    are drawn by the width of their cells. A trial's point hangs on the key and the
    trial number only, so another batch size gives the same points.

    Args:
        batch_size: P, the rows of every proposal.

    Raises:
        ValueError: If ``batch_size`` is not a positive integer.

    Example:
        >>> import jax
        >>> from evotune.testing import choice, cube, floating
        >>> search = RandomSearch(batch_size=4)
        >>> state = search.init(jax.random.key(0), cube(floating(), choice(3)))
        >>> search.ask(jax.random.key(1), state).x.shape
        (4, 2)

    Reference:
        Bergstra and Bengio (2012), "Random search for hyper-parameter optimization".
        Differs from the paper: none.
    """

    batch_size: int = 64
    objectives: ClassVar[None] = None  # any number: results are not read

    def __post_init__(self) -> None:
        raise_all(batch_problem(self.batch_size), ValueError, type(self).__name__)

    def init(self, key: jax.Array, geometry: Geometry) -> RandomState:
        """The state before anything is known.

        Args:
            key: Consumed; nothing is drawn from it.
            geometry: The space.
        """
        del key
        return RandomState(geometry=geometry, next_trial=jnp.zeros((), jnp.int32))

    def ask(self, key: jax.Array, state: RandomState) -> Proposal:
        """P new trials.

        Args:
            key: Consumed.
            state: Only read.
        """
        trial = next_trials(state.next_trial, self.batch_size)
        x = trial_uniforms(key, trial, state.geometry.dimensions)
        return fresh(canonicalise(x, state.geometry), trial)

    def tell(self, state: RandomState, outcome: Outcome) -> RandomState:
        """The state that has counted the trials of ``outcome``.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        counted = advance(state.next_trial, outcome.trial)
        return dataclasses.replace(state, next_trial=counted)
