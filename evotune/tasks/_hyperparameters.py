"""The hyperparameters of one member, as its task and its model see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evotune._errors import HyperparameterError, nearest


class Hyperparameters(Mapping[str, Any]):
    """Values by name: plain Python values, traced arrays, `nn.Size` or `nn.Choice`.

    ``hp.width``, ``hp["width"]`` and ``hp.get("width", 64)`` are the same value. A name
    with dots is reached by its parts, ``hp.opt.learning_rate``, by its whole,
    ``hp["opt.learning_rate"]``, and by its last part where that is unique.

    Example:
        >>> hp = Hyperparameters({"opt.learning_rate": 0.1, "width": 64})
        >>> hp.opt.learning_rate, hp["learning_rate"], hp.get("depth", 2)
        (0.1, 0.1, 2)
    """

    def __init__(self, values: Mapping[str, Any], read: set[str] | None = None):
        """Wraps ``values``; whole names that are looked up are added to ``read``."""
        self._values = dict(values)
        self._read = set() if read is None else read

    def __getitem__(self, name: str) -> Any:
        whole = self._whole(name)
        if whole is None:
            raise KeyError(name)
        self._read.add(whole)
        return self._values[whole]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        inner = {
            key[len(name) + 1 :]: value
            for key, value in self._values.items()
            if key.startswith(f"{name}.")
        }
        if inner and name not in self._values:
            self._read.update(f"{name}.{key}" for key in inner)
            return Hyperparameters(inner)
        try:
            return self[name]
        except KeyError:
            raise MissingHyperparameterError(
                f"The model or task reads hyperparameter {name!r}, but the space has "
                f"only {', '.join(self._values) or 'none'}."
                f"{nearest(name, self._values)} Add it: `Space({name}=...)`; "
                "a plain value is a constant."
            ) from None

    def _whole(self, name: str) -> str | None:
        return whole_name(name, self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"Hyperparameters({inside})"


class MissingHyperparameterError(HyperparameterError, AttributeError):
    """The model or task reads a hyperparameter that the space does not have."""


def whole_name(name: str, names: Mapping[str, Any]) -> str | None:
    """The one of ``names`` that is ``name``, or whose last dotted part alone is."""
    if name in names:
        return name
    matches = [whole for whole in names if whole.rpartition(".")[2] == name]
    return matches[0] if len(matches) == 1 else None
