"""How much a training computes, counted where a task does not say so itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import jax
import numpy as np
from jax.extend import core

from evotune import nn
from evotune.engine._inputs import (
    Input,
    inactive_under,
    largest_size,
    leaf_structs,
    member_values,
    struct_of,
)
from evotune.engine._member import Steps
from evotune.space import Space
from evotune.tasks import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What something computes.

    Attributes:
        multiply_adds: In matrix products and convolutions.
        windows: Elements of the windows that the convolutions read, overlaps included.
        updates: Weights that steps move, each counted in every step, as far as known.
    """

    multiply_adds: float = 0.0
    windows: float = 0.0
    updates: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            multiply_adds=self.multiply_adds + other.multiply_adds,
            windows=self.windows + other.windows,
            updates=self.updates + other.updates,
        )

    def times(self, count: float) -> Work:
        """As much as ``count`` of it."""
        return Work(
            multiply_adds=count * self.multiply_adds,
            windows=count * self.windows,
            updates=count * self.updates,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Epoch:
    """What an epoch of one member computes.

    Attributes:
        work: Of all steps and one evaluation.
        evaluation: The share of the multiply-adds that is evaluation; None if unknown.
        steps: Number of steps, as far as it is known; 0 where nothing is trained.
    """

    work: Work
    evaluation: float | None
    steps: float

    @classmethod
    def mean(cls, task: Task, configs: Sequence[Mapping[str, Any]]) -> Self | None:
        """As the task says of members of these plain values; None where it does not."""
        known = [task.multiply_adds(config) for config in configs]
        if known[0] is None:
            return None
        shares = [task.evaluation_share(config) for config in configs]
        found = [share for share in shares if share is not None]
        work = Work(
            multiply_adds=_mean([one or 0.0 for one in known]),
            windows=_mean([task.window_elements(config) for config in configs]),
            updates=_mean([task.updates(config) for config in configs]),
        )
        return cls(
            work=work,
            evaluation=_mean(found) if found else None,
            steps=_mean([task.steps(config) for config in configs]),
        )


def count_epoch(
    task: Task, space: Space, inputs: Sequence[Input], static: Mapping[str, Any]
) -> Epoch:
    """Counts one member's epoch; traces, compiles nothing.

    Args:
        task: What is trained.
        space: What is searched.
        inputs: How each searched hyperparameter is bound; sizes take their largest.
        static: Values of those that are static.

    """
    steps = Steps(task)
    inactive = inactive_under(space, static)
    entering = [entry for entry in inputs if entry.name not in inactive]
    config = {**space.constants, **static}
    config = {name: config[name] for name in config if name not in inactive}
    capacity = {e.name: largest_size(space, e) for e in entering if e.is_size}
    leaves = leaf_structs(entering)
    key = jax.eval_shape(lambda: jax.random.key(0))
    data = jax.tree.map(struct_of, task.data())

    def hp(values: Mapping[str, jax.Array]) -> Any:
        return member_values(entering, values, static=config, capacity=capacity)

    def step(values: Any, state: Any, data: Any, batches: Any, key: Any) -> Any:
        batch = jax.tree.map(lambda rows: rows[0], batches)
        return steps.step(hp(values), state, data, batch, key)

    state = jax.eval_shape(lambda v, d, k: steps.init(hp(v), d, k), leaves, data, key)
    batches = jax.eval_shape(
        lambda v, d, k: steps.batches(hp(v), d, k), leaves, data, key
    )
    rows = jax.tree.leaves(batches)
    stream = task.stream()
    count = (int(rows[0].shape[0]) if rows else 0) * (stream.chunks if stream else 1)
    evaluation = count_work(
        lambda v, s, d, k: steps.evaluate(hp(v), s, d, k), leaves, state, data, key
    )
    work = evaluation
    if count:
        once = count_work(step, leaves, state, data, batches, key)
        work += once.times(count)
    share = (
        evaluation.multiply_adds / work.multiply_adds if work.multiply_adds else None
    )
    return Epoch(work=work, evaluation=share, steps=count)


def count_work(function: Callable[..., Any], *structs: Any) -> Work:
    """Multiply-adds in the matrix products and convolutions of ``function``.

    A scan counts as often as it runs, a ``while`` once, a ``cond`` as its dearest
    branch. Products that `evotune.nn` makes of a convolution count as one.

    Args:
        function: What is traced.
        *structs: Its arguments, or their shapes and dtypes.

    Example:
        >>> import jax.numpy as jnp
        >>> count_work(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 5))).multiply_adds
        30.0
    """
    return _count(jax.make_jaxpr(function)(*structs).jaxpr)


def _count(jaxpr: core.Jaxpr, scopes: str = "") -> Work:
    work = Work()
    for equation in jaxpr.eqns:
        work += _count_equation(equation, scopes)
    return work


def _count_equation(equation: core.JaxprEqn, scopes: str) -> Work:
    """The work of an equation inside ``scopes``, the names around its program."""
    name, params = equation.primitive.name, equation.params
    scopes = f"{scopes}/{equation.source_info.name_stack}"
    if name == "dot_general":
        lhs, out = _shape(equation.invars[0]), _shape(equation.outvars[0])
        (contracted, _), _ = params["dimension_numbers"]
        count = math.prod(out) * math.prod(lhs[axis] for axis in contracted)
        windows = 0
        if nn.CONVOLUTION in scopes:  # the largest of the three is the windows
            variables = (*equation.invars, *equation.outvars)
            windows = max(math.prod(_shape(variable)) for variable in variables)
        return Work(multiply_adds=float(count), windows=float(windows))
    if name == "conv_general_dilated":
        kernel, out = _shape(equation.invars[1]), _shape(equation.outvars[0])
        features = max(1, kernel[params["dimension_numbers"].rhs_spec[0]])
        taken = math.prod(kernel) / features
        return Work(
            multiply_adds=float(math.prod(out) * taken),
            windows=float(math.prod(out) / features * taken),
        )
    parts = [_count(inner, scopes) for inner in _inner(params.values())]
    if name == "cond":
        return max(parts, key=lambda part: part.multiply_adds, default=Work())
    return sum(parts, Work()).times(params.get("length", 1) if name == "scan" else 1)


def _inner(values: Any) -> Iterator[core.Jaxpr]:
    """Programs among an equation's parameters."""
    for value in values:
        if isinstance(value, core.ClosedJaxpr):
            yield value.jaxpr
        elif isinstance(value, core.Jaxpr):
            yield value
        elif isinstance(value, tuple | list):
            yield from _inner(value)


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(variable.aval.shape)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
