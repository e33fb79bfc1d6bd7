"""Initial values that do not depend on padding."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.extend
import jax.numpy as jnp

from evotune.nn._kernels import conv_normals
from evotune.nn._traced import Size, unit_mask


def lecun_normal(
    key: jax.Array, inputs: int | Size, outputs: int | Size, dtype: jnp.dtype
) -> jax.Array:
    """A truncated-normal kernel of variance 1 / (active inputs); zero where unused.

    Entry (r, c) is the same for every capacity. ``key`` is consumed.

    Args:
        key: A threefry PRNG key.
        inputs: Fan-in.
        outputs: Fan-out.
        dtype: dtype of the kernel.

    Returns:
        dtype[capacity(inputs), capacity(outputs)].

    Reference:
        LeCun, Bottou, Orr, Mueller (1998), Efficient BackProp, section 4.6.
    """
    return lecun_normals(key, [(inputs, outputs)], dtype)[0]


def lecun_normals(
    key: jax.Array, shapes: Sequence[tuple[int | Size, int | Size]], dtype: jnp.dtype
) -> list[jax.Array]:
    """Several kernels at once, as `lecun_normal` makes them, with draws of their own.

    The code that draws is most of what initialising a small network compiles, so that
    all of its kernels had better share it. ``key`` is consumed.

    Args:
        key: A threefry PRNG key.
        shapes: (inputs, outputs) of each kernel.
        dtype: dtype of the kernels.
    """
    return conv_normals(key, [((), *shape) for shape in shapes], dtype)


def orthogonal(key: jax.Array, units: int | Size, dtype: jnp.dtype) -> jax.Array:
    """A random orthogonal matrix over the active units; zero where unused.

    The same for every capacity, but for rounding: unused units stand as an identity of
    their own in the matrix that is decomposed. ``key`` is consumed.

    Args:
        key: A threefry PRNG key.
        units: Rows and columns.
        dtype: dtype of the matrix.

    Returns:
        dtype[capacity(units), capacity(units)].

    Reference:
        Saxe, McClelland, Ganguli (2014), Exact solutions to the nonlinear dynamics of
        learning in deep linear neural networks.
    """
    draws = lecun_normal(key, units, units, jnp.dtype(jnp.float32))
    used = unit_mask(units)
    if used is not None:
        draws += jnp.diag(jnp.where(used, 0.0, 1.0))
    q, r = jnp.linalg.qr(draws)
    q *= jnp.sign(jnp.diag(r))[None]  # one of each pair, so that it is unique
    if used is not None:
        q = jnp.where(used[None] & used[:, None], q, jnp.zeros_like(q))
    return q.astype(dtype)
