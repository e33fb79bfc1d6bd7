"""How much a training computes, counted where a task does not say so itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
from jax.extend import core

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


def count_epoch(
    task: Task, space: Space, inputs: Sequence[Input], static: Mapping[str, Any]
) -> tuple[float, int]:
    """Multiply-adds of one member's epoch, and its steps; traces, compiles nothing.

    Args:
        task: What is trained.
        space: What is searched.
        inputs: How each searched hyperparameter is bound; sizes take their largest.
        static: Values of those that are static.

    Returns:
        Multiply-adds of all steps and one evaluation, in their matrix products and
        convolutions, and the number of steps.
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
    work = multiply_adds(
        lambda v, s, d, k: steps.evaluate(hp(v), s, d, k), leaves, state, data, key
    )
    if count:
        work += count * multiply_adds(step, leaves, state, data, batches, key)
    return work, count


def multiply_adds(function: Callable[..., Any], *structs: Any) -> float:
    """Multiply-adds in the matrix products and convolutions of ``function``.

    A scan counts as often as it runs, a ``while`` once, a ``cond`` as its dearest
    branch.

    Args:
        function: What is traced.
        *structs: Its arguments, or their shapes and dtypes.

    Example:
        >>> import jax.numpy as jnp
        >>> multiply_adds(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 5)))
        30.0
    """
    return _count(jax.make_jaxpr(function)(*structs).jaxpr)


def _count(jaxpr: core.Jaxpr) -> float:
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation: core.JaxprEqn) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        lhs, out = _shape(equation.invars[0]), _shape(equation.outvars[0])
        (contracted, _), _ = params["dimension_numbers"]
        return float(math.prod(out) * math.prod(lhs[axis] for axis in contracted))
    if name == "conv_general_dilated":
        kernel, out = _shape(equation.invars[1]), _shape(equation.outvars[0])
        features = kernel[params["dimension_numbers"].rhs_spec[0]]
        return float(math.prod(out) * math.prod(kernel) / max(1, features))
    parts = [_count(inner) for inner in _inner(params.values())]
    if name == "cond":
        return max(parts, default=0.0)
    return float(params.get("length", 1) if name == "scan" else 1) * sum(parts)


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
