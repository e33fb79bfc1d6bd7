"""From hyperparameters to the augmentation of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax

from evotune._contracts import Binding
from evotune.augmentation._brightness import brightness
from evotune.augmentation._cutout import cutout
from evotune.augmentation._flip import flip
from evotune.augmentation._mixup import mixup
from evotune.augmentation._noise import noise
from evotune.augmentation._rotate import rotate
from evotune.augmentation._scale import scale, scale_series
from evotune.augmentation._shift import shift, shift_series

_Function = Callable[[jax.Array, jax.Array, Any, Any], jax.Array]

_IMAGES: Mapping[str, _Function] = {
    "flip": lambda key, x, probability, _: flip(key, x, probability),
    "scale": scale,
    "rotation": rotate,
    "shift": shift,
    "brightness": brightness,
    "cutout": cutout,
}
_SERIES: Mapping[str, _Function] = {"shift": shift_series, "scale": scale_series}

# What the draws of a step are for, folded into its key: far from the small numbers that
# dropout folds in. New ones go to the end, so that no other draw changes.
_PURPOSES = {
    name: 2**31 + number
    for number, name in enumerate((*_IMAGES, "input_noise", "mixup"))
}

BINDINGS: Mapping[str, Binding] = dict.fromkeys(
    (*_PURPOSES, "augmentation_probability"), Binding.TRACED
)
"""The hyperparameters that `augment` reads."""

_RULES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "flip": ("must lie in [0, 1]", lambda v: 0 <= v <= 1),
    "scale": ("must lie in [0, 1)", lambda v: 0 <= v < 1),
    "rotation": ("must lie in [0, 180] degrees", lambda v: 0 <= v <= 180),
    "shift": ("must lie in [0, 1]", lambda v: 0 <= v <= 1),
    "brightness": ("must be at least 0", lambda v: v >= 0),
    "cutout": ("must lie in [0, 1]", lambda v: 0 <= v <= 1),
    "input_noise": ("must be at least 0", lambda v: v >= 0),
    "mixup": ("must be at least 0", lambda v: v >= 0),
    "augmentation_probability": ("must lie in [0, 1]", lambda v: 0 <= v <= 1),
}


def augment(
    key: jax.Array, x: jax.Array, hp: Mapping[str, Any]
) -> tuple[jax.Array, jax.Array | None]:
    """A batch as training sees it; ``x`` itself where ``hp`` names no augmentation.

    Args:
        key: The step's key; each augmentation folds a purpose of its own into it.
        x: Images f32[B, H, W, C], series f32[B, T, C], or rows of a table f32[B, F].
        hp: Any of the names in `BINDINGS`; values may be traced.

    Returns:
        The batch, and the weight f32[] of `mixup`, None where examples are not mixed.

    Example:
        >>> import jax.numpy as jnp
        >>> x, weight = augment(jax.random.key(0), jnp.ones((2, 40, 1)), {"shift": 0.1})
        >>> x.shape, weight
        ((2, 40, 1), None)
    """

    def purpose(name: str) -> jax.Array:
        return jax.random.fold_in(key, _PURPOSES[name])

    probability = hp.get("augmentation_probability", 1.0)
    for name, function in _known_for(x.shape[1:]).items():
        if name in hp:
            x = function(purpose(name), x, hp[name], probability)
    if "input_noise" in hp:
        x = noise(purpose("input_noise"), x, hp["input_noise"])
    if "mixup" in hp:
        return mixup(purpose("mixup"), x, hp["mixup"])
    return x, None


def check_augmentation(
    values: Mapping[str, tuple[Any, ...]], shape: tuple[int, ...]
) -> list[str]:
    """Problems with the bounds or choices of `BINDINGS` for examples of ``shape``."""
    problems = [
        f"{name} {rule}, but may be {value!r}. "
        f"Change the bounds of `{name}` in the space."
        for name, (rule, holds) in _RULES.items()
        for value in values.get(name, ())
        if isinstance(value, bool)
        or not isinstance(value, int | float)
        or not holds(value)
    ]
    for name in values:
        if name in _IMAGES and name not in _known_for(shape):
            kinds = "images [height, width, channels]"
            if name in _SERIES:
                kinds += " or series [length, channels]"
            problems.append(
                f"{name} is an augmentation of {kinds}, but an example has shape "
                f"{shape}. If it is one, say so: `dataset.reshape(8, 8, 1)` for images "
                "of 8 x 8 pixels, `dataset.reshape(40, 1)` for series of 40 points; "
                f"else leave `{name}` out, or use `input_noise`."
            )
    return problems


def _known_for(shape: tuple[int, ...]) -> Mapping[str, _Function]:
    return {3: _IMAGES, 2: _SERIES}.get(len(shape), {})
