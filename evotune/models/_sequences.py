"""Examples as series of steps: what the models of sequences share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError
from evotune.models._checks import as_tuple, option_problems

STEP_NORMS = ("none", "layer", "rms")
"""Norms of single steps: none of them has running statistics."""


def as_series(
    x: jax.Array, *, image_shape: tuple[int, ...] | None = None, patch: int = 1
) -> jax.Array:
    """Examples f32[B, T], f32[B, T, C] or images as f32[B, steps, values of a step].

    Args:
        x: f32[B, *input_shape].
        image_shape: (height, width) or (height, width, channels) of images, which may
            come flattened; None for series.
        patch: Steps of a series that make one, or the side of an image's patches.

    Raises:
        HyperparameterError: If the shapes do not fit.
    """
    steps, values = series_shape(x.shape[1:], image_shape=image_shape, patch=patch)
    rows = x.shape[0]
    image = _image_shape(x.shape[1:], image_shape)
    if image is None:
        return x.reshape((rows, steps, values))
    height, width, channels = image
    x = x.reshape((rows, height // patch, patch, width // patch, patch, channels))
    return x.transpose((0, 1, 3, 2, 4, 5)).reshape((rows, steps, values))


def series_shape(
    shape: tuple[int, ...],
    *,
    image_shape: tuple[int, ...] | None = None,
    patch: int = 1,
) -> tuple[int, int]:
    """(steps, values of a step) of an example of ``shape``; see `as_series`."""
    image = _image_shape(shape, image_shape)
    sides = shape[:1] if image is None else image[:2]
    if not sides or len(shape) > 3 or any(side % patch for side in sides):
        raise HyperparameterError(
            f"patch must divide each side of the examples, but patch is {patch} and "
            f"their shape is {image or shape}. Use a patch that divides it, and "
            "`image_shape=(height, width)` for flattened images."
        )
    steps = math.prod(side // patch for side in sides)
    return steps, math.prod(shape) // steps


def check_symbols(shape: tuple[int, ...], patch: int) -> None:
    """Whether examples of ``shape`` can be read symbol by symbol.

    Raises:
        HyperparameterError: If they are no series of single symbols.
    """
    if len(shape) != 1 or patch != 1:
        raise HyperparameterError(
            "Symbols must come as series of shape [T] and with patch=1, but an example "
            f"has shape {shape} and patch is {patch}. Leave `patch` out."
        )


def step_norm_problems(values: Mapping[str, Any]) -> list[str]:
    """Problems with the ``norm`` of a network over steps; "batch" is told why not."""
    if "batch" in as_tuple(values["norm"]):
        return [
            "norm must not be 'batch' in a network over steps: its statistics run over "
            "all steps of all examples, so padded steps, and later ones that outputs "
            f"must not see, would change all outputs. Use one of {list(STEP_NORMS)}, "
            "such as `norm='layer'`."
        ]
    return option_problems(values, "norm", STEP_NORMS)


def mean_of_steps(x: jax.Array, valid: jax.Array | None) -> jax.Array:
    """f32[B, W]: mean of f32[B, T, W] over the steps that are ``valid``, bool[B, T]."""
    if valid is None:
        return jnp.mean(x, axis=1)
    weights = valid.astype(x.dtype)
    count = jnp.maximum(jnp.sum(weights, axis=1), 1.0)
    return jnp.einsum("bt,btw->bw", weights, x) / count[:, None]


def last_step(x: jax.Array, valid: jax.Array | None) -> jax.Array:
    """f32[B, W]: f32[B, T, W] at the last step, the last ``valid`` one where given."""
    if valid is None:
        return x[:, -1]
    following = jnp.pad(valid[:, 1:], ((0, 0), (0, 1)))
    return jnp.einsum("bt,btw->bw", (valid & ~following).astype(x.dtype), x)


def _image_shape(
    shape: tuple[int, ...], image_shape: tuple[int, ...] | None
) -> tuple[int, int, int] | None:
    """(height, width, channels), or None for series."""
    image = shape if image_shape is None and len(shape) == 3 else image_shape
    if image is None:
        return None
    if len(image) not in (2, 3) or math.prod(image) != math.prod(shape):
        raise HyperparameterError(
            f"image_shape must have as many values as an example of shape {shape}, but "
            f"is {image}. Use `image_shape=(height, width)`."
        )
    height, width, channels = (*image, 1)[:3]
    return height, width, channels
