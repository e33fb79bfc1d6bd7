"""Search by Latin hypercubes, which spread each batch over every dimension."""

from __future__ import annotations

import dataclasses

import jax

from evotune._contracts import Proposal, fresh
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._draws import key_after, latin_hypercube, uniforms
from evotune.algorithms._random import RandomSearch, RandomState
from evotune.algorithms._trials import next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatinHypercubeSearch(RandomSearch):
    """Batches of which each is a Latin hypercube sample.

    Each of P equal slices of each dimension holds one of the P points of a batch. A
    study of one batch is the usual design of experiments; further batches are drawn
    independently.

    Args:
        batch_size: P, the rows of every proposal.

    Raises:
        ValueError: If ``batch_size`` is not a positive integer.

    Example:
        >>> import jax
        >>> from evotune.testing import cube, floating
        >>> search = LatinHypercubeSearch(batch_size=4)
        >>> state = search.init(jax.random.key(0), cube(floating()))
        >>> x = search.ask(jax.random.key(1), state).x
        >>> sorted((x[:, 0] * 4).astype(int).tolist())  # the slice of each point
        [0, 1, 2, 3]

    Reference:
        McKay, Beckman and Conover (1979), "A comparison of three methods for selecting
        values of input variables in the analysis of output from a computer code".
        Differs from the paper: none.
    """

    def ask(self, key: jax.Array, state: RandomState) -> Proposal:
        """A new sample of P points.

        Args:
            key: Consumed.
            state: Only read.
        """
        shape = (self.batch_size, state.geometry.dimensions)
        order, jitter = uniforms(key_after(key, state.next_trial), shape, shape)
        x = canonicalise(latin_hypercube(order, jitter), state.geometry)
        return fresh(x, next_trials(state.next_trial, self.batch_size))
