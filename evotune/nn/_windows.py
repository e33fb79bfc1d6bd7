"""What the taps of a sliding window see, as slices of its padded input."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

Padding = str | Sequence[tuple[int, int]]


def taps(
    x: jax.Array,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    *,
    dilation: Sequence[int] | None = None,
    fill: float = 0.0,
) -> list[jax.Array]:
    """One f[B, *output, C] for each tap of the window, in row-major order.

    Args:
        x: f[B, *spatial, C].
        window: Taps along each spatial axis.
        strides: Steps of the window along each spatial axis.
        padding: "SAME", "SAME_LOWER", "VALID", or (low, high) for each spatial axis.
        dilation: Distance between taps along each spatial axis; None is 1.
        fill: What x is padded with.
    """
    gaps = (1,) * len(window) if dilation is None else tuple(dilation)
    spans = [(size - 1) * gap + 1 for size, gap in zip(window, gaps, strict=True)]
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:-1], spans, strides, padding)
    if any(low or high for low, high in padding):
        widths = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
        x = jax.lax.pad(x, jnp.asarray(fill, x.dtype), widths)
    # The last place that the first tap sees along each axis, plus one.
    ends = [
        max(0, (size - span) // stride * stride + 1)
        for size, span, stride in zip(x.shape[1:-1], spans, strides, strict=True)
    ]
    places = itertools.product(
        *(range(0, span, gap) for span, gap in zip(spans, gaps, strict=True))
    )
    return [_slice(x, place, ends, strides) for place in places]


def _slice(
    x: jax.Array, place: Sequence[int], ends: Sequence[int], strides: Sequence[int]
) -> jax.Array:
    if not all(ends):
        shape = [-(-end // stride) for end, stride in zip(ends, strides, strict=True)]
        return jnp.zeros((x.shape[0], *shape, x.shape[-1]), x.dtype)
    limits = [first + end for first, end in zip(place, ends, strict=True)]
    return jax.lax.slice(
        x,
        (0, *place, 0),
        (x.shape[0], *limits, x.shape[-1]),
        (1, *strides, 1),
    )
