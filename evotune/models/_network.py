"""What a task trains: one network, as two pure functions of its variables."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from evotune import nn
from evotune._contracts import Binding

Variables = dict[str, Any]
"""{"params": trained, and any other collections, such as "batch_stats"}."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Info:
    """What a model has to know of the data.

    Attributes:
        input_shape: Shape of one example, without the batch axis.
        num_outputs: Number of classes, or of regression targets.
        vocab_size: V, where examples are i32 codes of symbols in 0..V-1, and -1 beyond
            the end of a shorter one; None where they are numbers.
        each_step: Whether outputs are wanted at every step of a series, each computed
            from that step and those before it.
    """

    input_shape: tuple[int, ...]
    num_outputs: int
    vocab_size: int | None = None
    each_step: bool = False

    @property
    def input_dtype(self) -> jnp.dtype:
        """int32 of symbols, float32 of numbers."""
        return jnp.dtype(jnp.float32 if self.vocab_size is None else jnp.int32)


class Network(Protocol):
    """A network for ONE member: no population axis anywhere."""

    def fitted(self, variables: Variables) -> Any:
        """The Flax module to hand out; one that holds its variables holds these."""
        ...

    def layers(self, params: Mapping[str, Any]) -> Mapping[str, nn.InUse]:
        """Whether layers that may be out of use are, by their name in ``params``."""
        ...

    def init(self, key: jax.Array) -> Variables:
        """Initial variables. ``key`` is consumed."""
        ...

    def apply(
        self, variables: Variables, x: jax.Array, *, train: bool, key: jax.Array | None
    ) -> tuple[jax.Array, Variables]:
        """Outputs for [B, *input_shape], and the variables after the call.

        ``key`` feeds dropout and the like, and is consumed; None only where ``train``
        is false.
        """
        ...


class Model(Protocol):
    """Something that makes a `Network` from hyperparameters.

    One with convolutions may also have ``window_elements(sizes, info)``: the elements
    of all windows that they read in one example's forward pass.
    """

    @property
    def bindings(self) -> Mapping[str, Binding]:
        """Hyperparameters it knows by name, and how each one is bound."""
        ...

    @property
    def skips(self) -> Collection[str]:
        """Sizes of which nothing is computed that no member trained together needs."""
        ...

    def network(self, hp: Any, info: Info) -> Network:
        """The network of one member; values in ``hp`` may be traced."""
        ...

    def multiply_adds(self, sizes: Mapping[str, Any], info: Info) -> float | None:
        """Multiply-adds of one example's forward pass; None where unknown."""
        ...

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """Problems with the extreme values or choices of its hyperparameters."""
        ...

    def slice(self, variables: Variables, hp: Any, info: Info) -> Variables:
        """Cuts padded ``variables`` to the true sizes of the plain values in ``hp``."""
        ...
