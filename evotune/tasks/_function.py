"""A plain function to optimise, without training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError
from evotune._signatures import call_by_name
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._task import Task


class Function(Task):
    """Evaluates ``fn(hp, key)``, which JAX can trace, for a whole population at once.

    Args:
        fn: Maps hyperparameters (by attribute) and the trial's own key (may be left
            out) to a scalar. For functions that JAX cannot trace, use
            `Study.ask` and `Study.tell`.
        direction: "minimize" or "maximize".

    Raises:
        HyperparameterError: If the direction is neither.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Function(lambda hp: (hp.x - 1.0) ** 2 + hp.y**2)
    """

    steps_per_epoch = 0

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        direction: Literal["maximize", "minimize"] = "minimize",
    ):
        """See the class."""
        if direction not in ("maximize", "minimize"):
            raise HyperparameterError(
                "direction must be 'maximize' or 'minimize', but got "
                f"{direction!r}. Use `Function(fn, direction='minimize')`."
            )
        self.fn = fn
        self.direction = direction

    def init(self, hp: Hyperparameters, key: jax.Array) -> jax.Array:
        """f32[]: the value of the function."""
        value = jnp.asarray(call_by_name(self.fn, hp=hp, key=key))
        if value.shape:
            raise HyperparameterError(
                f"The function must return a scalar, but returns shape {value.shape}. "
                "Reduce it, for instance with `jnp.sum`."
            )
        return value.astype(jnp.float32)

    def step(self, state: jax.Array) -> jax.Array:
        """There is nothing to train."""
        return state

    def evaluate(self, state: jax.Array) -> dict[str, jax.Array]:
        """{"value": f32[]}."""
        return {"value": state}
