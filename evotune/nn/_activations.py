"""Activations by name, one of which may be picked by a traced choice."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen

from evotune._errors import HyperparameterError, nearest
from evotune.nn._traced import Choice, select

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": linen.relu,
    "leaky_relu": linen.leaky_relu,
    "elu": linen.elu,
    "gelu": linen.gelu,
    "silu": linen.silu,
    "tanh": linen.tanh,
    "selu": linen.selu,
}
"""Every one of them maps 0 to 0, on which the masking of `Dense` relies."""


def activation(name: str | Choice, x: jax.Array) -> jax.Array:
    """Applies the activation ``name`` to ``x``, elementwise.

    Under a traced `Choice` all its options are computed and one is selected. Those that
    are made of a hyperbolic tangent share one: it is most of their cost, and on narrow
    layers three of them take half as long as the matrix products.

    Raises:
        HyperparameterError: If a name is not one of `ACTIVATIONS`.
    """
    if isinstance(name, Choice):
        return _selected(name, x)
    if name not in ACTIVATIONS:
        raise HyperparameterError(
            f"activation must be one of {sorted(ACTIVATIONS)}, but got {name!r}."
            f"{nearest(str(name), ACTIVATIONS)}"
        )
    return ACTIVATIONS[name](x)


_TANH_OF: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": lambda x: math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3),
    "silu": lambda x: 0.5 * x,
    "tanh": lambda x: x,
}
"""What these take the hyperbolic tangent of; but for "tanh" they are x (1 + tanh) / 2,
"silu" because the logistic function is (1 + tanh(x / 2)) / 2."""


def _selected(choice: Choice, x: jax.Array) -> jax.Array:
    """The option that is picked, of x; at most one hyperbolic tangent is computed."""
    options = choice.options
    if sum(option in _TANH_OF for option in options) < 2:
        return select(choice, [activation(option, x) for option in options])
    inner = [_TANH_OF.get(option, jnp.zeros_like)(x) for option in options]
    tanh = jnp.tanh(select(choice, inner))
    made = dict.fromkeys(("gelu", "silu"), 0.5 * x * (1.0 + tanh))
    made["tanh"] = tanh
    return select(
        choice,
        [made[y] if y in _TANH_OF else activation(y, x) for y in options],
    )
