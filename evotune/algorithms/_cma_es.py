"""CMA-ES with margin, for numbers, levels and categories."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import EMPTY, Geometry, Outcome, Proposal, Status, fresh
from evotune._errors import raise_all
from evotune.algorithms._breeding import ATTEMPTS, renewed
from evotune.algorithms._chances import first_chances, learnt_chances, levels_drawn
from evotune.algorithms._cube import (
    canonicalise,
    cell_walls,
    is_categorical,
    middles_of,
)
from evotune.algorithms._draws import key_after, salted_key, trial_uniforms, uniforms
from evotune.algorithms._duplicates import HISTORY, fingerprint, remember
from evotune.algorithms._gaussian import (
    Gaussian,
    learnt,
    rank_weights,
    round_about,
    with_margin,
)
from evotune.algorithms._notes import Notes, look_up, no_notes, noted
from evotune.algorithms._population import score
from evotune.algorithms._settings import count_problem, range_problem
from evotune.algorithms._sobol import scrambling, sobol_points
from evotune.algorithms._trials import advance, next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class CMAESState:
    """What CMA-ES knows.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        gaussian: Over the dimensions that have an order.
        chances: f32[D, L], of each level of categorical dimensions; 0 elsewhere.
        size: f32[], lambda, the trials of a generation.
        restarts: i32[], how often it has started again.
        drawn: f32[R, D], the points that trials under way were rounded from.
        results: f32[R, 1 + D], fitness and point of trials not learnt from so far.
        seen: u32[H], a table of the trials told so far, pending ones too.
        seed: u32[D], which scrambling each dimension of the first points has.
        salt: u32[2], the key that later points are drawn with.
    """

    geometry: Geometry
    next_trial: jax.Array
    gaussian: Gaussian
    chances: jax.Array
    size: jax.Array
    restarts: jax.Array
    drawn: Notes
    results: Notes
    seen: jax.Array
    seed: jax.Array
    salt: jax.Array


_LEAVES = [
    field.name for field in dataclasses.fields(CMAESState) if field.name != "geometry"
]
jax.tree_util.register_dataclass(CMAESState, _LEAVES, ["geometry"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class CMAES:
    """Draws from a normal distribution that follows the better half: CMA-ES.

    The first lambda trials are of a scrambled Sobol sequence. Later ones are
    N(m, sigma^2 C), rounded to levels; m moves to the weighted mean of the
    better half of a generation, C learns the directions in which it went, and sigma
    grows while the steps agree. The chance of leaving a level never falls below
    1 / (lambda n), so that levels are not lost while sigma shrinks (the margin).

    Categories have chances of their own, independent of the rest, which move towards
    those of the better half and stay above a margin (as in CatCMA).

    A generation is learnt from when all its results have come, in whatever order or
    parts; trials that others ran count as well. A trial that has been tried before is
    mutated. Once every continuous dimension has a deviation below ``tolerance``, the
    search starts again elsewhere with a generation of twice the size (IPOP). The first
    objective counts.

    Args:
        batch_size: P, the rows of every proposal, and lambda, the trials of the first
            generations.
        sigma: The first deviation, in unit-cube lengths. That of the first generation,
            too, about the middle of the cube, which it fills from 0.29 on.
        restarts: How often lambda doubles; later restarts keep it.
        tolerance: The deviation that counts as converged, in unit-cube lengths.

    Raises:
        ValueError: If a setting is out of range; all problems are listed.

    Example:
        >>> import jax
        >>> from evotune.testing import choice, cube, floating
        >>> search = CMAES(batch_size=8)
        >>> state = search.init(jax.random.key(0), cube(floating(), choice(3)))
        >>> search.ask(jax.random.key(1), state).x.shape
        (8, 2)

    Reference:
        Hansen (2016), "The CMA evolution strategy: a tutorial"; Hamano et al. (2022),
        "CMA-ES with margin"; Hamano et al. (2024), "CatCMA: stochastic optimization for
        mixed-category problems"; Auger and Hansen (2005), "A restart CMA evolution
        strategy with increasing population size". Differs from the papers: the first
        generation is as even as can be, not normal, of the same mean and deviation; no
        negative weights, points beyond a wall are reflected, the learning rate of
        categories is that of a fixed formula and not adapted, and repeats are mutated.
    """

    batch_size: int = 64
    sigma: float = 0.3
    restarts: int = 2
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        problems = count_problem(
            "batch_size", self.batch_size, 4, "two of which are the better half"
        )
        problems += count_problem("restarts", self.restarts, 0, "doublings of lambda")
        problems += range_problem("sigma", self.sigma, 1e-6, 1, "0.3")
        problems += range_problem("tolerance", self.tolerance, 0, 1, "0.001")
        raise_all(problems, ValueError, "CMAES")

    def init(self, key: jax.Array, geometry: Geometry) -> CMAESState:
        """The state before anything is known.

        Args:
            key: Consumed; all points are drawn with it.
            geometry: The space.
        """
        largest = self.batch_size * 2**self.restarts
        ring = largest + 4 * self.batch_size
        middle = jnp.full((ordered(geometry).size,), 0.5, jnp.float32)
        words = scrambling(key, geometry.dimensions + 2)
        return CMAESState(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            gaussian=round_about(middle, self.sigma),
            chances=jnp.asarray(first_chances(geometry)),
            size=jnp.full((), self.batch_size, jnp.float32),
            restarts=jnp.zeros((), jnp.int32),
            drawn=no_notes(ring, geometry.dimensions),
            results=no_notes(ring, geometry.dimensions + 1),
            seen=jnp.zeros((HISTORY,), jnp.uint32),
            seed=words[:-2],
            salt=words[-2:],
        )

    def ask(self, key: jax.Array, state: CMAESState) -> Proposal:
        """P trials of the sequence, later of the distribution.

        Args:
            key: Consumed; it is used for repeated rows alone.
            state: Only read.
        """
        trial = next_trials(state.next_trial, self.batch_size)
        tries = (ATTEMPTS, self.batch_size, state.geometry.dimensions)
        hits, steps = uniforms(key_after(key, state.next_trial), tries, tries)
        start = self._points(state, trial)
        return fresh(renewed(start, hits, steps, state.geometry, state.seen), trial)

    def tell(self, state: CMAESState, outcome: Outcome) -> CMAESState:
        """The state that knows ``outcome``.

        RUNNING rows are remembered with the points that they were rounded from.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        x, trial = canonicalise(outcome.x, state.geometry), outcome.trial
        running = outcome.status == Status.RUNNING
        point, found = look_up(state.drawn, trial)
        point = jnp.where(found[:, None], point, self._points(state, trial))
        # A row that was mutated, or is of somebody else, is where it was told to be.
        near = jnp.abs(canonicalise(point, state.geometry) - x).max(axis=1) < 1e-6
        point = jnp.where(near[:, None], point, x)
        result = jnp.concatenate([score(outcome)[:, None], point], axis=1)
        told = dataclasses.replace(
            state,
            next_trial=advance(state.next_trial, trial),
            drawn=noted(state.drawn, jnp.where(running, trial, EMPTY), point),
            results=noted(state.results, jnp.where(running, EMPTY, trial), result),
            seen=remember(state.seen, trial, fingerprint(x)),
        )
        complete = jnp.sum(told.results.trial != EMPTY) >= state.size.astype(jnp.int32)
        return jax.lax.cond(complete, self._learnt, lambda same: same, told)

    def _points(self, state: CMAESState, trial: jax.Array) -> jax.Array:
        """f32[P, D], what trials are rounded from; the same for the same state."""
        u = sobol_points(trial, state.seed)
        # A uniform coordinate has the deviation 1 / sqrt(12).
        width = min(1.0, 12.0**0.5 * self.sigma)
        numbers = jnp.asarray(~is_categorical(state.geometry))[None]
        u = jnp.where(numbers, 0.5 + width * (u - 0.5), u)
        first = (trial < self.batch_size)[:, None]
        return jnp.where(first, u, _drawn(state, trial))

    def _learnt(self, state: CMAESState) -> CMAESState:
        """The state that has learnt from its oldest lambda results and forgot them."""
        geometry, results = state.geometry, state.results
        size = state.size.astype(jnp.int32)
        age = jnp.where(results.trial == EMPTY, 2**30, results.trial)
        used = jnp.argsort(jnp.argsort(age)) < size
        fitness = jnp.where(used, results.value[:, 0], -jnp.inf)
        known, point = jnp.isfinite(fitness), results.value[:, 1:]
        order = jnp.lexsort((results.trial, -fitness))
        weight = rank_weights(jnp.argsort(order), state.size)
        # If fewer than half are known, those share the weight; if none, nothing moves.
        weight = jnp.where(known, weight, 0.0)
        total = jnp.sum(weight)
        weight = weight / jnp.where(total > 0.0, total, 1.0)
        columns = ordered(geometry)
        moved = learnt(
            state.gaussian,
            point[:, columns],
            jnp.where(total > 0.0, weight, 1.0 / weight.shape[0]),
        )
        mean = jnp.clip(moved.mean, 0.0, 1.0)
        moved = dataclasses.replace(moved, mean=mean)
        row = jnp.full((1, geometry.dimensions), 0.5, jnp.float32)
        low, high = cell_walls(row.at[0, columns].set(mean), geometry)
        least = 1.0 / (state.size * columns.size)
        moved = with_margin(moved, low[0, columns], high[0, columns], least)
        chances = learnt_chances(state.chances, point, weight, geometry)
        before = (state.gaussian, state.chances)
        gaussian, chances = _chosen(total > 0.0, (moved, chances), before)
        told = dataclasses.replace(
            state,
            gaussian=gaussian,
            chances=chances,
            results=dataclasses.replace(
                results, trial=jnp.where(used, EMPTY, results.trial)
            ),
        )
        return self._restarted(told)

    def _restarted(self, state: CMAESState) -> CMAESState:
        """The state, begun again elsewhere where it has converged."""
        columns = ordered(state.geometry)
        numbers = ~is_categorical(state.geometry)
        smooth = (numbers & (np.asarray(state.geometry.levels) == 0))[columns]
        if not smooth.any():
            return state
        small = jnp.where(smooth, state.gaussian.deviation, 0.0).max() < self.tolerance
        number = state.restarts + 1
        u = trial_uniforms(salted_key(state.salt), -1 - number[None], columns.size)
        again = dataclasses.replace(
            state,
            gaussian=round_about(u[0], self.sigma),
            chances=jnp.asarray(first_chances(state.geometry)),
            size=self.batch_size
            * 2.0 ** jnp.minimum(number, self.restarts).astype(jnp.float32),
            restarts=number,
        )
        return _chosen(small, again, state)


