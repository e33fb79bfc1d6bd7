"""The matrix product of a padded layer, which is passed by where nobody needs it."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp


def product(x: jax.Array, kernel: jax.Array, used: jax.Array | None) -> jax.Array:
    """f32[..., N] x W, and zeros where it is not ``used``, as are its gradients.

    It has a gradient rule of its own, by which the kernel is read where it lies. That
    of a conditional around the layer would keep a copy of the kernel for the way back;
    and XLA copies a kernel that is moved in place before it is read for the last time,
    unless a conditional reads it.

    Reverse mode only: `jax.jvp` of it is an error, as of every `jax.custom_vjp`.

    Args:
        x: f32[..., M].
        kernel: f32[M, N], W.
        used: bool[], one value for all members that train together; None where the
            layer is always used: then it is the ordinary product.
    """
    if used is None:
        return x @ kernel
    made: jax.Array = _product(x, kernel, used)
    return made


@jax.custom_vjp
def _product(x: jax.Array, kernel: jax.Array, used: jax.Array) -> jax.Array:
    def zeros(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.zeros((*x.shape[:-1], kernel.shape[1]), x.dtype)

    made: jax.Array = jax.lax.cond(used, jnp.matmul, zeros, x, kernel)
    return made


def _forward(x: jax.Array, kernel: jax.Array, used: jax.Array) -> tuple[Any, Any]:
    return _product(x, kernel, used), (x, kernel, used)


def _backward(kept: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array, None]:
    x, kernel, used = kept

    def gradients(
        x: jax.Array, kernel: jax.Array, gradient: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        # Written out: on CPU, steps with the products of `jnp.matmul`'s own rule take
        # a twentieth to a fifth longer.
        rows = math.prod(x.shape[:-1])
        flat = x.reshape(rows, -1).T @ gradient.reshape(rows, -1)
        return gradient @ kernel.T, flat

    def zeros(
        x: jax.Array, kernel: jax.Array, gradient: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        del gradient
        return jnp.zeros_like(x), jnp.zeros_like(kernel)

    of_x, of_kernel = jax.lax.cond(used, gradients, zeros, x, kernel, gradient)
    return of_x, of_kernel, None


_product.defvjp(_forward, _backward)
