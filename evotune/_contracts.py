"""The words that every layer shares: Geometry, Proposal, Outcome, Status.

One loop carries every method, with no ``if algorithm == ...`` anywhere:

    state = algorithm.init(key, geometry)
    while not done:
        proposal = algorithm.ask(key, state)               # reads only
        state = algorithm.tell(state, pending(proposal))   # the rows are under way
        engine.submit(proposal)                            # packs, trains
        outcome = engine.collect()                         # what has finished
        state = algorithm.tell(state, outcome)

Letters in shapes: P members, D dimensions, M objectives, K constraints, T points of a
learning curve.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp

EMPTY = -1
"""``Proposal.trial`` or ``Outcome.trial`` of a row that is only padding."""

FRESH = -1
"""``Proposal.source`` of a member that starts from its own initial state."""

DROP = -1
"""``Proposal.slot`` of a member whose final state nobody will ask for."""

FULL = math.inf
"""``Proposal.until`` of a member that trains to its trial's own end."""


class Status(enum.IntEnum):
    """What became of a row."""

    RUNNING = 0
    COMPLETE = 1
    PRUNED = 2
    DIVERGED = 3
    FAILED = 4


class Kind(enum.Enum):
    """How the points of one dimension relate to each other."""

    FLOAT = "float"
    INT = "int"
    CATEGORICAL = "categorical"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A dimension is active only while dimension ``parent`` has one of ``levels``."""

    parent: int
    levels: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """The shape of a search space, as an algorithm sees it: a unit cube with marks.

    Static and hashable, so that it can be a constant of a compiled function. Level k of
    a dimension with n levels is the cell [edges[k], edges[k+1]) of [0, 1], equal cells
    where ``edges`` is empty; its canonical point is the middle of its cell.

    Attributes:
        kinds: The kind of each of the D dimensions.
        levels: Number of levels of each dimension; 0 where it is continuous.
        edges: The n + 1 cell edges of a discrete dimension with unequal cells, else ().
        structural: Whether a dimension changes the shape of what is trained.
        conditions: For each dimension the conditions that must all hold, and whose
            parents must be active, for it to be active.
        canonical: The coordinate that an inactive dimension is set to.
    """

    kinds: tuple[Kind, ...]
    levels: tuple[int, ...]
    edges: tuple[tuple[float, ...], ...]
    structural: tuple[bool, ...]
    conditions: tuple[tuple[Condition, ...], ...]
    canonical: tuple[float, ...]

    @property
    def dimensions(self) -> int:
        """D, the number of dimensions of the unit cube."""
        return len(self.kinds)


def _array_fields(cls: type) -> type:
    """Registers a frozen dataclass whose every field is an array as a pytree."""
    names = [field.name for field in dataclasses.fields(cls)]
    return jax.tree_util.register_dataclass(cls, names, [])


@_array_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposal:
    """P members to train, and where each one starts, stops and leaves its state.

    Attributes:
        x: f32[P, D] in the unit cube.
        trial: i32[P] trial number; EMPTY marks padding.
        replica: i32[P] seed or fold of the trial.
        source: i32[P] pool slot whose training state continues, or FRESH; read as it
            stood at submission, before any row of the proposal writes its ``slot``.
        slot: i32[P] pool slot that keeps the final state, or DROP.
        until: f32[P] cumulative resource at which to stop and report, or FULL.
        horizon: f32[P] resource that schedules are laid out over, or FULL.
    """

    x: jax.Array
    trial: jax.Array
    replica: jax.Array
    source: jax.Array
    slot: jax.Array
    until: jax.Array
    horizon: jax.Array


@_array_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of P members. Larger fitness is better; NaN never appears.

    Attributes:
        trial: i32[P] trial number; EMPTY marks padding.
        replica: i32[P] seed or fold of the trial.
        x: f32[P, D] in the unit cube, so that foreign rows can be told.
        fitness: f32[P, M]; -inf for a diverged or failed member.
        constraints: f32[P, K], feasible at <= 0.
        variance: f32[P, M] of the fitness, where known, else 0.
        status: i32[P], a `Status`.
        spent: f32[P] cumulative resource that the member has used.
        curve: f32[P, T] fitness of the first objective after each unit of resource.
        curve_len: i32[P] how many points of ``curve`` are filled.
    """

    trial: jax.Array
    replica: jax.Array
    x: jax.Array
    fitness: jax.Array
    constraints: jax.Array
    variance: jax.Array
    status: jax.Array
    spent: jax.Array
    curve: jax.Array
    curve_len: jax.Array


