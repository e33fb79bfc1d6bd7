"""The networks that benchmarks train, as users write them, in plain Flax.

`make_network` gives any of them as something with linen's ``init`` and ``apply``, which
is all that the rivals need; `make_module` gives the module itself, which is what a user
hands to evotune.
"""

from __future__ import annotations

from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

HEADS = 4
BLOCKS = 2
PATCH = 8  # values of an example that make one step of a series


class Network(Protocol):
    """What a rival trains: initial variables, and logits by variables and inputs."""

    def init(self, key: jax.Array, x: jax.Array, /) -> Any:
        """The initial variables, for inputs such as x."""
        ...

    def apply(self, variables: Any, x: jax.Array, /) -> Any:
        """Logits f32[B, classes] of f32[B, F]."""
        ...


class MLP(nn.Module):
    """Two hidden layers of ``width`` units and one output for each class."""

    width: int
    classes: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits f32[B, classes] of inputs f32[B, F]."""
        x = nn.relu(nn.Dense(self.width)(x))
        x = nn.relu(nn.Dense(self.width)(x))
        return nn.Dense(self.classes)(x)


class NnxMLP(nnx.Module):
    """The same in nnx."""

    def __init__(self, features: int, width: int, classes: int, *, rngs: nnx.Rngs):
        self.first = nnx.Linear(features, width, rngs=rngs)
        self.second = nnx.Linear(width, width, rngs=rngs)
        self.last = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits f32[B, classes] of inputs f32[B, features]."""
        return self.last(nnx.relu(self.second(nnx.relu(self.first(x)))))


class GRU(nn.Module):
    """A layer of ``width`` gated units over the steps; logits of the last one."""

    width: int
    classes: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits f32[B, classes] of inputs f32[B, F], read in steps of `PATCH`."""
        x = x.reshape(x.shape[0], -1, PATCH)
        hidden: Any = nn.RNN(nn.GRUCell(self.width))(x)
        return nn.Dense(self.classes)(hidden[:, -1])


class Transformer(nn.Module):
    """An encoder of `BLOCKS` blocks of `HEADS` heads, norms first, mean pooling."""

    width: int
    classes: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits f32[B, classes] of inputs f32[B, F], read in steps of `PATCH`."""
        x = x.reshape(x.shape[0], -1, PATCH)
        normal = nn.initializers.normal(self.width**-0.5)
        x = nn.Dense(self.width)(x)
        x = x + self.param("positions", normal, (1, x.shape[1], self.width))
        for _ in range(BLOCKS):
            x = x + nn.MultiHeadDotProductAttention(HEADS)(nn.LayerNorm()(x))
            hidden = nn.gelu(nn.Dense(2 * self.width)(nn.LayerNorm()(x)))
            x = x + nn.Dense(self.width)(hidden)
        return nn.Dense(self.classes)(nn.LayerNorm()(x.mean(axis=1)))


LINEN: dict[str, Any] = {"mlp": MLP, "gru": GRU, "transformer": Transformer}


class NnxNetwork:
    """`NnxMLP` by functions: split once, merged where it is applied."""

    def __init__(self, width: int, classes: int):
        self.width, self.classes = width, classes

    def _build(self, key: jax.Array, features: int) -> Any:
        return NnxMLP(features, self.width, self.classes, rngs=nnx.Rngs(key))

    def init(self, key: jax.Array, x: jax.Array, /) -> Any:
        """The parameters that the module is made with."""
        return nnx.state(self._build(key, x.shape[-1]), nnx.Param)

    def apply(self, variables: Any, x: jax.Array, /) -> jax.Array:
        """Logits of the module with these parameters in it."""
        shape = nnx.eval_shape(lambda: self._build(jax.random.key(0), x.shape[-1]))
        return jnp.asarray(nnx.merge(nnx.graphdef(shape), variables)(x))


def make_network(name: str, width: int, classes: int) -> Network:
    """The network of a name in `LINEN`, or "nnx"."""
    if name == "nnx":
        return NnxNetwork(width, classes)
    network: Network = LINEN[name](width=width, classes=classes)
    return network


def parameters_of(network: Network, x: Any) -> int:
    """Number of parameters for inputs such as x, computed without making any."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), x[:1])
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))
