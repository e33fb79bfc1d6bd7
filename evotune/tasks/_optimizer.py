"""From hyperparameters to one optax optimiser, with every rate traceable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from evotune._contracts import Binding
from evotune._errors import nearest

OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw", "lion")

BINDINGS: Mapping[str, Binding] = {
    "optimizer": Binding.STATIC,
    "learning_rate": Binding.TRACED,
    "momentum": Binding.TRACED,
    "nesterov": Binding.TRACED,
    "b1": Binding.TRACED,
    "b2": Binding.TRACED,
    "weight_decay": Binding.TRACED,
    "gradient_clip": Binding.TRACED,
}
"""The hyperparameters that `make_optimizer` reads."""

_DEFAULT_BETAS = {"adam": (0.9, 0.999), "adamw": (0.9, 0.999), "lion": (0.9, 0.99)}
_DEFAULT_WEIGHT_DECAY = {"adamw": 1e-4, "lion": 1e-3}


def make_optimizer(hp: Mapping[str, Any]) -> optax.GradientTransformation:
    """The optimiser that ``hp`` describes; optax's own defaults where it says nothing.

    ``weight_decay`` is decoupled from the gradient for every optimiser (w <- w -
    learning_rate * weight_decay * w) and touches kernels only, that is, arrays of two
    or more axes. ``gradient_clip`` is the largest global norm of the gradient.

    Args:
        hp: Any of the names in `BINDINGS`; values may be traced, except ``optimizer``.

    Reference:
        Loshchilov, Hutter (2019), Decoupled weight decay regularization; Chen et al.
        (2023), Symbolic discovery of optimization algorithms (lion).
    """
    name = hp.get("optimizer", "adam")
    parts = []
    if hp.get("gradient_clip") is not None:
        parts.append(optax.clip_by_global_norm(hp["gradient_clip"]))
    parts.append(_direction(name, hp))
    weight_decay = hp.get("weight_decay", _DEFAULT_WEIGHT_DECAY.get(name))
    if weight_decay is not None:
        parts.append(optax.add_decayed_weights(weight_decay, mask=is_kernel))
    parts.append(optax.scale_by_learning_rate(hp.get("learning_rate", 1e-3)))
    return _keep_dtypes(optax.chain(*parts))


def is_kernel(params: Any) -> Any:
    """True for arrays of two or more axes: kernels, not biases or scales."""
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) >= 2, params)


def check_optimizer(values: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Problems with the bounds or choices of `BINDINGS` in ``values``."""
    problems = [
        f"optimizer must be one of {list(OPTIMIZERS)}, but may be {value!r}."
        f"{nearest(str(value), OPTIMIZERS)}"
        for value in values.get("optimizer", ())
        if value not in OPTIMIZERS
    ]
    for name, rule, holds in (
        ("learning_rate", "must be at least 0", lambda v: v >= 0),
        ("momentum", "must lie in [0, 1)", lambda v: 0 <= v < 1),
        ("b1", "must lie in [0, 1)", lambda v: 0 <= v < 1),
        ("b2", "must lie in [0, 1)", lambda v: 0 <= v < 1),
        ("weight_decay", "must be at least 0", lambda v: v >= 0),
        ("gradient_clip", "must be above 0", lambda v: v > 0),
    ):
        for value in values.get(name, ()):
            if value is None and name == "gradient_clip":
                continue
            if not isinstance(value, int | float) or not holds(value):
                problems.append(
                    f"{name} {rule}, but may be {value!r}. "
                    f"Change the bounds of `{name}` in the space."
                )
    return problems


def _direction(name: str, hp: Mapping[str, Any]) -> optax.GradientTransformation:
    """Where to step for a learning rate of one, before weight decay."""
    if name == "sgd":
        if "momentum" not in hp:
            return optax.identity()
        return _momentum(hp["momentum"], hp.get("nesterov", False))
    if name == "rmsprop":
        scale = optax.scale_by_rms()
        if "momentum" not in hp:
            return scale
        return optax.chain(scale, _momentum(hp["momentum"], hp.get("nesterov", False)))
    default_b1, default_b2 = _DEFAULT_BETAS[name]
    betas = {"b1": hp.get("b1", default_b1), "b2": hp.get("b2", default_b2)}
    if name == "lion":
        return optax.scale_by_lion(**betas)
    return optax.scale_by_adam(**betas)


def _momentum(decay: Any, nesterov: Any) -> optax.GradientTransformation:
    """`optax.trace`, whose ``nesterov`` may be traced: both share one state."""
    plain = optax.trace(decay)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        heavy, state = plain.update(updates, state, params)
        ahead = jax.tree.map(lambda g, m: g + decay * m, updates, heavy)
        chosen = jax.tree.map(lambda a, h: jnp.where(nesterov, a, h), ahead, heavy)
        return chosen, state

    return optax.GradientTransformation(plain.init, update)


def _keep_dtypes(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Keeps the state's dtypes: float32 rates must not promote a bfloat16 model."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        # optax raises float32 rates to integer step counts.
        with jax.numpy_dtype_promotion("standard"):
            stepped, new_state = inner.update(updates, state, params)
        return _cast_like(stepped, updates), _cast_like(new_state, state)

    return optax.GradientTransformation(inner.init, update)


def _cast_like(tree: Any, like: Any) -> Any:
    return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), tree, like)
