"""Moving averages of weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Average:
    """The exponential moving average of a network's variables, free of their start.

    After t steps it is sum_s d^(t-s) w_s / sum_s d^(t-s) for a decay d: what
    `optax.ema` gives with ``debias=True``. At d = 0 it is exactly w_t.

    Attributes:
        variables: The average of all variables, statistics of batch norm included;
            their start where no step was taken.
        steps: i32[] steps that are in it.

    Reference:
        Polyak, Juditsky (1992), Acceleration of stochastic approximation by averaging;
        Kingma, Ba (2015), Adam (section 7.2: the average, and its bias correction).
    """

    variables: Any
    steps: jax.Array

    @classmethod
    def start(cls, variables: Any) -> Average:
        """Before the first step."""
        return cls(variables=variables, steps=jnp.zeros((), jnp.int32))

    def including(self, variables: Any, decay: float | jax.Array) -> Average:
        """The average after one more step, which led to ``variables``."""
        decay = jnp.asarray(decay, jnp.float32)
        steps = self.steps + 1
        # (1 - d) / (1 - d^t), written so that it is exact at d = 0 and near d = 1.
        total = -jnp.expm1(steps.astype(jnp.float32) * jnp.log(decay))
        share = jnp.where(steps > 1, (1.0 - decay) / total, jnp.ones_like(decay))

        def averaged(old: jax.Array, new: jax.Array) -> jax.Array:
            if not jnp.issubdtype(new.dtype, jnp.floating):
                return new
            pair = (new.astype(jnp.float32), old.astype(jnp.float32))
            mean: jax.Array = optax.incremental_update(*pair, share)
            return mean.astype(new.dtype)

        return Average(
            variables=jax.tree.map(averaged, self.variables, variables), steps=steps
        )
