"""The Metric: a score of a whole split, with its name and direction."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError


@dataclasses.dataclass(frozen=True)
class Metric:
    """A score and the direction in which it gets better.

    Attributes:
        function: (outputs f32[N, C or K], targets i32[N] or f32[N, K]) -> a scalar, of
            functions that JAX can trace. It must give a finite number for finite
            outputs, because a member whose numbers stop to be finite counts as
            diverged.
        direction: "maximize" or "minimize".
        name: What curves and scores are called by, after "val_", "train_" or "test_";
            the function's own name unless given.
        degree: Of a metric for regression, the power k of a change of units: the
            metric of a * o + b and a * t + b is abs(a)^k times that of o and t. None
            where there is no such k; then it is computed in the targets' own units.

    Raises:
        HyperparameterError: If the direction is neither or there is no name.

    Example:
        >>> import jax.numpy as jnp
        >>> def bias(outputs, targets):
        ...     return jnp.abs(jnp.mean(outputs - targets))
        >>> Metric(bias, "minimize").name
        'bias'
    """

    function: Callable[[jax.Array, jax.Array], Any]
    direction: Literal["maximize", "minimize"]
    name: str = ""
    degree: int | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise HyperparameterError(
                "The function of a Metric must be callable, but got "
                f"{self.function!r}. Metrics with a name need no Metric: "
                'metric="f1_macro".'
            )
        if self.direction not in ("maximize", "minimize"):
            raise HyperparameterError(
                "direction must be 'maximize' or 'minimize', but got "
                f"{self.direction!r}. Use `Metric(fn, 'maximize')` where more is "
                "better."
            )
        name = self.name or own_name(self.function)
        if not isinstance(name, str) or not name.isidentifier():
            raise HyperparameterError(
                "The name of a Metric must be an identifier, because it is part of "
                f"names such as 'val_accuracy', but got {name!r}. Give it one: "
                f"`Metric(fn, {self.direction!r}, name='my_score')`."
            )
        object.__setattr__(self, "name", name)

    def __call__(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        """f32[]: the score of ``outputs``, as float32, against ``targets``.

        Raises:
            HyperparameterError: If the function returns more than a scalar.
        """
        score = jnp.asarray(self.function(outputs.astype(jnp.float32), targets))
        if score.shape:
            raise HyperparameterError(
                f"A metric must return a scalar, but {self.name!r} returns shape "
                f"{score.shape}. Reduce it, for instance with `jnp.mean`."
            )
        return score.astype(jnp.float32)


def own_name(function: Callable[..., Any]) -> str:
    """The function's own name, that of what a partial is made of; "" without one."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", ""))
