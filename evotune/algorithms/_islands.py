"""Several searches beside each other that send each other their best: islands."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Algorithm, Geometry, Outcome, Proposal
from evotune._errors import raise_all
from evotune.algorithms._compromises import Compromises, no_compromises
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._migration import led, with_guests
from evotune.algorithms._settings import count_problem
from evotune.algorithms._trials import advance


@dataclasses.dataclass(frozen=True, kw_only=True)
class IslandsState:
    """What K islands know.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        inner: What the search of each island knows; every array has a first axis K.
        leaders: The best of each island since the last migration, K x ``migrants``.
        abroad: The leaders of the time before, who arrive at the next island now.
    """

    geometry: Geometry
    next_trial: jax.Array
    inner: Any
    leaders: Compromises
    abroad: Compromises


_LEAVES = [
    field.name for field in dataclasses.fields(IslandsState) if field.name != "geometry"
]
jax.tree_util.register_dataclass(IslandsState, _LEAVES, ["geometry"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Islands:
    """Several searches of one kind, which send each other their best: the island model.

    Trial t belongs to island t modulo K, and is trial t // K of the search there. Each
    island has keys of its own, so all of them look elsewhere.

    After each ``interval`` batches every island sends the best trials that it has found
    in them to the next one, and the last island to the first: a ring. They arrive in
    the place of the last ``migrants`` rows of that island's next batch: if one of these
    turns out worse than the migrant, the island is told the migrant's configuration and
    result under its number.
    So every trial is told once, under its own number, and any search can be an island,
    whether it counts generations, gives seats, or learns from all trials. What is
    replaced is unknown to the island alone, not to the study; a migrant is never sent
    on, and the same trial never sent twice.

    Results may come in any order, in parts, or with failures. Of several objectives, or
    under constraints, those are the best that `NSGA2` would keep, and a migrant takes
    the place of any trial that is not at least as good in all objectives. What does not
    read results, such as random search, has no migration.

    Args:
        inner: The search of each island, whose proposals must all be new trials. Its
            ``batch_size`` is the rows that an island has of each proposal.
        islands: K, how many there are.
        interval: Batches from one migration to the next; None for none, which is K
            searches alone.
        migrants: How many trials each island sends, at most the inner ``batch_size``.

    Raises:
        ValueError: If a setting is out of range; all problems are listed.
        TypeError: If ``inner`` is no algorithm.

    Example:
        >>> import jax
        >>> from evotune.algorithms import DifferentialEvolution
        >>> from evotune.testing import choice, cube, floating
        >>> search = Islands(DifferentialEvolution(population_size=8), islands=2)
        >>> state = search.init(jax.random.key(0), cube(floating(), choice(3)))
        >>> search.ask(jax.random.key(1), state).x.shape
        (16, 2)

    Reference:
        Tanese (1989), "Distributed genetic algorithms"; Whitley, Rana and Heckendorn
        (1999), "The island model genetic algorithm". Differs from the papers: a migrant
        takes the place of a new trial that is worse, not of the worst member, which a
        search of any kind need not have.
    """

    inner: Algorithm = dataclasses.field(kw_only=False)
    islands: int = 4
    interval: int | None = 5
    migrants: int = 1

    def __post_init__(self) -> None:
        if not (hasattr(self.inner, "ask") and hasattr(self.inner, "tell")):
            raise TypeError(
                f"`inner` must be an algorithm, with `init`, `ask` and `tell`, but got "
                f"`inner={self.inner!r}`. Use for example "
                f"`inner=et.GeneticAlgorithm(population_size=16, surrogate=None)`."
            )
        problems = count_problem("islands", self.islands, 2, "of which one is next")
        problems += count_problem("migrants", self.migrants, 1, "to send")
        if not problems and self.migrants > self.inner.batch_size:
            problems.append(
                f"`migrants` must be at most the `batch_size` of `inner`, whose rows "
                f"they take the place of, but got `migrants={self.migrants}` and a "
                f"batch of {self.inner.batch_size}. Use for example `migrants=1`."
            )
        if self.interval is not None:
            problems += count_problem("interval", self.interval, 1, "or None for never")
        raise_all(problems, ValueError, "Islands")

    @property
    def batch_size(self) -> int:
        """P, the rows of every proposal: those of all islands."""
        return self.islands * self.inner.batch_size

    @property
    def objectives(self) -> int | None:
        """M, as many as the inner search ranks; None if it reads no results."""
        return getattr(self.inner, "objectives", 1)

    @property
    def _period(self) -> int | None:
        """Trials from one migration to the next; None where there is none."""
        if self.objectives is None or self.interval is None:
            return None
        return self.interval * self.batch_size

    def with_names(self, names: Sequence[str]) -> Islands:
        """The same islands, the inner search knowing dimensions by their index.

        Args:
            names: The names of all dimensions, in their order.

        Raises:
            ValueError: If the inner search names a dimension that there is not.
        """
        with_names = getattr(self.inner, "with_names", None)
        if with_names is None:
            return self
        return dataclasses.replace(self, inner=with_names(names))

    def init(self, key: jax.Array, geometry: Geometry) -> IslandsState:
        """The state before anything is known.

        Args:
            key: Consumed; island k begins with ``jax.random.fold_in(key, k)``.
            geometry: The space.
        """
        keys = _own_keys(key, self.islands)
        nobody = self._nobody(geometry.dimensions)
        return IslandsState(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            inner=jax.vmap(lambda own: self.inner.init(own, geometry))(keys),
            leaders=nobody,
            abroad=nobody,
        )

    def ask(self, key: jax.Array, state: IslandsState) -> Proposal:
        """The next rows of all islands, in the order of trial numbers.

        Args:
            key: Consumed; island k is asked with ``jax.random.fold_in(key, k)``.
            state: Only read.
        """
        keys = _own_keys(key, self.islands)
        asked = jax.vmap(self.inner.ask)(keys, state.inner)
        island = jnp.arange(self.islands, dtype=jnp.int32)[:, None]
        number = asked.trial * self.islands + island
        asked = dataclasses.replace(
            asked, trial=jnp.where(asked.trial == EMPTY, EMPTY, number)
        )
        rows = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), asked)
        last = jnp.iinfo(jnp.int32).max
        order = jnp.argsort(jnp.where(rows.trial == EMPTY, last, rows.trial))
        return jax.tree.map(lambda leaf: leaf[order], rows)

    def tell(self, state: IslandsState, outcome: Outcome) -> IslandsState:
        """The state that knows ``outcome``; each row is told to its own island.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        next_trial = advance(state.next_trial, outcome.trial)
        told, leaders, abroad = outcome, state.leaders, state.abroad
        if self._period is not None:
            outcome = dataclasses.replace(
                outcome, x=canonicalise(outcome.x, state.geometry)
            )
            # By numbers, not by results: the order of results changes nothing.
            now, before = next_trial - 1, state.next_trial - 1
            leave = now // self._period > before // self._period
            nobody = self._nobody(state.geometry.dimensions)
            abroad = _chosen(leave, leaders, abroad)
            leaders = self._led(_chosen(leave, nobody, leaders), outcome)
            told = self._with_arrivals(outcome, abroad, self._period)
        return dataclasses.replace(
            state,
            next_trial=next_trial,
            inner=self._told(state.inner, told),
            leaders=leaders,
            abroad=abroad,
        )

    def _told(self, inner: Any, outcome: Outcome) -> Any:
        """The islands' states, each of which knows its own rows."""

        def one(island: jax.Array, state: Any) -> Any:
            trial = jnp.where(
                self._lives_on(island, outcome.trial),
                outcome.trial // self.islands,
                EMPTY,
            )
            return self.inner.tell(state, dataclasses.replace(outcome, trial=trial))

        return jax.vmap(one)(jnp.arange(self.islands, dtype=jnp.int32), inner)

    def _led(self, leaders: Compromises, outcome: Outcome) -> Compromises:
        """The best of each island among its leaders and its rows of ``outcome``."""

        def one(island: jax.Array, own: Compromises) -> Compromises:
            return led(own, outcome, self._lives_on(island, outcome.trial))

        return jax.vmap(one)(jnp.arange(self.islands, dtype=jnp.int32), leaders)

    def _with_arrivals(
        self, outcome: Outcome, abroad: Compromises, period: int
    ) -> Outcome:
        """The outcome as islands are told it: migrants in the place of worse rows.

        Args:
            outcome: P rows, ``x`` canonical.
            abroad: K x ``migrants`` trials, by the island that they come from.
            period: Trials from one migration to the next.
        """
        trial = outcome.trial
        # The last rows of a batch: a search that forgets by age forgets them last.
        before = self.inner.batch_size - self.migrants
        turn = (trial % period) // self.islands - before
        due = (trial >= period) & (turn >= 0) & (turn < self.migrants)
        source = (trial - 1) % self.islands
        guests = jax.tree.map(lambda leaf: leaf[source, turn % self.migrants], abroad)
        return with_guests(outcome, guests, due)

    def _lives_on(self, island: jax.Array, trial: jax.Array) -> jax.Array:
        """bool[P], whether trials belong to an island."""
        return (trial != EMPTY) & (trial % self.islands == island)

    def _nobody(self, dimensions: int) -> Compromises:
        """K x ``migrants`` places that hold nobody."""
        row = no_compromises(self.migrants, dimensions, self.objectives or 1)
        return jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (self.islands, *leaf.shape)), row
        )


def _own_keys(key: jax.Array, islands: int) -> jax.Array:
    """A key for each island."""
    number = jnp.arange(islands, dtype=jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, number)


def _chosen(condition: jax.Array, new: Any, old: Any) -> Any:
    """``new`` where the condition holds, else ``old``, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
