"""Networks computed in bfloat16, while their weights stay float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from evotune import nn
from evotune._errors import HyperparameterError, nearest
from evotune.models._network import Network, Variables

Precision = Literal["float32", "bfloat16"]
"""What a network is computed in."""

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


class MixedPrecision:
    """``network`` in bfloat16, for callers that know nothing but float32.

    Parameters and examples are cast on their way in, outputs on their way out, so that
    the gradient of a loss arrives in float32 at float32 parameters. Other collections,
    such as the running statistics of batch norm, enter and leave as they are; symbols
    stay integers. Layers then compute in bfloat16 as Flax's do where they are told no
    ``dtype``; norms take their statistics in float32.

    bfloat16 has float32's range of exponents, so that no loss has to be scaled.

    Reference:
        Micikevicius et al. (2018), Mixed precision training; Kalamkar et al. (2019), A
        study of bfloat16 for deep learning training. Differs from the papers: sums
        within a matrix product are as wide as the device makes them.
    """

    def __init__(self, network: Network):
        """Wraps ``network`` without changing it."""
        self._network = network

    def fitted(self, variables: Variables) -> Any:
        """See `Network.fitted`: the plain module, which computes in float32."""
        return self._network.fitted(variables)

    def layers(self, params: Mapping[str, Any]) -> Mapping[str, nn.InUse]:
        """See `Network.layers`."""
        return self._network.layers(params)

    def init(self, key: jax.Array) -> Variables:
        """See `Network.init`: float32, the same as without."""
        return self._network.init(key)

    def apply(
        self, variables: Variables, x: jax.Array, *, train: bool, key: jax.Array | None
    ) -> tuple[jax.Array, Variables]:
        """See `Network.apply`: outputs are float32, parameters are returned as given.

        Flax's norms take float32 statistics of bfloat16 values, which JAX allows under
        its standard promotion only, so that this is set, whatever the user has set.
        """
        low = {**variables, "params": _lowered(variables["params"])}
        with jax.numpy_dtype_promotion("standard"):
            outputs, updated = self._network.apply(
                low, _lowered(x), train=train, key=key
            )
        updated = {name: updated[name] for name in updated if name != "params"}
        kept = {name: variables[name] for name in updated}
        updated = jax.tree.map(lambda new, old: new.astype(old.dtype), updated, kept)
        return _raised(outputs), {**variables, **updated}


def in_precision(network: Network, precision: Precision) -> Network:
    """``network`` as it is computed in ``precision``; itself in "float32"."""
    return network if precision == "float32" else MixedPrecision(network)


def check_precision(precision: Any) -> Precision:
    """``precision``, if it is one of `PRECISIONS`.

    Raises:
        HyperparameterError: If it is not.
    """
    for known in PRECISIONS:
        if precision == known:
            return known
    raise HyperparameterError(
        f"precision must be one of {list(PRECISIONS)}, but got {precision!r}."
        f"{nearest(str(precision), PRECISIONS)} Use precision='bfloat16', whose range "
        "is that of float32; float16 would need its loss scaled."
    )


def _lowered(tree: Any) -> Any:
    """Every float32 array in bfloat16; integers and other floats as they are."""
    return _cast(tree, jnp.float32, jnp.bfloat16)


def _raised(tree: Any) -> Any:
    return _cast(tree, jnp.bfloat16, jnp.float32)


def _cast(tree: Any, old: Any, new: Any) -> Any:
    return jax.tree.map(lambda x: x.astype(new) if x.dtype == old else x, tree)