def ordered(geometry: Geometry) -> np.ndarray:
    """The dimensions that the normal distribution is over; one at least."""
    numbers = ~is_categorical(geometry) & (np.asarray(geometry.levels) != 1)
    return np.flatnonzero(numbers) if numbers.any() else np.zeros(1, np.int64)


def _drawn(state: CMAESState, trial: jax.Array) -> jax.Array:
    """f32[P, D], draws of the distribution for trials, i32[P]."""
    geometry, gaussian = state.geometry, state.gaussian
    columns = ordered(geometry)
    key = salted_key(state.salt)
    u = trial_uniforms(key, trial, geometry.dimensions)
    level = levels_drawn(state.chances, u)
    marked = is_categorical(geometry) & (np.asarray(geometry.levels) > 0)
    category = jnp.where(marked[None], middles_of(level, geometry), u)
    z = jax.scipy.special.ndtri(jnp.clip(u[:, columns], 1e-6, 1.0 - 1e-6))
    y = gaussian.margin[None] * (z @ gaussian.root)
    v = gaussian.mean[None] + gaussian.sigma * y
    v = 1.0 - jnp.abs(1.0 - jnp.abs(v) % 2.0)  # reflected at the walls
    point = jnp.full(u.shape, 0.5, jnp.float32).at[:, columns].set(v)
    return jnp.where(is_categorical(geometry)[None], category, point)


def _chosen(condition: jax.Array, new: Any, old: Any) -> Any:
    """``new`` where the condition holds, else ``old``, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
