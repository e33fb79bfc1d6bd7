"""The Transformer encoder as a Flax module."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen

from evotune import nn
from evotune.models._masked import (
    is_picked,
    limited,
    picked,
    product,
    runs_at,
    within_depth,
)
from evotune.models._residual import path_rate, with_residual
from evotune.models._sequences import as_series, check_symbols, mean_of_steps

Size = int | nn.Size

NORM_POSITIONS = ("pre", "post")
POSITIONS = ("learned", "sinusoidal", "none")
POOLINGS = ("mean", "class")


class TransformerModule(linen.Module):
    """An encoder of ``depth`` blocks, pooled and mapped to the outputs.

    With plain Python values it is an ordinary Flax module. `nn.Size` and `nn.Choice`
    pad it; blocks beyond the active depth are passed by and hold zeros.

    Attributes:
        outputs: Number of outputs.
        width: Units of the residual stream.
        heads: Number of heads of a block.
        head_size: Units of each head.
        mlp_ratio: Units of a block's hidden layer, as a multiple of ``width``.
        depth: Number of blocks.
        activation: Name of the activation of the hidden layers.
        norm: Name of the norm of each layer, one of `STEP_NORMS`.
        norm_position: "pre" norms what a layer reads, "post" its sum with the stream.
        position: "learned", "sinusoidal" or "none": what is added to tell steps apart.
        pooling: "mean" of the steps, or the stream of an added "class" token.
        residual: Whether each layer adds its outputs to the stream it reads; else they
            take its place.
        dropout: Rate on the embedding and on what each layer adds.
        attention_dropout: Rate on the attention weights.
        drop_path: Rate at which the layers of the last block drop what they add to the
            stream; see `nn.drop_path`.
        image_shape: See `as_series`.
        patch: See `as_series`.
        vocab_size: Number of symbols, which are embedded; None for numbers.
        each_step: Whether every step is mapped to outputs, and attends only to itself
            and those before it, instead of one that is pooled.
    """

    outputs: int
    width: Size = 64
    heads: Size = 4
    head_size: Size = 16
    mlp_ratio: Size = 2
    depth: Size = 2
    activation: str | nn.Choice = "gelu"
    norm: str | nn.Choice = "layer"
    norm_position: str | nn.Choice = "pre"
    position: str | nn.Choice = "learned"
    pooling: str = "mean"
    residual: bool | jax.Array = True
    dropout: float | jax.Array = 0.0
    attention_dropout: float | jax.Array = 0.0
    drop_path: float | jax.Array = 0.0
    image_shape: tuple[int, ...] | None = None
    patch: int = 1
    vocab_size: int | None = None
    each_step: bool = False

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps f32[B, T], f32[B, T, C], images or symbols i32[B, T] to outputs.

        These are f32[B, outputs], with ``each_step`` f32[B, T, outputs].
        """
        x, valid = self._embedded(x)
        pools_class = self.pooling == "class" and not self.each_step
        if pools_class:
            if self.is_initializing() and not self._learns_positions():
                self.make_rng("params")  # that of the positions, drawn before it
            token = self.param("class", lambda key: self._rows(key, 1))
            token = jnp.broadcast_to(token[None], (x.shape[0], 1, x.shape[-1]))
            x = jnp.concatenate([x, token], axis=1)
            if valid is not None:
                valid = jnp.pad(valid, ((0, 0), (0, 1)), constant_values=True)
        x = nn.Dropout(self.dropout, name="dropout_embed")(x, deterministic=not train)
        for index in range(nn.capacity(self.depth)):
            block = functools.partial(
                TransformerModule._block, x=x, index=index, train=train, valid=valid
            )
            x = within_depth(self, index, self.depth, block, x)
        if pools_class:
            x = x[:, -1]
        elif not self.each_step:
            x = mean_of_steps(x, valid)
        x = picked(
            self.norm_position,
            NORM_POSITIONS,
            "norm_position",
            {
                "pre": lambda: nn.Norm(
                    self.norm,
                    limited(self.width, is_picked(self.norm_position, "pre")),
                    name="norm",
                )(x, use_running_average=False),
                "post": lambda: x,
            },
        )
        return nn.Dense(self.outputs, inputs=self.width, name="output")(x)

    def _block(
        self, x: jax.Array, index: int, train: bool, valid: jax.Array | None
    ) -> jax.Array:
        """What block ``index`` makes of f32[B, T, width]."""
        runs = runs_at(index, self.depth)
        block = _Block(
            width=self.width,
            inner_width=limited(self.width, runs),
            heads=limited(self.heads, runs),
            head_size=self.head_size,
            hidden=limited(product(self.width, self.mlp_ratio), runs),
            activation=self.activation,
            norm=self.norm,
            norm_position=self.norm_position,
            residual=self.residual,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            drop_path=path_rate(self.drop_path, index, nn.active(self.depth)),
            causal=self.each_step,
            name=f"block_{index}",
        )
        made: jax.Array = block(x, train=train, valid=valid)
        return made

    def _embedded(self, x: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """f32[B, T, width], and bool[B, T] where symbols are; None where all are."""
        if self.vocab_size is None:
            x = as_series(x, image_shape=self.image_shape, patch=self.patch)
            x = nn.Dense(self.width, name="embed")(x)
            return x + self._positions(x.shape[1], x.dtype), None
        check_symbols(x.shape[1:], self.patch)
        valid = None if self.each_step else x >= 0
        x = nn.Embed(self.vocab_size, self.width, name="embed")(jnp.maximum(x, 0))
        return x + self._positions(x.shape[1], x.dtype), valid

    def _positions(self, steps: int, dtype: jnp.dtype) -> jax.Array:
        """dtype[1, steps, width] to add to the embedding."""

        def learned() -> jax.Array:
            used = is_picked(self.position, "learned")
            rows: jax.Array = self.param(
                "positions", lambda k: self._rows(k, steps, used)
            )
            return rows

        zeros = jnp.zeros((steps, nn.capacity(self.width)), dtype)
        makers = {
            "learned": learned,
            "sinusoidal": lambda: nn.sinusoids(steps, self.width).astype(dtype),
            "none": lambda: zeros,
        }
        return picked(self.position, POSITIONS, "position", makers)[None]

    def _learns_positions(self) -> bool:
        """Whether the layers have positions that are learned, of this member or not."""
        position = self.position
        options = position.options if isinstance(position, nn.Choice) else (position,)
        return "learned" in options

    def _rows(
        self, key: jax.Array, count: int, used: jax.Array | None = None
    ) -> jax.Array:
        shape = (limited(self.width, used), count)
        return nn.lecun_normals(key, [shape], jnp.dtype(jnp.float32))[0].T


class _Block(linen.Module):
    """Attention and a hidden layer, each added to the stream where ``residual``.

    ``inner_width`` is ``width``, with no active unit in a block that is passed by.
    """

    width: Size
    inner_width: Size
    heads: Size
    head_size: Size
    hidden: Size
    activation: str | nn.Choice
    norm: str | nn.Choice
    norm_position: str | nn.Choice
    residual: bool | jax.Array
    dropout: float | jax.Array
    attention_dropout: float | jax.Array
    drop_path: float | jax.Array
    causal: bool = False

    @linen.compact
    def __call__(
        self, x: jax.Array, *, train: bool, valid: jax.Array | None = None
    ) -> jax.Array:
        attention = nn.MultiHeadAttention(
            self.heads,
            self.head_size,
            self.width,
            dropout=self.attention_dropout,
            causal=self.causal,
            name="attention",
        )
        up = nn.Dense(self.hidden, inputs=self.width, name="up")
        down = nn.Dense(self.inner_width, inputs=self.hidden, name="down")

        def feed_forward(x: jax.Array) -> jax.Array:
            return down(nn.activation(self.activation, up(x)))

        mask = None if valid is None else valid[:, None, None, :]

        def attend(x: jax.Array) -> jax.Array:
            return attention(x, deterministic=not train, mask=mask)

        layers = (attend, feed_forward)
        for index, layer in enumerate(layers):
            norm = nn.Norm(self.norm, self.inner_width, name=f"norm_{index}")
            drop = nn.Dropout(self.dropout, name=f"dropout_{index}")
            read = self._normed("pre", norm, x)
            made = drop(layer(read), deterministic=not train)
            path = nn.DropPath(self.drop_path, name=f"drop_path_{index}")
            x = with_residual(
                made,
                x,
                self.residual,
                drop=functools.partial(path, deterministic=not train),
            )
            x = self._normed("post", norm, x)
        return x

    def _normed(self, where: str, norm: nn.Norm, x: jax.Array) -> jax.Array:
        """norm(x) where the block norms at this place, else x."""

        def normed() -> jax.Array:
            # None of `STEP_NORMS` has running statistics.
            y: jax.Array = norm(x, use_running_average=False)
            return y

        makers = {
            name: normed if name == where else (lambda: x) for name in NORM_POSITIONS
        }
        return picked(self.norm_position, NORM_POSITIONS, "norm_position", makers)
