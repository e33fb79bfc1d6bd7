"""From hyperparameters to one optax optimiser, with every rate traceable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from evotune import nn
from evotune.training._batch_size import learning_rate
from evotune.training._clipping import clipping
from evotune.training._dtypes import keep_dtypes
from evotune.training._names import find
from evotune.training._regularized import Mask, is_kernel
from evotune.training._selected import selected

MOMENTUM = 0.9
"""Of the optimisers "momentum" and "nesterov", where the space has no ``momentum``."""

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "sgd": ("momentum", "nesterov"),
    "momentum": ("momentum", "nesterov"),
    "nesterov": ("momentum",),
    "rmsprop": ("momentum", "nesterov", "eps"),
    "adagrad": ("eps",),
    "adam": ("b1", "b2", "eps"),
    "adamw": ("b1", "b2", "eps"),
    "nadam": ("b1", "b2", "eps"),
    "nadamw": ("b1", "b2", "eps"),
    "radam": ("b1", "b2", "eps"),
    "lion": ("b1", "b2"),
    "lamb": ("b1", "b2", "eps"),
}
OPTIMIZERS = tuple(_NEEDED)
"""What ``optimizer`` may be; "adam" where the space says nothing."""

OWN_RATES: Mapping[str, frozenset[str]] = {
    rate: frozenset(name for name in OPTIMIZERS if rate in _NEEDED[name])
    for rate in ("momentum", "nesterov", "b1", "b2", "eps")
}
"""The optimisers that read a hyperparameter which not all of them read."""

_DEFAULT_WEIGHT_DECAY = {"adamw": 1e-4, "nadamw": 1e-4, "lion": 1e-3}


def make_optimizer(
    hp: Mapping[str, Any], *, decayed: Mask = is_kernel
) -> optax.GradientTransformation:
    """The optimiser that ``hp`` describes; optax's own defaults where it says nothing.

    ``weight_decay`` is decoupled from the gradient for every optimiser (w <- w -
    learning_rate * weight_decay * w) and touches kernels only, that is, arrays of two
    or more axes, unless ``decayed`` says otherwise. ``gradient_clip`` is the largest
    global norm of the gradient, ``gradient_clip_value`` its largest entry.
    ``batch_size_scaling`` multiplies the learning rate by (batch_size / 64) ("linear")
    or its root ("sqrt").

    Args:
        hp: Any of the names in `BINDINGS`, those of schedules apart, which `at_step`
            reads. Values may be traced. ``optimizer`` is a plain string, or an
            `nn.Choice`: then one state serves all of its options and the update of one
            is selected, equal to that of the plain string.
        decayed: Which parameters decay: a function from them to the same tree of bools,
            such as `regularized` makes.

    Raises:
        HyperparameterError: If ``optimizer`` is not one of `OPTIMIZERS`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from evotune.training import make_optimizer
        >>> tx = make_optimizer({"optimizer": "lion", "learning_rate": 0.1})
        >>> gradients = params = {"bias": jnp.asarray([2.0, -3.0])}
        >>> updates, state = tx.update(gradients, tx.init(params), params)
        >>> updates["bias"].tolist()
        [-0.10000000149011612, 0.10000000149011612]

    Reference:
        Loshchilov, Hutter (2019), Decoupled weight decay regularization; for each
        optimiser, see optax's function of its name ("momentum" and "nesterov" are
        `optax.sgd` with a momentum of 0.9 unless given).
    """
    name = hp.get("optimizer", "adam")
    if isinstance(name, nn.Choice):
        options = [optax.chain(*_parts(option, hp, decayed)) for option in name.options]
        parts = [selected(name, [keep_dtypes(option) for option in options])]
    else:
        parts = _parts(name, hp, decayed)
    return keep_dtypes(optax.chain(*clipping(hp), *parts))


def _parts(
    name: str, hp: Mapping[str, Any], decayed: Mask
) -> list[optax.GradientTransformation]:
    """What makes an update of a gradient, in order."""
    find(name, _NEEDED, "optimizer")
    rate = learning_rate(hp)
    decay = hp.get("weight_decay", _DEFAULT_WEIGHT_DECAY.get(name))
    if name == "rmsprop" and "momentum" in hp:
        # As optax has it, momentum sums steps of the learning rates of their time.
        steps = [_direction(name, hp), optax.scale_by_learning_rate(rate), _trace(hp)]
        if decay is not None:
            steps.append(optax.add_decayed_weights(-rate * decay, mask=decayed))
        return steps
    parts = [_direction(name, hp)]
    if decay is not None:
        parts.append(optax.add_decayed_weights(decay, mask=decayed))
    if name == "lamb":
        parts.append(optax.scale_by_trust_ratio())
    return [*parts, optax.scale_by_learning_rate(rate)]


def _direction(name: str, hp: Mapping[str, Any]) -> optax.GradientTransformation:
    """Where to step for a learning rate of one, before weight decay."""
    given = {key: hp[key] for key in ("b1", "b2", "eps") if key in hp}
    scale = {key: given[key] for key in given if key in _NEEDED[name]}
    match name:
        case "sgd":
            return _trace(hp) if "momentum" in hp else optax.identity()
        case "momentum":
            return _trace(hp)
        case "nesterov":
            return optax.trace(hp.get("momentum", MOMENTUM), nesterov=True)
        case "rmsprop":
            return optax.scale_by_rms(**scale)
        case "adagrad":
            return optax.scale_by_rss(**scale)
        case "nadam" | "nadamw":
            return optax.scale_by_adam(**scale, nesterov=True)
        case "radam":
            return optax.scale_by_radam(**scale)
        case "lion":
            return optax.scale_by_lion(**scale)
        case "lamb":
            return optax.scale_by_adam(**{"eps": 1e-6, **scale})
        case _:
            return optax.scale_by_adam(**scale)


def _trace(hp: Mapping[str, Any]) -> optax.GradientTransformation:
    """`optax.trace`, whose ``nesterov`` may be traced: both share one state."""
    decay, nesterov = hp.get("momentum", MOMENTUM), hp.get("nesterov", False)
    if isinstance(nesterov, bool):
        return optax.trace(decay, nesterov=nesterov)
    plain = optax.trace(decay)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        heavy, state = plain.update(updates, state, params)
        ahead = jax.tree.map(lambda g, m: g + decay * m, updates, heavy)
        chosen = jax.tree.map(lambda a, h: jnp.where(nesterov, a, h), ahead, heavy)
        return chosen, state

    return optax.GradientTransformation(plain.init, update)
