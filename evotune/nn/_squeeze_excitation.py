"""Channels weighed by what all places show: squeeze and excitation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen

from evotune.nn._dense import Dense
from evotune.nn._traced import Size


class SqueezeExcitation(linen.Module):
    """y = x * sigmoid(W2 relu(W1 mean(x) + b1) + b2), one factor for each channel.

    The mean is over the places of an example. Unused channels are zero and stay so.

    Attributes:
        features: Channels of x.
        squeezed: Units between W1 and W2: the channels divided by the paper's
            reduction ratio r.

    Reference:
        Hu, Shen, Sun (2018), Squeeze-and-excitation networks.

    Example:
        >>> import jax
        >>> from evotune import nn
        >>> layer = nn.SqueezeExcitation(nn.Size(jax.numpy.int32(6), 8), squeezed=2)
        >>> x = jax.numpy.ones((3, 5, 5, 8))
        >>> layer.init_with_output(jax.random.key(0), x)[0].shape
        (3, 5, 5, 8)
    """

    features: int | Size
    squeezed: int | Size

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """f32[B, *spatial, features]."""
        spatial = tuple(range(1, x.ndim - 1))
        seen = jnp.mean(x, axis=spatial)
        hidden = Dense(self.squeezed, inputs=self.features, name="squeeze")(seen)
        hidden = linen.relu(hidden)
        gate = Dense(self.features, inputs=self.squeezed, name="excite")(hidden)
        return x * jax.lax.expand_dims(linen.sigmoid(gate), spatial)
