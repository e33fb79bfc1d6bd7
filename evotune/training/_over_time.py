"""Rates that change while a member trains: their values in one step."""

from __future__ import annotations

import functools
from collections import ChainMap
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from evotune import nn
from evotune._signatures import call_by_name
from evotune.training._names import (
    DEFAULT_LEARNING_RATE,
    FINAL_OF,
    SCHEDULE_OF,
    SHAPE_OF,
    pick,
)
from evotune.training.schedules import SCHEDULES, WARMUPS

_WARMUP = ("warmup", "warmup_steps")


def is_scheduled(hp: Mapping[str, Any]) -> bool:
    """Whether any rate in ``hp`` changes with the step."""
    return any(_changes(hp, rate) for rate in SCHEDULE_OF)


def at_step(
    hp: Mapping[str, Any], step: ArrayLike | None, horizon: ArrayLike
) -> Mapping[str, Any]:
    """``hp`` with the rates that it has in one step of training.

    ``schedule`` multiplies ``learning_rate`` by a factor that depends on the step,
    ``momentum_schedule`` multiplies ``momentum``, and so on for ``weight_decay``,
    ``l1`` and ``l2``. The learning rate may rise first: over ``warmup``, a fraction of
    the horizon that is rounded to whole steps, or over ``warmup_steps``. Its schedule
    is laid out over what is left.

    Args:
        hp: Hyperparameters; numbers may be traced, and schedules may be `nn.Choice`.
        step: i32[] steps that were made before this one; not read, and may be None,
            where nothing is scheduled.
        horizon: i32[] steps of the member's whole training.

    Returns:
        ``hp`` itself where nothing is scheduled; else it, seen through the values of
        this step.

    Example:
        >>> from evotune.training import at_step
        >>> hp = {"learning_rate": 0.1, "schedule": "linear", "warmup_steps": 10}
        >>> [round(float(at_step(hp, t, 30)["learning_rate"]), 3) for t in (0, 10, 20)]
        [0.001, 0.1, 0.05]
    """
    changing = [rate for rate in SCHEDULE_OF if _changes(hp, rate)]
    if not changing:
        return hp
    assert step is not None
    now = {}
    for rate in changing:
        value = hp.get(rate, DEFAULT_LEARNING_RATE if rate == "learning_rate" else 0.0)
        factor = _factor(hp, rate, step, horizon)
        now[rate] = jnp.asarray(value, jnp.float32) * factor
    seen: Any = (now, hp)
    return ChainMap(*seen)


def _changes(hp: Mapping[str, Any], rate: str) -> bool:
    if rate == "learning_rate":
        if any(name in hp for name in _WARMUP):
            return True
    elif rate not in hp:
        return False
    schedule = hp.get(SCHEDULE_OF[rate], "constant")
    return isinstance(schedule, nn.Choice) or schedule != "constant"


def _factor(
    hp: Mapping[str, Any], rate: str, step: ArrayLike, horizon: ArrayLike
) -> jax.Array:
    """f32[] that ``rate`` is multiplied by."""
    step, horizon = (jnp.asarray(n, jnp.float32) for n in (step, horizon))
    if rate == "learning_rate" and any(name in hp for name in _WARMUP):
        length = _warmup_steps(hp, horizon)
        rest = _scheduled(hp, rate, step - length, horizon - length)
        return jnp.where(step < length, _warmed(hp, step, length), rest)
    return _scheduled(hp, rate, step, horizon)


def _warmup_steps(hp: Mapping[str, Any], horizon: jax.Array) -> jax.Array:
    if "warmup_steps" in hp:
        return jnp.asarray(hp["warmup_steps"], jnp.float32)
    return jnp.round(jnp.asarray(hp["warmup"], jnp.float32) * horizon)


def _warmed(hp: Mapping[str, Any], step: jax.Array, length: jax.Array) -> jax.Array:
    start = {"start": hp["warmup_start"]} if "warmup_start" in hp else {}
    shape = hp.get("warmup_shape", "linear")
    apply = functools.partial(_call, step=step, length=length, **start)
    found: jax.Array = pick(shape, WARMUPS, "warmup_shape", apply)
    return found


def _scheduled(
    hp: Mapping[str, Any], rate: str, step: jax.Array, horizon: jax.Array
) -> jax.Array:
    shape = {SHAPE_OF[name]: hp[name] for name in SHAPE_OF if name in hp}
    if FINAL_OF[rate] in hp:
        shape["final"] = hp[FINAL_OF[rate]]
    step = jnp.maximum(step, 0.0)  # before the end of a warmup nobody looks
    apply = functools.partial(_call, step=step, horizon=horizon, **shape)
    what = SCHEDULE_OF[rate]
    found: jax.Array = pick(hp.get(what, "constant"), SCHEDULES, what, apply)
    return found


def _call(function: Any, **available: Any) -> jax.Array:
    found: jax.Array = call_by_name(function, **available)
    return found
