"""Layers over all places, written with flax alone; names as evotune exports them."""

import jax
from flax import linen


class PlainGate(linen.Module):
    """Squeeze and excitation (Hu et al., 2018)."""

    squeezed: int

    @linen.compact
    def __call__(self, x):
        seen = x.mean(tuple(range(1, x.ndim - 1)), keepdims=True)
        seen = linen.relu(linen.Dense(self.squeezed, name="squeeze")(seen))
        return x * linen.sigmoid(linen.Dense(x.shape[-1], name="excite")(seen))


class PlainAttention(linen.Module):
    """x + attention(norm(x)) over the places."""

    heads: int
    head_size: int

    @linen.compact
    def __call__(self, x):
        y = linen.LayerNorm(name="norm")(x.reshape(len(x), -1, x.shape[-1]))
        y = linen.MultiHeadDotProductAttention(
            self.heads, qkv_features=self.heads * self.head_size, name="attention"
        )(y)
        return x + y.reshape(x.shape)


class PlainDrop(linen.Module):
    """Stochastic depth (Huang et al., 2016), with evotune's draws."""

    rate: float

    @linen.compact
    def __call__(self, x):
        with jax.threefry_partitionable(True):
            draws = jax.random.uniform(self.make_rng("dropout"), (len(x),))
        kept = (draws < 1 - self.rate).astype(x.dtype) / (1 - self.rate)
        return x * kept.reshape(-1, *[1] * (x.ndim - 1))