def fresh(x: jax.Array, trial: jax.Array, replica: jax.Array | None = None) -> Proposal:
    """A proposal of members that are trained from their start to their own end.

    Args:
        x: f32[P, D] in the unit cube.
        trial: i32[P] trial numbers; EMPTY marks padding.
        replica: i32[P] seeds or folds; None where each trial is trained once.
    """
    rows = trial.shape
    return Proposal(
        x=jnp.asarray(x, jnp.float32),
        trial=jnp.asarray(trial, jnp.int32),
        replica=jnp.zeros(rows, jnp.int32)
        if replica is None
        else jnp.asarray(replica, jnp.int32),
        source=jnp.full(rows, FRESH, jnp.int32),
        slot=jnp.full(rows, DROP, jnp.int32),
        until=jnp.full(rows, FULL, jnp.float32),
        horizon=jnp.full(rows, FULL, jnp.float32),
    )


def pending(
    proposal: Proposal, *, objectives: int = 1, constraints: int = 0, points: int = 0
) -> Outcome:
    """The rows of ``proposal`` as RUNNING outcomes: known to be under way, no result.

    Args:
        proposal: What was asked.
        objectives: M of the outcomes that will follow, so that shapes agree.
        constraints: K of the outcomes that will follow.
        points: T of the outcomes that will follow.
    """
    rows = proposal.trial.shape[0]
    return Outcome(
        trial=proposal.trial,
        replica=proposal.replica,
        x=proposal.x,
        fitness=jnp.full((rows, objectives), -jnp.inf, jnp.float32),
        constraints=jnp.zeros((rows, constraints), jnp.float32),
        variance=jnp.zeros((rows, objectives), jnp.float32),
        status=jnp.full((rows,), Status.RUNNING, jnp.int32),
        spent=jnp.zeros((rows,), jnp.float32),
        curve=jnp.zeros((rows, points), jnp.float32),
        curve_len=jnp.zeros((rows,), jnp.int32),
    )


class Algorithm(Protocol):
    """A search method: three pure functions over unit-cube arrays.

    An algorithm is a frozen, hashable dataclass of its own settings. Its state is a
    pytree of arrays (with the `Geometry` as a static field), so that all three methods
    can be jitted and whole searches vmapped over seeds.

    One that ranks several objectives says how many by an attribute ``objectives``; it
    is 1 where there is no such attribute, and None of an algorithm that does not read
    results, and so goes with any number.
    """

    @property
    def batch_size(self) -> int:
        """P, the number of rows of every proposal."""
        ...

    def init(self, key: jax.Array, geometry: Geometry) -> Any:
        """The state before anything is known. ``key`` is consumed."""
        ...

    def ask(self, key: jax.Array, state: Any) -> Proposal:
        """The next P members; rows that it cannot fill are EMPTY. ``key`` is consumed.

        Only reads: the same key and state give the same proposal.
        """
        ...

    def tell(self, state: Any, outcome: Outcome) -> Any:
        """The state that knows ``outcome``: any rows, in any order, EMPTY ignored."""
        ...


class Binding(enum.Enum):
    """How a hyperparameter enters the program that trains it.

    TRACED costs nothing: a scalar per member. MASKED pads arrays to a capacity inside
    one program. STATIC compiles one program per value.
    """

    TRACED = "traced"
    MASKED = "masked"
    STATIC = "static"
