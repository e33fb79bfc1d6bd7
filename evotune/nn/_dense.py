"""A fully connected layer whose sizes may be traced."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen

from evotune.nn._initializers import lecun_normal
from evotune.nn._product import product
from evotune.nn._traced import Size, capacity, reached


class Dense(linen.Module):
    """y = x W + b, as `flax.linen.Dense`, with padded sizes where they are traced.

    Unused rows and columns of W and entries of b start at zero. Their gradients are
    zero, because unused inputs are zero and unused outputs meet zero rows in the next
    layer, so every optimiser that answers a zero gradient of a zero weight with a zero
    update leaves them at zero: no mask is needed while training.

    Attributes:
        features: Number of outputs.
        inputs: Number of inputs where it is traced; None takes it from x.
    """

    features: int | Size
    inputs: int | Size | None = None

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps f32[..., inputs] to f32[..., features]."""
        inputs = x.shape[-1] if self.inputs is None else self.inputs
        if capacity(inputs) != x.shape[-1]:
            raise ValueError(
                f"Dense expects {capacity(inputs)} inputs, but got x with shape "
                f"{x.shape}. Pass `inputs=` as the size of the layer before."
            )
        outputs = capacity(self.features)
        kernel = self.param(
            "kernel", lambda key: lecun_normal(key, inputs, self.features, x.dtype)
        )
        bias = self.param("bias", lambda _: jnp.zeros((outputs,), x.dtype))
        made = product(x, kernel, reached(inputs, self.features))
        return made + jax.lax.expand_dims(bias, range(x.ndim - 1))
