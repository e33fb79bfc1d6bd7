"""Pooling by slices: on CPU the gradient of XLA's own windows is slow."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from evotune._errors import HyperparameterError, nearest
from evotune.nn._traced import Choice, select
from evotune.nn._windows import Padding, taps

POOLS = ("max", "average")


def pool(kind: str | Choice, x: jax.Array, size: int = 2) -> jax.Array:
    """The maximum or average of windows side by side; what fills none is left out.

    An axis that is shorter than ``size`` is left as it is.

    Args:
        kind: One of `POOLS`, or a traced choice of them.
        x: f32[B, *spatial, C].
        size: Length of a window along each spatial axis.

    Raises:
        HyperparameterError: If ``kind`` is not one of `POOLS`.
    """
    if isinstance(kind, Choice):
        return select(kind, [pool(option, x, size) for option in kind.options])
    if kind not in POOLS:
        raise HyperparameterError(
            f"pool must be one of {list(POOLS)}, but got {kind!r}."
            f"{nearest(str(kind), POOLS)}"
        )
    window = tuple(size if length >= size else 1 for length in x.shape[1:-1])
    if kind == "max":
        return reduce_windows(x, -math.inf, jax.lax.max, window, window, "VALID")
    total = reduce_windows(x, 0.0, jax.lax.add, window, window, "VALID")
    return total / math.prod(window)


def reduce_windows(
    inputs: jax.Array,
    init: float,
    reduce_fn: Callable[..., Any],
    window_shape: Sequence[int],
    strides: Sequence[int] | None,
    padding: Padding,
) -> jax.Array:
    """A drop-in for `flax.linen.pooling.pool`, equal to it up to rounding.

    Where several values share a maximum, the first takes the gradient, as in XLA.

    Args:
        inputs: f[..., *spatial, C].
        init: What x is padded with.
        reduce_fn: `jax.lax.max`, `jax.lax.min` or `jax.lax.add`; others go to Flax.
        window_shape: Length of a window along each spatial axis.
        strides: Steps of the window along each spatial axis; None is 1.
        padding: "SAME", "VALID", or (low, high) for each spatial axis.
    """
    combine = _COMBINE.get(reduce_fn)
    floating = jnp.issubdtype(inputs.dtype, jnp.floating)
    if jax.default_backend() != "cpu" or combine is None or not floating:
        return _flax_pool(inputs, init, reduce_fn, window_shape, strides, padding)
    axes = len(window_shape)
    batch, shape = inputs.shape[: -axes - 1], inputs.shape[-axes - 1 :]
    steps = (1,) * axes if strides is None else strides
    x = inputs.reshape(-1, *shape)
    seen = taps(x, window_shape, steps, padding, fill=init)
    outputs = functools.reduce(combine, seen)
    return outputs.reshape(*batch, *outputs.shape[1:])


def _first_largest(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.where((a >= b) | jnp.isnan(a), a, b)


def _first_smallest(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.where((a <= b) | jnp.isnan(a), a, b)


_COMBINE: dict[Any, Callable[[jax.Array, jax.Array], jax.Array]] = {
    jax.lax.max: _first_largest,
    jax.lax.min: _first_smallest,
    jax.lax.add: jax.lax.add,
}
_flax_pool = linen.pooling.pool
