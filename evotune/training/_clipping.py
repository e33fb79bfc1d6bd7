"""Bounds on the gradient, by value and by norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optax


def unclipped(hp: Mapping[str, Any]) -> dict[str, Any]:
    """``hp`` without bounds on the gradient."""
    bounds = ("gradient_clip_value", "gradient_clip")
    return {name: value for name, value in hp.items() if name not in bounds}


def clipping(hp: Mapping[str, Any]) -> list[optax.GradientTransformation]:
    """What bounds the gradient before the optimiser sees it; none where not asked.

    ``gradient_clip_value`` bounds every entry and comes first; ``gradient_clip`` bounds
    the global norm. Scaling down keeps the first bound, so both hold in the end.

    Reference:
        Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent neural
        networks.
    """
    parts = []
    if hp.get("gradient_clip_value") is not None:
        parts.append(optax.clip(hp["gradient_clip_value"]))
    if hp.get("gradient_clip") is not None:
        parts.append(optax.clip_by_global_norm(hp["gradient_clip"]))
    return parts
