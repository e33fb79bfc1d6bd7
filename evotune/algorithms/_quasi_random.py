"""Search by the points of a scrambled Sobol sequence."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry, Outcome, Proposal, fresh
from evotune._errors import raise_all
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._settings import batch_problem
from evotune.algorithms._sobol import MOST_DIMENSIONS, scrambling, sobol_points
from evotune.algorithms._trials import advance, next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuasiRandomState:
    """What quasi-random search knows.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        seed: u32[D], which scrambling each dimension has.
    """

    geometry: Geometry
    next_trial: jax.Array
    seed: jax.Array


jax.tree_util.register_dataclass(QuasiRandomState, ["next_trial", "seed"], ["geometry"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuasiRandomSearch:
    """Points of a scrambled Sobol sequence, which fill the cube evenly.

    Of the first 2^m trials, and of each 2^m after them, every dyadic slice of each
    dimension holds an equal number, and so do most boxes of few dimensions. Alone, each
    point is uniform, so that what holds for random search on average holds here, too.
    Trial t has point t of the sequence: another batch size gives the same points, and
    a point whose row was given to an enqueued trial is left out.

    Args:
        batch_size: P, the rows of every proposal; powers of two are the most even.
        scramble: Whether points are scrambled, by the key given to `init`. Without, all
            seeds see the same points, the first of which is a corner of the cube.

    Raises:
        ValueError: If ``batch_size`` is not a positive integer.

    Example:
        >>> import jax
        >>> from evotune.testing import cube, floating
        >>> search = QuasiRandomSearch(batch_size=4, scramble=False)
        >>> state = search.init(jax.random.key(0), cube(floating(), floating()))
        >>> search.ask(jax.random.key(1), state).x.tolist()
        [[0.0, 0.0], [0.5, 0.5], [0.75, 0.25], [0.25, 0.75]]

    Reference:
        Sobol' (1967), "On the distribution of points in a cube and the approximate
        evaluation of integrals", with the direction numbers of Joe and Kuo (2008) and
        the scrambling of Owen (1998), "Scrambling Sobol' and Niederreiter-Xing points",
        by Burley's hash (2020). Differs from the papers: points have 24 binary digits,
        and after 2^20 of them the sequence starts again with another scrambling.
    """

    batch_size: int = 64
    scramble: bool = True
    objectives: ClassVar[None] = None  # any number: results are not read

    def __post_init__(self) -> None:
        raise_all(batch_problem(self.batch_size), ValueError, "QuasiRandomSearch")

    def init(self, key: jax.Array, geometry: Geometry) -> QuasiRandomState:
        """The state before anything is known.

        Args:
            key: Consumed; it chooses the scrambling.
            geometry: The space.

        Raises:
            ValueError: If the space has more dimensions than the sequence.
        """
        if geometry.dimensions > MOST_DIMENSIONS:
            raise ValueError(
                f"Sobol's sequence has at most {MOST_DIMENSIONS:,} dimensions, but the "
                f"space has {geometry.dimensions:,}. Use `LatinHypercubeSearch()`."
            )
        return QuasiRandomState(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            seed=scrambling(key, geometry.dimensions),
        )

    def ask(self, key: jax.Array, state: QuasiRandomState) -> Proposal:
        """The next P points of the sequence.

        Args:
            key: Consumed; nothing is drawn from it, for `init` has scrambled all.
            state: Only read.
        """
        del key
        trial = next_trials(state.next_trial, self.batch_size)
        x = sobol_points(trial, state.seed, scramble=self.scramble)
        return fresh(canonicalise(x, state.geometry), trial)

    def tell(self, state: QuasiRandomState, outcome: Outcome) -> QuasiRandomState:
        """The state that has counted the trials of ``outcome``.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        counted = advance(state.next_trial, outcome.trial)
        return dataclasses.replace(state, next_trial=counted)
