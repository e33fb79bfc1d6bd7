"""The learning rate that fits a batch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from evotune.training._names import DEFAULT_LEARNING_RATE, pick

BASE_BATCH_SIZE = 64
"""At this batch size ``learning_rate`` means what it says under every scaling."""

SCALINGS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
    "none": jnp.ones_like,
    "linear": lambda ratio: ratio,
    "sqrt": jnp.sqrt,
}
"""What ``batch_size_scaling`` may be: factors for batch_size / BASE_BATCH_SIZE."""


def learning_rate(hp: Mapping[str, Any]) -> Any:
    """``learning_rate``, scaled with ``batch_size`` where ``batch_size_scaling`` asks.

    Reference:
        Goyal et al. (2017), Accurate, large minibatch SGD (linear); Krizhevsky (2014),
        One weird trick for parallelizing convolutional neural networks (sqrt).
    """
    rate = hp.get("learning_rate", DEFAULT_LEARNING_RATE)
    scaling = hp.get("batch_size_scaling", "none")
    if isinstance(scaling, str) and scaling == "none":
        return rate
    size = hp.get("batch_size", BASE_BATCH_SIZE)
    ratio = jnp.asarray(size, jnp.float32) / BASE_BATCH_SIZE
    factor = pick(scaling, SCALINGS, "batch_size_scaling", lambda f: f(ratio))
    return jnp.asarray(rate, jnp.float32) * factor
