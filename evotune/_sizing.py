"""`Sizing`: which hyperparameters `grow` sets, and what it refuses beforehand."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from evotune._contracts import Binding
from evotune._errors import (
    HyperparameterError,
    count_problems,
    is_count,
    nearest,
    raise_all,
)

if TYPE_CHECKING:
    from evotune.space import Space
    from evotune.tasks import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizing:
    """The sizes of a network by layers.

    Attributes:
        size: The hyperparameter that widths are of, such as "width".
        widths: Those to try in each layer, ascending.
        layered: Whether each layer has a width of its own, "width_0" and on; else all
            layers share one.
        has_depth: Whether the model takes "depth".
    """

    size: str
    widths: tuple[int, ...]
    layered: bool
    has_depth: bool

    def varied(self, below: Sequence[int]) -> str:
        """The name of the width of a layer on top of those ``below``."""
        return f"{self.size}_{len(below)}" if self.layered else self.size

    def sizes(self, below: Sequence[int], width: int) -> dict[str, int]:
        """The plain sizes of a network with one more layer, of ``width``."""
        sizes = {"depth": len(below) + 1} if self.has_depth else {}
        if self.layered:
            sizes |= {f"{self.size}_{i}": units for i, units in enumerate(below)}
        return {**sizes, self.varied(below): width}

    def space(self, settings: Mapping[str, Any], below: Sequence[int]) -> Space:
        """All widths of one more layer, over constants."""
        from evotune.space import Categorical, Space

        fixed = self.sizes(below, self.widths[0])
        searched = {self.varied(below): Categorical(self.widths)}
        return Space({**settings, **fixed, **searched})

    def owns(self, name: str) -> bool:
        """Whether ``name`` is a size that growing sets."""
        last = name.rpartition(".")[2]
        stem, _, layer = last.rpartition("_")
        named = self.layered and stem == self.size and layer.isdigit()
        return named or last == self.size or (self.has_depth and last == "depth")


def sizing_of(
    task: Task, *, size: str | None, widths: Sequence[int], max_depth: int
) -> Sizing:
    """How the model of ``task`` is sized.

    Raises:
        TypeError: If the task has no model.
        HyperparameterError: If the model has no such size, or not that many layers.
    """
    model = getattr(task, "model", None)
    if model is None or not hasattr(task, "info"):
        raise TypeError(
            f"grow() sizes the model of a task, but {type(task).__name__} has none. "
            "Use `et.tasks.Classification(dataset, model=et.models.MLP())` or the like."
        )
    known: Mapping[str, Binding] = model.bindings
    if size is None:
        size = next((name for name in ("channels", "width") if name in known), "width")
    layered = f"{size}_0" in known
    has_depth = "depth" in known or max_depth > 1
    problems = []
    if known:  # a model of the user's own is asked by the engine
        sizes = [name for name, kind in known.items() if kind is Binding.MASKED]
        wanted = [size, "depth"] if has_depth else [size]
        problems += [
            f"grow() sizes {name!r}, which {type(model).__name__} does not have."
            f"{nearest(name, sizes)} Pass `size=` one of {', '.join(sizes)}"
            + (", or `max_depth=1`." if name == "depth" else ".")
            for name in wanted
            if name not in known
        ]
    if layered and f"{size}_{max_depth - 1}" not in known:
        most = sum(name.rpartition("_")[0] == size for name in known)
        problems.append(
            f"{type(model).__name__} names the widths of at most {most} layers, but "
            f"got max_depth={max_depth}. Use `max_depth={most}` or less."
        )
    raise_all(problems, HyperparameterError, "grow()")
    return Sizing(size=size, widths=tuple(widths), layered=layered, has_depth=has_depth)


def fixed_settings(space: Space | Mapping[str, Any], sizing: Sizing) -> dict[str, Any]:
    """All hyperparameters but the sizes, as plain values.

    Raises:
        HyperparameterError: If one is searched.
        TypeError: If ``space`` is neither a mapping nor a space.
    """
    from evotune.space import Dimension, Space

    if isinstance(space, Space):
        space = {**space.dimensions, **space.constants}
    if not isinstance(space, Mapping):
        raise TypeError(
            "space must be a Space or a mapping of hyperparameters, but got "
            f"{type(space).__name__}. Use `et.grow(task, result.hyperparameters)`."
        )
    settings = {name: each for name, each in space.items() if not sizing.owns(name)}
    searched = [n for n, each in settings.items() if isinstance(each, Dimension)]
    if searched:
        raise HyperparameterError(
            "grow() searches sizes only, so every other hyperparameter must be a plain "
            f"value, but {', '.join(map(repr, searched))} may vary. Search first, and "
            "grow with what was found: `result = et.tune(task, space, ...)`, then "
            "`et.grow(task, result.hyperparameters)`."
        )
    return settings


def check_arguments(
    *,
    widths: Sequence[int],
    counts: Mapping[str, Any],
    amounts: Mapping[str, Any],
    seed: Any,
) -> None:
    """Raises one error that lists every argument of `grow` that breaks its rule.

    Args:
        widths: Must be two or more, ascending, each at least 1.
        counts: Must be integers of at least 1.
        amounts: Must be numbers of at least 0.
        seed: Must be an integer from 0 to 2**32 - 1.
    """
    problems = list(_width_problems(widths))
    problems += count_problems(
        "Use `et.grow(..., seeds=5, max_depth=4, patience=1)`.", **counts
    )
    problems += [
        f"{name} must be a finite number of at least 0, but got {value!r}. It bounds "
        "what counts as a gain; leave it out for the usual."
        for name, value in amounts.items()
        if isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value < float("inf")
    ]
    if not _is_whole(seed) or not 0 <= seed < 2**32:
        problems.append(f"seed must be an integer from 0 to 2**32 - 1, but got {seed}.")
    raise_all(problems, HyperparameterError, "grow()")


def _width_problems(widths: Any) -> Iterator[str]:
    fix = "Use such as `widths=[8, 16, 32]`."
    if isinstance(widths, str) or not isinstance(widths, Sequence | range):
        yield f"widths must be a list of integers, but got {widths!r}. {fix}"
    elif not all(is_count(width) for width in widths):
        yield f"widths must be integers of at least 1, but got {widths!r}. {fix}"
    elif len(widths) < 2:
        yield f"widths must be two or more to choose from, but got {widths!r}. {fix}"
    elif any(a >= b for a, b in itertools.pairwise(widths)):
        yield f"widths must ascend, none twice, but got {widths!r}. {fix}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
