"""Convolution by slices and one matrix product: XLA's own is slow on CPU under vmap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from evotune.nn._windows import Padding, taps

CONVOLUTION = "evotune.convolution"
"""The scope of what a convolution is made of, by which profilers and plans find it."""


def conv_general_dilated(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: Padding,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    **others: Any,
) -> jax.Array:
    """A drop-in for `jax.lax.conv_general_dilated`, equal to it up to rounding.

    On CPU the window's taps are sliced out of the padded input, put side by side and
    multiplied with the kernel at once; a population's kernels then make a batched
    matrix product, where XLA's convolution falls back to a grouped one that is several
    times slower, and slower still inside a loop. What this does not cover (layouts
    other than Flax's, transposed convolution, integers) and other devices go to JAX.

    The device is that of `jax.default_backend` when it is traced, not of
    `jax.lax.platform_dependent`, which would trace and differentiate both forms.

    Args:
        lhs: f[B, *spatial, C].
        rhs: f[*window, C / groups, F].
        window_strides: Steps of the window along each spatial axis.
        padding: "SAME", "SAME_LOWER", "VALID", or (low, high) for each spatial axis.
        lhs_dilation: As in JAX.
        rhs_dilation: Distance between taps along each spatial axis; None is 1.
        dimension_numbers: As in JAX; Flax's channels-last ones are covered.
        feature_group_count: Groups that channels are split into.
        batch_group_count: As in JAX.
        precision: Of the matrix product.
        preferred_element_type: As in JAX.
        **others: Further arguments of JAX's function, such as ``out_sharding``.

    Returns:
        f[B, *output, F].
    """
    plain = all(value is None for value in (preferred_element_type, *others.values()))
    if (
        jax.default_backend() == "cpu"
        and plain
        and batch_group_count == 1
        and all(step == 1 for step in lhs_dilation or ())
        and jnp.issubdtype(lhs.dtype, jnp.floating)
        and lhs.dtype == rhs.dtype
        and _is_channels_last(lhs, rhs, dimension_numbers)
    ):
        seen = taps(lhs, rhs.shape[:-2], window_strides, padding, dilation=rhs_dilation)
        if seen[0].size:
            with jax.named_scope(CONVOLUTION):
                return _product(seen, rhs, feature_group_count, precision)
    return jax.lax.conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        batch_group_count=batch_group_count,
        precision=precision,
        preferred_element_type=preferred_element_type,
        **others,
    )


def _is_channels_last(lhs: jax.Array, rhs: jax.Array, dimension_numbers: Any) -> bool:
    numbers = jax.lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    last = lhs.ndim - 1
    data = (0, last, *range(1, last))
    kernel = (last, last - 1, *range(last - 1))
    return bool(numbers == (data, kernel, data))


def _product(
    seen: Sequence[jax.Array], rhs: jax.Array, groups: int, precision: Any
) -> jax.Array:
    channels, features = rhs.shape[-2:]
    kernel = rhs.reshape(-1, channels, features)
    if groups == 1:
        return jnp.matmul(
            jnp.concatenate(seen, axis=-1),
            kernel.reshape(-1, features),
            precision=precision,
        )
    split = [tap.reshape(*tap.shape[:-1], groups, channels) for tap in seen]
    patches = jnp.stack(split, axis=-2)
    kernel = kernel.reshape(len(seen), channels, groups, features // groups)
    outputs = jnp.einsum("...gtc,tcgf->...gf", patches, kernel, precision=precision)
    return outputs.reshape(*outputs.shape[:-2], features)
