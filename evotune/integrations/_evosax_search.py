"""evosax's strategies as an algorithm of evotune."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Geometry, Outcome, Proposal, fresh
from evotune._errors import count_problems, raise_all
from evotune.algorithms import canonicalise
from evotune.integrations._evosax_strategy import (
    Strategy,
    find,
    keys_of,
    make,
    named,
    problems_of,
)
from evotune.integrations._evosax_waves import (
    WAVES,
    Waves,
    closed,
    losses,
    no_waves,
    opened,
    with_results,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvosaxState:
    """What a strategy of evosax knows, and what it waits for.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        asked: i32[], how many generations have trials.
        begun: bool[], whether the strategy has all that it begins with.
        strategy: evosax's own state, as it was before it was asked again.
        worst: f32[], the largest loss so far.
        waves: The generations under way.
        salt: u32[2], the key that everything is drawn with.
    """

    geometry: Geometry
    next_trial: jax.Array
    asked: jax.Array
    begun: jax.Array
    strategy: Any
    worst: jax.Array
    waves: Waves
    salt: jax.Array


_LEAVES = [
    field.name for field in dataclasses.fields(EvosaxState) if field.name != "geometry"
]
jax.tree_util.register_dataclass(EvosaxState, _LEAVES, ["geometry"])


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class EvosaxSearch:
    """Asks a strategy of evosax for generations, and tells it what came of them.

    A strategy sees a box, ``width`` of its own units along each side and with 0 in the
    middle, and beyond the walls its mirror image. What it draws is rounded to levels;
    categories are levels in the order in which they are listed, as evosax knows reals
    alone. One that learns a distribution begins in the middle of the box and is told
    the points that it drew; one that keeps a population begins with a Latin hypercube,
    which takes its first generation, and is told the points inside the box.

    A generation is learnt from when all its results have come, in whatever order or
    parts. Trials that failed, diverged, were pruned or are forbidden by constraints
    count as the worst loss so far; of a generation of such trials alone nothing is
    learnt. Asked again while a generation is under way, the strategy draws another one
    from what it knows; the four newest are waited for, and learnt from as they are
    complete. Trials that others ran are counted and not learnt from, but an enqueued
    configuration takes the place of a row. Rows are those of the strategy, repeats
    included. The first objective counts.

    Args:
        strategy: The name of a strategy, such as "CMA_ES", "DifferentialEvolution" or
            "PGPE"; its class; or a function ``(population_size, solution) ->
            strategy``, for settings that are objects, such as optax's optimisers.
        batch_size: P, the rows of every proposal and of a generation.
        settings: What else the strategy is made with: arguments of its class, fields of
            its parameters (``{"std_init": 3.0}``) or its ``elite_ratio``.
        width: The side of the unit cube in evosax's units. Most strategies begin with
            steps of one unit, and evosax's own functions are 10 wide.

    Raises:
        ValueError: If the strategy or a setting is not known, evosax refuses them, or a
            number is not positive.

    Example:
        >>> import evotune as et
        >>> search = EvosaxSearch(strategy="CMA_ES", batch_size=8)
        >>> study = et.Study(et.Space(x=et.Float(-1.0, 1.0)), algorithm=search)
        >>> len(study.ask(8))
        8

    Reference:
        Lange (2023), "evosax: JAX-based evolution strategies". Generation n is drawn
        and told with the two keys of ``jax.random.split(jax.random.fold_in(salt, n))``,
        with the salt of the state, so evosax driven by hand gives the same rows.
        Differs from evosax: numbers of a state that would become NaN or infinite stay
        as they were.
    """

    strategy: str | Callable[..., Any] = "CMA_ES"
    batch_size: int = 64
    settings: Mapping[str, Any] | tuple[tuple[str, Any], ...] = ()
    width: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", tuple(sorted(dict(self.settings).items())))
        if isinstance(self.strategy, type):
            name = named(self.strategy)
            if find(name) is self.strategy:
                object.__setattr__(self, "strategy", name)
        problems = count_problems(
            "EvosaxSearch(batch_size=64)", batch_size=self.batch_size
        )
        if not isinstance(self.width, int | float) or not 0.0 < self.width < 1e6:
            problems.append(
                f"`width` must be a number from 0 to a million, but got "
                f"`width={self.width!r}`. Use `width=10.0`."
            )
        problems += problems_of(self.strategy, self.settings)
        raise_all(problems, ValueError, "EvosaxSearch")
        _made(self, 32)  # a mistake is found before anything is compiled

    def __repr__(self) -> str:
        """The settings, in the same words in every process."""
        strategy = self.strategy
        name = strategy if isinstance(strategy, str) else named(strategy)
        return (
            f"EvosaxSearch(strategy={name!r}, batch_size={self.batch_size}, "
            f"settings={dict(self.settings)!r}, width={self.width})"
        )

    def init(self, key: jax.Array, geometry: Geometry) -> EvosaxState:
        """The state before anything is known.

        Args:
            key: Consumed; all points are drawn with it.
            geometry: The space.

        Raises:
            ValueError: If evosax refuses the settings in so many dimensions.
        """
        own, size = _made(self, geometry.dimensions), self.batch_size
        salt = jax.random.bits(key, (2,), jnp.uint32)
        start = jnp.zeros((size, geometry.dimensions), jnp.float32)
        if own.starts == "means":
            start = self._spread(keys_of(salt, jnp.int32(-1))[0], start.shape)
        nothing = jnp.zeros((size,), jnp.float32)
        return EvosaxState(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            asked=jnp.zeros((), jnp.int32),
            begun=jnp.asarray(not own.keeps_points),
            strategy=own.begun(keys_of(salt, jnp.int32(-1))[1], start, nothing),
            worst=jnp.full((), -jnp.inf, jnp.float32),
            waves=no_waves(size, geometry.dimensions),
            salt=salt,
        )

    def ask(self, key: jax.Array, state: EvosaxState) -> Proposal:
        """The next generation.

        Args:
            key: Consumed; nothing is drawn from it, as `tell` draws the same again.
            state: Only read.
        """
        x = self._in_cube(self._drawn(state))
        trial = state.next_trial + jnp.arange(self.batch_size, dtype=jnp.int32)
        return fresh(canonicalise(x, state.geometry), trial)

    def tell(self, state: EvosaxState, outcome: Outcome) -> EvosaxState:
        """The state that knows ``outcome``.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        trial, following = outcome.trial, state.next_trial + self.batch_size
        own = (trial >= state.next_trial) & (trial < following)
        waves = jax.lax.cond(
            own.any(),
            lambda: opened(
                state.waves, state.asked, state.next_trial, self._drawn(state)
            ),
            lambda: state.waves,
        )
        told = jnp.max(trial, initial=EMPTY) + 1
        told = jnp.maximum(told, jnp.where(own.any(), following, state.next_trial))
        wanted = waves.points_of(trial)
        x = canonicalise(outcome.x, state.geometry)
        there = canonicalise(self._in_cube(wanted), state.geometry)
        # A row that was enqueued is where it was told to be.
        near = jnp.abs(there - x).max(axis=1, keepdims=True) < 1e-4
        point = jnp.where(near, wanted, (x - 0.5) * self.width)
        loss = losses(outcome)
        worst = jnp.max(jnp.where(jnp.isfinite(loss), loss, -jnp.inf))
        state = dataclasses.replace(
            state,
            next_trial=told,
            asked=state.asked + own.any().astype(jnp.int32),
            worst=jnp.maximum(state.worst, worst),
            waves=with_results(waves, outcome, loss, point),
        )
        return jax.lax.fori_loop(0, WAVES, self._learnt, state)

    def _learnt(self, age: jax.Array, state: EvosaxState) -> EvosaxState:
        """The state that has learnt from one generation, if all its results are there.

        Args:
            age: i32[], 0 for the oldest of them.
            state: The state before.
        """
        waves = state.waves
        place = jnp.remainder(state.asked + age, jnp.int32(WAVES))
        loss, point = waves.loss[place], waves.point[place]
        known = jnp.isfinite(loss)
        filled = jnp.where(known, loss, state.worst)
        own = _made(self, state.geometry.dimensions)
        ask_key, tell_key = keys_of(state.salt, waves.number[place])

        if own.keeps_points:
            point = self._in_box(point)

        def goes_on() -> Any:
            _, asked = own.asked(ask_key, state.strategy)
            return own.told(tell_key, point, filled, asked, state.strategy)

        def begins() -> Any:
            return own.begun(tell_key, point, filled)

        def learns() -> EvosaxState:
            if own.keeps_points:
                after = jax.lax.cond(state.begun, goes_on, begins)
            else:
                after = goes_on()
            return dataclasses.replace(state, strategy=after, begun=jnp.asarray(True))

        complete = waves.told[place].all()
        state = jax.lax.cond(complete & known.any(), learns, lambda: state)
        waves = jax.lax.cond(complete, lambda: closed(waves, place), lambda: waves)
        return dataclasses.replace(state, waves=waves)

    def _drawn(self, state: EvosaxState) -> jax.Array:
        """f32[P, D], the next generation as the strategy sees it."""
        own = _made(self, state.geometry.dimensions)
        key = keys_of(state.salt, state.asked)[0]
        points, _ = own.asked(key, state.strategy)
        if own.keeps_points:
            first = self._spread(key, points.shape)
            points = jnp.where(state.begun, points, first)
        return jnp.where(jnp.isfinite(points), points, 0.0)

    def _spread(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """f32[P, D], a Latin hypercube in the box."""
        order, jitter = jax.random.uniform(key, (2, *shape))
        slices = jnp.argsort(order, axis=0).astype(jnp.float32)
        return ((slices + jitter) * jnp.float32(1.0 / shape[0]) - 0.5) * self.width

    def _in_cube(self, point: jax.Array) -> jax.Array:
        """f32[P, D] in the unit cube, of points in the box and its mirror images."""
        x = 0.5 + point * jnp.float32(1.0 / self.width)
        return 1.0 - jnp.abs(1.0 - jnp.abs(x) % 2.0)

    def _in_box(self, point: jax.Array) -> jax.Array:
        """f32[P, D], points where their mirror images in the box are."""
        inside = jnp.abs(point) <= 0.5 * self.width
        return jnp.where(inside, point, (self._in_cube(point) - 0.5) * self.width)


@functools.lru_cache(maxsize=64)
def _made(search: EvosaxSearch, dimensions: int) -> Strategy:
    """The strategy of a search; the same object for the same settings.

    Raises:
        ValueError: If evosax refuses the settings.
    """
    strategy = search.strategy
    found = find(strategy) if isinstance(strategy, str) else strategy
    assert found is not None, "checked before"
    return make(
        found,
        dict(search.settings),
        batch_size=search.batch_size,
        dimensions=dimensions,
        width=search.width,
    )
