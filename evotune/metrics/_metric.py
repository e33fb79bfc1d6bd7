"""The Metric: a score of a whole split, with its name and direction."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError
from evotune._signatures import parameter_names


@dataclasses.dataclass(frozen=True)
class Metric:
    """A score and the direction in which it gets better.

    Attributes:
        function: (outputs f32[N, C or K], targets i32[N] or f32[N, K]) -> a scalar, of
            functions that JAX can trace; a third argument ``sample_weight``, f32[N],
            gets how much each example counts, where the dataset says so. It must give a
            finite number for finite outputs, because a member whose numbers stop to be
            finite counts as diverged.
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

    function: Callable[..., Any]
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

    @property
    def is_weighted(self) -> bool:
        """Whether the function takes ``sample_weight``."""
        return "sample_weight" in parameter_names(self.function)

    def __call__(
        self,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> jax.Array:
        """f32[]: the score of ``outputs``, as float32, against ``targets``.

        Args:
            outputs: f32[N, ...].
            targets: [N, ...].
            sample_weight: f32[N] how much each example counts, where the function takes
                it; None for all the same.

        Raises:
            HyperparameterError: If the function returns more than a scalar.
        """
        more: dict[str, Any] = {}
        if sample_weight is not None and self.is_weighted:
            more = {"sample_weight": sample_weight}
        outputs = outputs.astype(jnp.float32)
        score = jnp.asarray(self.function(outputs, targets, **more))
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
