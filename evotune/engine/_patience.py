"""Early stopping: a member that no longer improves ends its training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a member has waited for its objective to improve.

    A member stops after ``epochs`` evaluations in a row none of which was better than
    the best before by more than ``least``.

    Attributes:
        best: f32[] the last objective that counted as better; larger is better.
        waited: i32[] epochs since.
        epochs: i32[] the hyperparameter `patience`.
        least: f32[] the hyperparameter `min_delta`.

    Reference:
        Prechelt (1998), Early stopping, but when? Differs from the paper: no strips;
        the rule of Keras' EarlyStopping.
    """

    best: jax.Array
    waited: jax.Array
    epochs: jax.Array
    least: jax.Array

    @classmethod
    def of(cls, hp: Mapping[str, Any]) -> Patience | None:
        """Before the first epoch; None where ``hp`` has no `patience`."""
        if "patience" not in hp:
            return None
        return cls(
            best=jnp.asarray(-jnp.inf, jnp.float32),
            waited=jnp.zeros((), jnp.int32),
            epochs=jnp.asarray(hp["patience"], jnp.int32),
            least=jnp.asarray(hp.get("min_delta", 0.0), jnp.float32),
        )

    def under(self, hp: Mapping[str, Any]) -> Patience:
        """The same wait, under the limits in ``hp``."""
        rule = Patience.of(hp)
        assert rule is not None
        return dataclasses.replace(rule, best=self.best, waited=self.waited)

    def after(self, fitness: jax.Array) -> Patience:
        """After an epoch whose objective is f32[] ``fitness``, larger is better."""
        better = fitness > self.best + self.least
        return dataclasses.replace(
            self,
            best=jnp.where(better, fitness, self.best),
            waited=jnp.where(better, jnp.zeros_like(self.waited), self.waited + 1),
        )

    @property
    def is_over(self) -> jax.Array:
        """bool[]: whether the member has stopped."""
        return self.waited >= jnp.maximum(self.epochs, 1)
