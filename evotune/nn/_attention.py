"""Self-attention whose number of heads and head size may both be traced."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import linen

from evotune.nn._dropout import dropout
from evotune.nn._initializers import lecun_normals
from evotune.nn._scores import scores
from evotune.nn._traced import Size, active, capacity, unit_mask

_Sizes = tuple[int | Size, ...]


class MultiHeadAttention(linen.Module):
    """softmax(Q K^T / sqrt(head size)) V for each head, then mixed to ``features``.

    As `flax.linen.MultiHeadDotProductAttention` on itself, with the same names of
    parameters. Weights of unused heads and of unused units of a head are zero and stay
    so: they multiply zeros, or are multiplied by them.

    Attributes:
        num_heads: Number of heads.
        head_size: Units of each head, for queries, keys and values.
        features: Units of the inputs and of the outputs.
        dropout: Rate at which attention weights are zeroed, one draw for all examples
            and heads. A Python 0.0 draws nothing.
        causal: Whether a position attends only to itself and those before it.

    Reference:
        Vaswani et al. (2017), Attention is all you need, section 3.2.

    Example:
        >>> import jax
        >>> from evotune import nn
        >>> heads = nn.Size(jax.numpy.int32(3), 4)
        >>> layer = nn.MultiHeadAttention(heads, head_size=5, features=8)
        >>> x = jax.numpy.ones((2, 6, 8))
        >>> y, _ = layer.init_with_output(jax.random.key(0), x, deterministic=True)
        >>> y.shape
        (2, 6, 8)
    """

    num_heads: int | Size
    head_size: int | Size
    features: int | Size
    dropout: float | jax.Array = 0.0
    causal: bool | jax.Array = False

    @linen.compact
    def __call__(
        self, x: jax.Array, *, deterministic: bool, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps f32[..., T, features] to the same shape.

        Args:
            x: A series of T positions.
            deterministic: Whether to leave dropout out.
            mask: bool, broadcastable to [..., heads, T, T]: which position (rows)
                attends to which.
        """
        heads: _Sizes = (self.num_heads, self.head_size)
        query, key, value = (
            _Projection((self.features,), heads, name=name)(x)
            for name in ("query", "key", "value")
        )
        size = jnp.maximum(jnp.asarray(active(self.head_size), x.dtype), 1.0)
        logits = scores(query / jnp.sqrt(size), key)
        for allowed in (mask, self._order(x.shape[-2])):
            if allowed is not None:
                allowed = jnp.broadcast_to(allowed, logits.shape)
                logits = jnp.where(allowed, logits, jnp.finfo(logits.dtype).min)
        weights = jax.nn.softmax(logits)
        drops = not (isinstance(self.dropout, float) and self.dropout == 0.0)
        if drops and not deterministic:
            shared = range(weights.ndim - 2)
            key_of_draw = self.make_rng("dropout")
            weights = dropout(
                key_of_draw, weights, self.dropout, broadcast_dims=tuple(shared)
            )
        mixed = jnp.einsum("...hqk,...khd->...qhd", weights, value)
        return _Projection(heads, (self.features,), name="out")(mixed)

    def _order(self, length: int) -> jax.Array | None:
        """bool[T, T], true for itself and what came before; None where all may be."""
        if self.causal is False:
            return None
        before = jnp.tri(length, dtype=bool)
        if self.causal is True:
            return before
        return before | ~jnp.asarray(self.causal)


class _Projection(linen.Module):
    """A dense layer from the last axes of x to new ones, as `linen.DenseGeneral`.

    One side has the two axes of heads, the other a single one.
    """

    inputs: _Sizes
    outputs: _Sizes

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self._kernel, x.dtype)
        shape = tuple(capacity(size) for size in self.outputs)
        bias = self.param("bias", lambda _: jnp.zeros(shape, x.dtype))
        y = jnp.tensordot(x, kernel, axes=len(self.inputs))
        return y + jax.lax.expand_dims(bias, range(y.ndim - bias.ndim))

    def _kernel(self, key: jax.Array, dtype: jnp.dtype) -> jax.Array:
        """Truncated normal of variance 1 / (active inputs), head by head."""
        first = len(self.inputs) == 2  # heads are the first axis, else the second
        heads, size = self.inputs if first else self.outputs
        (other,) = self.outputs if first else self.inputs
        shape = (size, other) if first else (other, size)
        kernels = lecun_normals(key, [shape] * capacity(heads), dtype)
        kernel = jnp.stack(kernels, axis=0 if first else 1)
        if first:
            count = jnp.maximum(jnp.asarray(active(heads), dtype), 1.0)
            kernel = kernel * jax.lax.rsqrt(count)
        used = unit_mask(heads)
        if used is None:
            return kernel
        used = jax.lax.expand_dims(used, (1, 2) if first else (0, 2))
        return jnp.where(used, kernel, jnp.zeros_like(kernel))


class Embed(linen.Module):
    """A table of one row for each of ``num_embeddings`` symbols, as `linen.Embed`.

    Rows have variance 1 / (active features), of a truncated normal.

    Attributes:
        num_embeddings: Number of symbols.
        features: Units of a row.
    """

    num_embeddings: int | Size
    features: int | Size

    @linen.compact
    def __call__(self, symbols: jax.Array) -> jax.Array:
        """Maps i32[...] in [0, num_embeddings) to f32[..., features]."""
        if not jnp.issubdtype(symbols.dtype, jnp.integer):
            raise ValueError(
                f"Embed takes integers, but got {symbols.dtype}. "
                "Use `symbols.astype(jnp.int32)`."
            )
        table = self.param("embedding", self._table)
        return jnp.take(table, symbols, axis=0)

    def _table(self, key: jax.Array) -> jax.Array:
        shape = (self.features, self.num_embeddings)
        return lecun_normals(key, [shape], jnp.dtype(jnp.float32))[0].T


def sinusoids(length: int, features: int | Size) -> jax.Array:
    """f32[length, features]: the position, as sines and cosines of many lengths.

    Entry (t, 2i) is sin(t / 10000^(2i / features)), entry (t, 2i + 1) the cosine;
    unused units are zero.

    Reference:
        Vaswani et al. (2017), Attention is all you need, section 3.5.
    """
    unit = jnp.arange(capacity(features))
    count = jnp.maximum(jnp.asarray(active(features), jnp.float32), 1.0)
    pair = (2 * (unit // 2)).astype(jnp.float32)
    rate = jnp.exp(-math.log(10_000.0) * pair / count)
    angle = jnp.arange(length, dtype=jnp.float32)[:, None] * rate[None]
    table = jnp.where((unit % 2 == 0)[None], jnp.sin(angle), jnp.cos(angle))
    used = unit_mask(features)
    return table if used is None else jnp.where(used[None], table, 0.0)
