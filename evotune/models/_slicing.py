"""Cutting padded variables to the true sizes."""

from __future__ import annotations

from typing import Any

import jax

from evotune.models._network import Network, Variables


def cut_like(network: Network, variables: Variables) -> Variables:
    """Cuts padded ``variables`` to the shapes that ``network`` of plain sizes has.

    What is in use stands first on every axis, so that the shapes say all.
    """
    return dict(_cut(variables, jax.eval_shape(network.init, jax.random.key(0))))


def _cut(padded: Any, like: Any) -> Any:
    if isinstance(like, dict):
        return {name: _cut(padded[name], inner) for name, inner in like.items()}
    return padded[tuple(slice(n) for n in like.shape)]
