"""Cutting padded variables to the true sizes."""

from __future__ import annotations

from typing import Any

import jax

from evotune import nn
from evotune.models._network import Network, Variables

WINDOW = "conv"
"""How the names of layers begin whose kernels have a window in front."""


def cut_like(network: Network, variables: Variables) -> Variables:
    """Cuts padded ``variables`` to the shapes that ``network`` of plain sizes has.

    What is in use stands first on every axis but those of a convolution's window, where
    it stands in the middle, so that the shapes say all.
    """
    return dict(_cut(variables, jax.eval_shape(network.init, jax.random.key(0))))


def _cut(padded: Any, like: Any, layer: str = "") -> Any:
    if isinstance(like, dict):
        return {
            name: _cut(padded[name], inner, layer if name == "kernel" else name)
            for name, inner in like.items()
        }
    window = like.ndim - 2 if layer.startswith(WINDOW) else 0
    firsts = [
        nn.first_tap(size, padded.shape[axis]) if axis < window else 0
        for axis, size in enumerate(like.shape)
    ]
    return padded[
        tuple(slice(f, f + n) for f, n in zip(firsts, like.shape, strict=True))
    ]
