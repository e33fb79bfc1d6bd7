"""A search of some dimensions at a time, as people tune by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import (
    EMPTY,
    Algorithm,
    Geometry,
    Outcome,
    Proposal,
    Status,
    fresh,
)
from evotune._errors import nearest, raise_all
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._draws import salted_key
from evotune.algorithms._population import Population, nobody, survive
from evotune.algorithms._quasi_random import QuasiRandomSearch
from evotune.algorithms._settings import count_problem
from evotune.algorithms._trials import advance, next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class StagedState:
    """What a staged search knows.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        stage: i32[], how many stages are over.
        first: i32[], the trial that the stage began with.
        finished: i32[], how many results of the stage have come.
        best: The best trial so far, in one place.
        inner: What the search of this stage knows.
        salt: u32[2], the key that later stages begin with.
    """

    geometry: Geometry
    next_trial: jax.Array
    stage: jax.Array
    first: jax.Array
    finished: jax.Array
    best: Population
    inner: Any
    salt: jax.Array


_LEAVES = [
    field.name for field in dataclasses.fields(StagedState) if field.name != "geometry"
]
jax.tree_util.register_dataclass(StagedState, _LEAVES, ["geometry"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class StagedSearch:
    """Tunes some dimensions, keeps what was best, tunes the next: manual tuning.

    In each stage the dimensions of the stage are searched by ``inner``, which starts
    anew, and all others are those of the best trial so far; before there is one, they
    are at their defaults. A stage ends with its last result; after the last stage the
    first begins again.

    Results may come back in any order, in parts, or with failures. Trials of earlier
    stages, or that somebody else ran, may still become the best. The first objective
    counts.

    Args:
        stages: The dimensions of each stage, as names (for `evotune.tune` and
            `evotune.Study`, which know them) or as indices.
        trials: Trials of each stage.
        inner: How a stage is searched: an algorithm whose proposals are all new trials,
            and which never runs out of them, as grid search does; quasi-random search
            if None. What it proposes for other dimensions is not read.

    Raises:
        ValueError: If there is no stage, a stage is empty or names a dimension twice,
            or ``trials`` is no positive integer; all problems are listed.

    Example:
        >>> import jax
        >>> from evotune.testing import choice, cube, floating
        >>> search = StagedSearch(stages=[(0,), (1, 2)], trials=4)
        >>> state = search.init(
        ...     jax.random.key(0), cube(floating(), choice(2), floating())
        ... )
        >>> x = search.ask(jax.random.key(1), state).x
        >>> x[:4, 1:].tolist()  # at rest
        [[0.75, 0.5], [0.75, 0.5], [0.75, 0.5], [0.75, 0.5]]

    Reference:
        Coordinate search, as Hooke and Jeeves (1961), "Direct search solution of
        numerical and statistical problems", describe it for one dimension at a time.
        Differs from the paper: blocks of dimensions, each searched globally.
    """

    stages: Sequence[Sequence[int | str]]
    trials: int = 64
    inner: Algorithm | None = None

    def __post_init__(self) -> None:
        stages = tuple(
            (stage,) if isinstance(stage, int | str) else tuple(stage)
            for stage in self.stages
        )
        object.__setattr__(self, "stages", stages)
        problems = count_problem("trials", self.trials, 1, "to choose from")
        if not stages:
            problems.append(
                "`stages` must name the dimensions of one stage at least, but got "
                "none. Use for example `stages=[('learning_rate',), ('width',)]`."
            )
        for number, stage in enumerate(stages):
            if not stage or len(set(stage)) < len(stage):
                problems.append(
                    f"Each stage must name at least one dimension, and none twice, but "
                    f"stage {number} is {stage!r}. Use for example "
                    f"`stages=[('learning_rate',), ('width',)]`."
                )
        raise_all(problems, ValueError, "StagedSearch")

    @property
    def batch_size(self) -> int:
        """P, the rows of every proposal: that of the inner search."""
        return self._search.batch_size

    @property
    def _search(self) -> Algorithm:
        return QuasiRandomSearch() if self.inner is None else self.inner

    def with_names(self, names: Sequence[str]) -> StagedSearch:
        """The same search with indices in the place of names.

        Args:
            names: The dimension of each of the D axes, as ``space.axes`` has them; a
                permutation has several, which are searched together.

        Raises:
            ValueError: If a stage names a dimension that there is not.
        """
        for stage in self.stages:
            for each in stage:
                if isinstance(each, str) and each not in names:
                    raise ValueError(
                        f"Each stage must name dimensions of the space, but got "
                        f"{each!r}.{nearest(each, names)} The space has "
                        f"{', '.join(repr(name) for name in dict.fromkeys(names))}."
                    )
        indexed = [
            [axis for each in stage for axis in _axes_of(each, names)]
            for stage in self.stages
        ]
        return dataclasses.replace(self, stages=indexed)

    def init(self, key: jax.Array, geometry: Geometry) -> StagedState:
        """The state before anything is known.

        Args:
            key: Consumed; later stages begin with it.
            geometry: The space.

        Raises:
            ValueError: If a stage has a name, or an index that the space does not have.
        """
        _mask(self.stages, geometry)
        salt = jax.random.bits(key, (2,), jnp.uint32)
        zero = jnp.zeros((), jnp.int32)
        return StagedState(
            geometry=geometry,
            next_trial=zero,
            stage=zero,
            first=zero,
            finished=zero,
            best=nobody(1, geometry.dimensions),
            inner=self._begun(salt, zero, geometry),
            salt=salt,
        )

    def ask(self, key: jax.Array, state: StagedState) -> Proposal:
        """The next trials of the stage; EMPTY rows where it needs fewer.

        Args:
            key: Consumed.
            state: Only read.
        """
        geometry = state.geometry
        inner = self._search.ask(key, state.inner)
        own = jnp.asarray(_mask(self.stages, geometry))[state.stage % len(self.stages)]
        default = jnp.asarray([geometry.canonical], jnp.float32)
        rest = jnp.where(state.best.trial[:, None] == EMPTY, default, state.best.x)
        x = canonicalise(jnp.where(own[None], inner.x, rest), geometry)
        # If all are under way and none has come back, there is no better use for rows.
        left = self.trials - (state.next_trial - state.first)
        row = next_trials(jnp.int32(0), self.batch_size)
        wanted = (row < left) | (left <= 0)
        trial = next_trials(state.next_trial, self.batch_size)
        return fresh(x, jnp.where(wanted & (inner.trial != EMPTY), trial, EMPTY))

    def tell(self, state: StagedState, outcome: Outcome) -> StagedState:
        """The state that knows ``outcome``; the next stage, where this one is complete.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        x = canonicalise(outcome.x, state.geometry)
        own = (outcome.trial != EMPTY) & (outcome.trial >= state.first)
        ended = own & (outcome.status != Status.RUNNING)
        # The inner search counts the trials of its stage from 0.
        inner = dataclasses.replace(
            outcome, x=x, trial=jnp.where(own, outcome.trial - state.first, EMPTY)
        )
        told = dataclasses.replace(
            state,
            next_trial=advance(state.next_trial, outcome.trial),
            finished=state.finished + jnp.sum(ended, dtype=jnp.int32),
            best=survive(state.best, outcome, x, elites=1),
            inner=self._search.tell(state.inner, inner),
        )
        stage = state.stage + 1
        following = dataclasses.replace(
            told,
            stage=stage,
            first=told.next_trial,
            finished=jnp.zeros((), jnp.int32),
            inner=self._begun(state.salt, stage, state.geometry),
        )
        over = told.finished >= self.trials
        return jax.tree.map(lambda a, b: jnp.where(over, a, b), following, told)

    def _begun(self, salt: jax.Array, stage: jax.Array, geometry: Geometry) -> Any:
        """The inner search's state at the start of a stage."""
        key = jax.random.fold_in(salted_key(salt), stage)
        return self._search.init(key, geometry)


def _axes_of(each: int | str, names: Sequence[str]) -> list[int]:
    """The axes of a dimension, given by its name; an index is the axis itself."""
    if not isinstance(each, str):
        return [each]
    return [axis for axis, name in enumerate(names) if name == each]


def _mask(stages: Sequence[Sequence[int | str]], geometry: Geometry) -> np.ndarray:
    """bool[S, D], whether each stage has each dimension.

    Raises:
        ValueError: If a stage has a name, or an index that the space does not have.
    """
    mask = np.zeros((len(stages), geometry.dimensions), bool)
    for number, stage in enumerate(stages):
        for each in stage:
            if isinstance(each, str) or not 0 <= each < geometry.dimensions:
                raise ValueError(
                    f"A stage must hold indices from 0 to {geometry.dimensions - 1} "
                    f"here, but stage {number} holds {each!r}. Names are for "
                    f"`evotune.tune` and `evotune.Study`, which know those of the "
                    f"space; elsewhere use `search.with_names(names)`."
                )
            mask[number, each] = True
    return mask
