"""Norms over units some of which may be unused, and a choice between them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen

from evotune._errors import HyperparameterError, nearest
from evotune.nn._moments import (
    by_root_mean_square,
    moments_of,
    scaled,
    standardize,
    unit_moments,
    wide,
)
from evotune.nn._traced import Choice, Size, capacity, select, unit_mask

NORMS = ("none", "layer", "batch", "rms")
"""What `Norm` can be."""

_LAYER_EPSILON = 1e-6  # as in flax.linen
_BATCH_EPSILON = 1e-5
_BATCH_MOMENTUM = 0.9  # a short training, too, must fill the running statistics


class LayerNorm(linen.Module):
    """y = (x - mean) / sqrt(var + epsilon) * scale + bias, over the active units.

    As `flax.linen.LayerNorm`, with unused units exactly zero. Their scale and bias
    start at zero and get no gradient, so that no optimiser moves them.

    Attributes:
        features: Units of the last axis.
        epsilon: Added to the variance.

    Reference:
        Ba, Kiros, Hinton (2016), Layer normalization.

    Example:
        >>> import jax
        >>> from evotune import nn
        >>> norm = nn.LayerNorm(nn.Size(jax.numpy.int32(3), 4))
        >>> x = jax.numpy.asarray([[1.0, 2.0, 3.0, 0.0]])
        >>> norm.init_with_output(jax.random.key(0), x)[0].round(2).tolist()
        [[-1.2200000286102295, 0.0, 1.2200000286102295, 0.0]]
    """

    features: int | Size
    epsilon: float = _LAYER_EPSILON

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """f32[..., features]."""
        scale, bias = _affine(self, self.features, x)
        normal = standardize(x, *unit_moments(x, self.features), self.epsilon)
        return scaled(normal, self.features, scale, bias).astype(x.dtype)


class RMSNorm(linen.Module):
    """y = x / sqrt(mean(x^2) + epsilon) * scale, over the active units.

    As `flax.linen.RMSNorm`, with unused units exactly zero.

    Attributes:
        features: Units of the last axis.
        epsilon: Added to the mean square.

    Reference:
        Zhang, Sennrich (2019), Root mean square layer normalization.
    """

    features: int | Size
    epsilon: float = _LAYER_EPSILON

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """f32[..., features]."""
        scale, bias = _affine(self, self.features, x, kind="rms")
        normal = by_root_mean_square(x, self.features, self.epsilon)
        return scaled(normal, self.features, scale, bias).astype(x.dtype)


class BatchNorm(linen.Module):
    """y = (x - mean) / sqrt(var + epsilon) * scale + bias, each unit over the batch.

    As `flax.linen.BatchNorm`, with unused units exactly zero, in the outputs and in the
    collection "batch_stats".

    Attributes:
        features: Units of the last axis.
        momentum: Decay of the running mean and variance that evaluation uses.
        epsilon: Added to the variance.

    Reference:
        Ioffe, Szegedy (2015), Batch normalization: accelerating deep network training
        by reducing internal covariate shift.
    """

    features: int | Size
    momentum: float = _BATCH_MOMENTUM
    epsilon: float = _BATCH_EPSILON

    @linen.compact
    def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
        """f32[..., features]; statistics are over all other axes."""
        scale, bias = _affine(self, self.features, x)
        moments = _batch_moments(
            self, self.features, x, use_running_average, self.momentum
        )
        normal = standardize(x, *moments, self.epsilon)
        return scaled(normal, self.features, scale, bias).astype(x.dtype)


class Norm(linen.Module):
    """The norm of a name, or one that a traced choice picks: all are then computed.

    Every kind shares one scale and bias, which stay at zero where the choice is "none";
    "rms" has no bias, so that it stays at zero there.

    Attributes:
        kind: One of `NORMS`.
        features: Units of the last axis.
        momentum: Of the running statistics of "batch".
    """

    kind: str | Choice
    features: int | Size
    momentum: float = _BATCH_MOMENTUM

    @linen.compact
    def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
        """f32[..., features].

        Raises:
            HyperparameterError: If a kind is not one of `NORMS`.
        """
        kinds = norm_kinds(self.kind)
        if kinds == ("none",):
            return x
        scale, bias = _affine(self, self.features, x, kind=self.kind)

        def normal(kind: str) -> jax.Array:
            if kind == "none":
                return x
            if kind == "rms":
                y = by_root_mean_square(x, self.features, _LAYER_EPSILON)
                return scaled(y, self.features, scale, None).astype(x.dtype)
            if kind == "layer":
                moments = unit_moments(x, self.features)
                epsilon = _LAYER_EPSILON
            else:
                moments = _batch_moments(
                    self, self.features, x, use_running_average, self.momentum
                )
                epsilon = _BATCH_EPSILON
            y = standardize(x, *moments, epsilon)
            return scaled(y, self.features, scale, bias).astype(x.dtype)

        outputs = [normal(kind) for kind in kinds]
        if isinstance(self.kind, Choice):
            return select(self.kind, outputs)
        return outputs[0]


def norm_kinds(kind: str | Choice) -> tuple[str, ...]:
    """The names that ``kind`` may be.

    Raises:
        HyperparameterError: If one is not among `NORMS`.
    """
    kinds = kind.options if isinstance(kind, Choice) else (kind,)
    for name in kinds:
        if name not in NORMS:
            raise HyperparameterError(
                f"norm must be one of {list(NORMS)}, but got {name!r}."
                f"{nearest(str(name), NORMS)}"
            )
    return kinds


def norm_scale(
    features: int | Size, dtype: jnp.dtype, kind: str | Choice = "layer"
) -> jax.Array:
    """dtype[features], the initial scale: 1 for units in use, 0 for all others.

    Where ``kind`` picks "none", no unit is in use.
    """
    used = unit_mask(features)
    if used is None:
        used = jnp.ones((capacity(features),), bool)
    if isinstance(kind, Choice) and "none" in kind.options:
        used &= kind.index != kind.options.index("none")
    return used.astype(dtype)


def norm_params(
    kind: str | Choice, features: int | Size, dtype: jnp.dtype
) -> dict[str, jax.Array]:
    """Initial parameters of `Norm`: "scale", and "bias" where a kind has one.

    {} of "none", which is no layer.
    """
    if norm_kinds(kind) == ("none",):
        return {}
    params = {"scale": norm_scale(features, dtype, kind)}
    if _has_bias(kind):
        params["bias"] = jnp.zeros((capacity(features),), dtype)
    return params


def _has_bias(kind: str | Choice) -> bool:
    return not {"layer", "batch"}.isdisjoint(norm_kinds(kind))


def _affine(
    module: linen.Module,
    features: int | Size,
    x: jax.Array,
    kind: str | Choice = "layer",
) -> tuple[jax.Array, jax.Array | None]:
    """The scale and the bias of a norm over ``x``; None where no kind has a bias."""
    _check_units(x, features, type(module).__name__)
    scale = module.param("scale", lambda _: norm_scale(features, x.dtype, kind))
    if not _has_bias(kind):
        return scale, None
    bias = module.param("bias", lambda _: jnp.zeros((x.shape[-1],), x.dtype))
    return scale, bias


def _batch_moments(
    module: linen.Module,
    features: int | Size,
    x: jax.Array,
    use_running_average: bool,
    momentum: float,
) -> tuple[jax.Array, jax.Array]:
    """f32[features] mean and variance: the running ones, or the batch's, noted."""
    mean = module.variable(
        "batch_stats", "mean", lambda: jnp.zeros((x.shape[-1],), jnp.float32)
    )
    var = module.variable(
        "batch_stats", "var", lambda: norm_scale(features, jnp.dtype(jnp.float32))
    )
    if use_running_average:
        return mean.value, var.value
    axes = tuple(range(x.ndim - 1))
    now = moments_of(jnp.mean(wide(x), axes), jnp.mean(jnp.square(wide(x)), axes))
    if not module.is_initializing():
        for running, value in zip((mean, var), now, strict=True):
            running.value = momentum * running.value + (1.0 - momentum) * value
    return now


def _check_units(x: jax.Array, features: int | Size, layer: str) -> None:
    if capacity(features) != x.shape[-1]:
        raise ValueError(
            f"{layer} expects {capacity(features)} units, but got x with shape "
            f"{x.shape}. Pass `features=` as the size of the layer before."
        )
