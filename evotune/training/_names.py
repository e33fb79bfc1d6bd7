"""The hyperparameters of training by name: how they are bound and who reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from evotune import nn
from evotune._contracts import Binding
from evotune._errors import HyperparameterError, nearest

T = TypeVar("T")

DEFAULT_LEARNING_RATE = 1e-3

SCHEDULE_OF: Mapping[str, str] = {
    "learning_rate": "schedule",
    "momentum": "momentum_schedule",
    "weight_decay": "weight_decay_schedule",
    "l1": "l1_schedule",
    "l2": "l2_schedule",
}
"""The hyperparameter that names the schedule of each rate."""

FINAL_OF: Mapping[str, str] = {rate: f"final_{rate}" for rate in SCHEDULE_OF}
"""The hyperparameter that says by what factor each rate ends."""

SHAPE_OF: Mapping[str, str] = {
    "schedule_power": "power",
    "decay_rate": "decay_rate",
    "decay_fraction": "decay_fraction",
    "cycles": "cycles",
}
"""Hyperparameters that shape all schedules, and the argument that each one sets."""

BINDINGS: Mapping[str, Binding] = {
    "optimizer": Binding.MASKED,
    "learning_rate": Binding.TRACED,
    "momentum": Binding.TRACED,
    "nesterov": Binding.TRACED,
    "b1": Binding.TRACED,
    "b2": Binding.TRACED,
    "eps": Binding.TRACED,
    "weight_decay": Binding.TRACED,
    "gradient_clip": Binding.TRACED,
    "gradient_clip_value": Binding.TRACED,
    "batch_size_scaling": Binding.MASKED,
    "warmup": Binding.TRACED,
    "warmup_steps": Binding.TRACED,
    "warmup_start": Binding.TRACED,
    "warmup_shape": Binding.MASKED,
    **dict.fromkeys(SCHEDULE_OF.values(), Binding.MASKED),
    **dict.fromkeys(FINAL_OF.values(), Binding.TRACED),
    **dict.fromkeys(SHAPE_OF, Binding.TRACED),
}
"""The hyperparameters that this package reads.

An optimiser is a masked choice rather than a static one because its arithmetic is
elementwise: one program updates the moments once and selects, where static options
would each be compiled, and would each fill only a part of their lanes.
"""


def pick(
    name: str | nn.Choice, table: Mapping[str, T], what: str, apply: Callable[[T], Any]
) -> Any:
    """``apply`` to the entry ``name``; under a `Choice`, to all options, and selects.

    Raises:
        HyperparameterError: If a name is not in ``table``.
    """
    if isinstance(name, nn.Choice):
        options = [pick(option, table, what, apply) for option in name.options]
        return nn.select(name, options)
    return apply(find(name, table, what))


def find(name: Any, table: Mapping[str, T], what: str) -> T:
    """The entry ``name`` of ``table``.

    Raises:
        HyperparameterError: If there is none.
    """
    if name in table:
        return table[name]
    raise HyperparameterError(
        f"{what} must be one of {list(table)}, but got {name!r}."
        f"{nearest(str(name), table)}"
    )
