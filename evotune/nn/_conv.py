"""A convolution whose channels and window may be traced."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen

from evotune.nn._conv_general import conv_general_dilated
from evotune.nn._kernels import conv_normals, tap_mask
from evotune.nn._traced import Size, capacity


class Conv(linen.Module):
    """`flax.linen.Conv` with "SAME" padding, padded where its sizes are traced.

    The spatial axes are those of x: one for a series, two for an image. The window is
    as large along each of them. Unused channels are zero and stay so, as in
    `evotune.nn.Dense`. Unused taps see inputs, so the kernel is masked where it is
    used, which keeps their gradients at zero as well.

    Attributes:
        features: Number of output channels.
        kernel_size: Taps of the window along each axis, >= 1; a traced window lies in
            the middle of its capacity.
        inputs: Number of input channels where it is traced; None takes it from x.
        strides: Steps of the window along each axis; 1 where its size is traced, unless
            ``centred``.
        use_bias: Whether to add a bias to each channel.
        centred: Whether windows lie around every place that is a multiple of
            ``strides``, as with PyTorch's padding of ``kernel_size // 2``; where "SAME"
            puts them depends on sizes. Without strides both are the same.
    """

    features: int | Size
    kernel_size: int | Size = 3
    inputs: int | Size | None = None
    strides: int = 1
    use_bias: bool = True
    centred: bool = False

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps f32[B, *spatial, inputs] to f32[B, *spatial / strides, features]."""
        inputs = x.shape[-1] if self.inputs is None else self.inputs
        if capacity(inputs) != x.shape[-1]:
            raise ValueError(
                f"Conv expects {capacity(inputs)} input channels, but got x with shape "
                f"{x.shape}. Pass `inputs=` as the channels of the layer before."
            )
        if x.ndim < 3:
            raise ValueError(
                "Conv needs x of shape [B, *spatial, channels], but got "
                f"{x.shape}. Add the axis of channels: `x[..., None]`."
            )
        centred = self.centred or self.strides == 1
        if isinstance(self.kernel_size, Size) and not centred:
            raise ValueError(
                "A traced kernel_size needs `strides=1`, but got "
                f"strides={self.strides}: its centre would move. Use `centred=True`, "
                "`nn.pool` after it, or a kernel_size that is a Python int."
            )
        axes = x.ndim - 2
        window = (self.kernel_size,) * axes
        kernel = self.param(
            "kernel",
            lambda key: conv_normals(key, [(window, inputs, self.features)], x.dtype)[
                0
            ],
        )
        used = tap_mask(self.kernel_size)
        if used is not None:
            for axis in range(axes):
                others = [i for i in range(kernel.ndim) if i != axis]
                shown = jnp.expand_dims(used, others)
                kernel = jnp.where(shown, kernel, jnp.zeros_like(kernel))
        y = conv_general_dilated(
            x,
            kernel,
            (self.strides,) * axes,
            [_around(capacity(self.kernel_size))] * axes if self.centred else "SAME",
            dimension_numbers=_channels_last(axes),
        )
        if not self.use_bias:
            return y
        outputs = capacity(self.features)
        bias = self.param("bias", lambda _: jnp.zeros((outputs,), x.dtype))
        return y + jax.lax.expand_dims(bias, range(y.ndim - 1))


def _around(taps: int) -> tuple[int, int]:
    """Padding (low, high) that puts the first window around the first place."""
    return (taps - 1) // 2, taps // 2


def _channels_last(axes: int) -> jax.lax.ConvDimensionNumbers:
    data = (0, axes + 1, *range(1, axes + 1))
    return jax.lax.ConvDimensionNumbers(data, (axes + 1, axes, *range(axes)), data)
