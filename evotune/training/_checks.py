"""Problems with a space's hyperparameters of training, before anything compiles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from evotune._errors import nearest
from evotune._signatures import parameter_names
from evotune.training._batch_size import SCALINGS
from evotune.training._names import BINDINGS, FINAL_OF, SCHEDULE_OF, SHAPE_OF
from evotune.training._optimizers import OPTIMIZERS, OWN_RATES
from evotune.training.schedules import SCHEDULES, WARMUPS

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "optimizer": OPTIMIZERS,
    "batch_size_scaling": tuple(SCALINGS),
    "warmup_shape": tuple(WARMUPS),
    **dict.fromkeys(SCHEDULE_OF.values(), tuple(SCHEDULES)),
}

_RULES: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "learning_rate": ("must be at least 0", lambda v: v >= 0),
    "momentum": ("must lie in [0, 1)", lambda v: 0 <= v < 1),
    "b1": ("must lie in [0, 1)", lambda v: 0 <= v < 1),
    "b2": ("must lie in [0, 1)", lambda v: 0 <= v < 1),
    "eps": ("must be above 0", lambda v: v > 0),
    "weight_decay": ("must be at least 0", lambda v: v >= 0),
    "gradient_clip": ("must be above 0", lambda v: v > 0),
    "gradient_clip_value": ("must be above 0", lambda v: v > 0),
    "warmup": (
        "is a fraction of the training and must lie in [0, 1); "
        "`warmup_steps` counts steps",
        lambda v: 0 <= v < 1,
    ),
    "warmup_steps": ("must be at least 0", lambda v: v >= 0),
    "warmup_start": (
        "is a factor of the learning rate and must lie in (0, 1]",
        lambda v: 0 < v <= 1,
    ),
    "schedule_power": ("must be above 0", lambda v: v > 0),
    "decay_rate": ("must lie in (0, 1]", lambda v: 0 < v <= 1),
    "decay_fraction": (
        "is a fraction of the training and must be above 0",
        lambda v: v > 0,
    ),
    "cycles": ("must be at least 1", lambda v: v >= 1),
    **dict.fromkeys(
        FINAL_OF.values(),
        ("is a factor of the rate and must be at least 0", lambda v: v >= 0),
    ),
}

_MAY_BE_NONE = ("gradient_clip", "gradient_clip_value")


def check_training(values: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Problems with the bounds or choices of `BINDINGS` in ``values``.

    Args:
        values: For each hyperparameter its bounds (low, high), its choices, or its
            constant (value,).
    """
    problems = [
        f"{name} must be one of {list(options)}, but may be {value!r}."
        f"{nearest(str(value), options)}"
        for name, options in _OPTIONS.items()
        for value in values.get(name, ())
        if value not in options
    ]
    for name, (rule, holds) in _RULES.items():
        for value in values.get(name, ()):
            if value is None and name in _MAY_BE_NONE:
                continue
            if not isinstance(value, int | float) or not holds(value):
                problems.append(
                    f"{name} {rule}, but may be {value!r}. "
                    f"Change the bounds of `{name}` in the space."
                )
    return problems + _check_pairs(values)


def _check_pairs(values: Mapping[str, tuple[Any, ...]]) -> list[str]:
    problems = []
    if {"warmup", "warmup_steps"} <= values.keys():
        problems.append(
            "warmup and warmup_steps must not both be given, because both say how "
            "long the learning rate rises. Remove one of them from the space."
        )
    if values.keys().isdisjoint(("warmup", "warmup_steps")):
        problems += [
            f"{name} must come with a warmup, but the space has none. "
            "Add `warmup=0.1`, a fraction of the training, or `warmup_steps=100`."
            for name in ("warmup_shape", "warmup_start")
            if name in values
        ]
    for rate, schedule in SCHEDULE_OF.items():
        if rate == "learning_rate" or rate in values:
            continue
        if any(value != "constant" for value in values.get(schedule, ())):
            problems.append(
                f"{schedule} must come with {rate}, which it multiplies, but the space "
                f"has no {rate}. Add it: `{rate}=Float(...)`, or a constant."
            )
    for last in (*SHAPE_OF, *FINAL_OF.values()):
        problems += _check_used(last, values)
    return problems


def _check_used(name: str, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """A problem if no schedule in the space could ever read ``name``."""
    own = [SCHEDULE_OF[rate] for rate, final in FINAL_OF.items() if final == name]
    owners = own or list(SCHEDULE_OF.values())
    options = [option for owner in owners for option in values.get(owner, ())]
    unknown = any(option not in SCHEDULES for option in options)
    if name not in values or unknown or any(_reads(o, name) for o in options):
        return []
    readers = [option for option in SCHEDULES if _reads(option, name)]
    return [
        f"{name} must come with a schedule that reads it, but the space has none. "
        f"Use `{owners[0]}` with one of {readers}, or leave {name} out."
    ]


def ignores(name: str, parent: str, option: Any, names: Collection[str]) -> bool:
    """Whether a member with ``option`` of the choice ``parent`` never reads ``name``.

    Args:
        name: A hyperparameter that is active under other options only.
        parent: The choice that it depends on.
        option: One of the choice's options.
        names: All hyperparameters of the space.
    """
    if parent == "optimizer":
        return name in OWN_RATES and option not in OWN_RATES[name]
    for rate, schedule in SCHEDULE_OF.items():
        if parent == schedule:
            if name == FINAL_OF[rate]:
                return not _reads(option, name)
            others = {*SCHEDULE_OF.values()} - {schedule}
            shared = name in SHAPE_OF and not others.isdisjoint(names)
            return name in SHAPE_OF and not shared and not _reads(option, name)
    return parent not in BINDINGS


def _reads(schedule: str, name: str) -> bool:
    """Whether a schedule takes the argument that ``name`` sets."""
    argument = "final" if name in FINAL_OF.values() else SHAPE_OF.get(name)
    return argument in parameter_names(SCHEDULES[schedule])
