"""Activations by name, one of which may be picked by a traced choice."""

from __future__ import annotations

from collections.abc import Callable

import jax
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

    Under a traced `Choice` all its options are computed and one is selected, which is
    cheap beside the matrix products around it.

    Raises:
        HyperparameterError: If a name is not one of `ACTIVATIONS`.
    """
    if isinstance(name, Choice):
        return select(name, [activation(option, x) for option in name.options])
    if name not in ACTIVATIONS:
        raise HyperparameterError(
            f"activation must be one of {sorted(ACTIVATIONS)}, but got {name!r}."
            f"{nearest(str(name), ACTIVATIONS)}"
        )
    return ACTIVATIONS[name](x)
