"""`WeightSparsity`: how many weights of a member are as good as zero."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from evotune import training
from evotune._errors import HyperparameterError
from evotune.models import Network

SPARSITY = "weight_sparsity"
"""The name of the curve."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightSparsity:
    """Records the share of weights below a threshold, as "weight_sparsity".

        |{w : abs(w) < threshold}| / |{w}|, over the kernels: no biases, no scales

    It is computed on the device after every epoch, of all members at once. Units that a
    member does not have are not counted: a weight counts if it was drawn other than
    zero, or has moved since. To see which weights are drawn, the initial values are
    drawn again after each epoch; a task without it does not.

    Attributes:
        threshold: What is as good as zero, above 0.

    Raises:
        HyperparameterError: If ``threshold`` is not a finite number above 0.

    Reference:
        Han, Pool, Tran, Dally (2015), Learning both weights and connections for
        efficient neural networks, where such weights are cut.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Classification(
        ...     et.datasets.wine(),
        ...     model=et.models.MLP(),
        ...     monitor=[et.tasks.WeightSparsity(threshold=0.01)],
        ... )
        >>> "weight_sparsity" in task.records
        True
    """

    threshold: float = 1e-3

    def __post_init__(self) -> None:
        value = self.threshold
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 < value < math.inf:
            raise HyperparameterError(
                "threshold must be a finite number above 0, as masked units are zero, "
                f"but got {value!r}. Use `WeightSparsity(threshold=1e-3)`."
            )

    def __call__(self, network: Network, variables: Any) -> jax.Array:
        """f32[]: the share in ``variables`` of one member's ``network``.

        0 where no weight counts. Any key tells which weights are drawn at all.
        """
        params = variables["params"]
        drawn = network.init(jax.random.key(0))["params"]
        small = counted = jnp.zeros((), jnp.float32)
        leaves = map(jax.tree.leaves, (params, drawn, training.is_kernel(params)))
        for weight, initial, is_kernel in zip(*leaves, strict=True):
            if is_kernel:
                counts = (weight != 0) | (initial != 0)
                is_small = counts & (jnp.abs(weight) < self.threshold)
                counted += jnp.sum(counts, dtype=jnp.float32)
                small += jnp.sum(is_small, dtype=jnp.float32)
        return small / jnp.maximum(counted, 1.0)


def split_monitor(monitor: Any) -> tuple[Any, WeightSparsity | None]:
    """The metrics of outputs among what is monitored, and that of weights.

    Raises:
        HyperparameterError: If there are two of weights, which would share one name.
    """
    if isinstance(monitor, WeightSparsity):
        monitor = [monitor]
    if isinstance(monitor, str) or not isinstance(monitor, Iterable):
        return monitor, None
    found = list(monitor)
    weights = [each for each in found if isinstance(each, WeightSparsity)]
    if len(weights) > 1:
        raise HyperparameterError(
            "monitor may have one WeightSparsity, but got thresholds "
            f"{', '.join(str(each.threshold) for each in weights)}. Keep one of them."
        )
    others = [each for each in found if not isinstance(each, WeightSparsity)]
    return others, weights[0] if weights else None
