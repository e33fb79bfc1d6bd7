"""How each hyperparameter enters a program: traced, masked or static."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from evotune._contracts import Binding
from evotune._errors import HyperparameterError, nearest, raise_all
from evotune.engine._inputs import bounds, choices, numeric, searched_inputs
from evotune.engine._probe import SAMPLES, Probe
from evotune.space import Permutation, Space
from evotune.tasks import MissingHyperparameterError, Task

MAX_STATIC_LEVELS = 8
"""More programs than this for one hyperparameter are an error."""


_OF_THE_ENGINE = dict.fromkeys(("epochs", "patience", "min_delta"), Binding.TRACED)
"""How long members train, of whatever task."""


class Binder:
    """Decides the bindings of a space for a task.

    Those that the task or its model declares are taken as declared. The others are
    probed, each alone and then all together, and what traces is compared with plain
    Python values.
    """

    def __init__(self, task: Task, space: Space):
        """Looks at ``task`` with hyperparameters from ``space``; compiles nothing."""
        self._task = task
        self._space = space
        self._probe = Probe(task, space)

    def recorded_names(self) -> tuple[str, ...]:
        """Names of all that a step and an evaluation record.

        Raises:
            HyperparameterError: If a name of the space is read by nobody, or the
                objective is not among what the task records.
            Exception: What the task itself raises for plain values.
        """
        everything = self._everything()
        unread = {name for name in everything if not self._is_declared(name)}
        if not unread and self._task.records is not None:
            return tuple(sorted(self._task.records))
        recorded: set[str] = set()
        for row in range(SAMPLES):
            read: set[str] = set()
            step = self._try(row, read)
            recorded |= {*step.recorded, *step.scores}
            unread -= read
            if not unread:
                break
        self._raise_unread(unread)
        if self._task.metric not in recorded:
            raise HyperparameterError(
                f"The task's metric is {self._task.metric!r}, but it records only "
                f"{', '.join(sorted(recorded))}.{nearest(self._task.metric, recorded)} "
                "Return it from `evaluate`, or change `metric`."
            )
        return tuple(sorted(recorded))

    def bindings(self, static: Collection[str]) -> dict[str, Binding]:
        """The binding of every searched hyperparameter.

        Args:
            static: Names that the user wants static.

        Raises:
            HyperparameterError: If ``static`` has a name that is not searched, or a
                static hyperparameter has more than `MAX_STATIC_LEVELS` values.
        """
        raise_all(
            [
                f"static=[...] must name searched hyperparameters, but got {name!r}."
                f"{nearest(name, self._space.names)}"
                for name in static
                if name not in self._space.names
            ],
            HyperparameterError,
            "static=[...]",
        )
        found: dict[str, Binding] = {}
        probed = []
        for name in self._space.names:
            if name in static:
                found[name] = Binding.STATIC
            elif self._is_declared(name):
                found[name] = self._declared(name)
            else:
                found[name] = self._probe_alone(name)
                if found[name] is not Binding.STATIC:
                    probed.append(name)
        found = self._probe_jointly(found, probed)
        found = self._compare_with_plain(found, probed)
        self._check_levels(found)
        return found

    def _try(self, row: int, read: set[str]) -> Any:
        try:
            return self._probe.plain_step(row, read)
        except (MissingHyperparameterError, HyperparameterError):
            raise
        except Exception as error:
            error.add_note(
                f"evotune was looking at {type(self._task).__name__} with "
                f"{self._probe.config(row)}."
            )
            raise

    def _raise_unread(self, unread: Collection[str]) -> None:
        known = ", ".join(sorted(self._task.names())) or "none"
        raise_all(
            [
                f"Hyperparameter {name!r} is in the space, but neither the task nor "
                f"its model reads it.{nearest(name, self._task.names())} Known names: "
                f"{known}; a model of your own may read any other: "
                f"`model=lambda hp, info: Net(hp.{name})`."
                for name in sorted(unread)
            ],
            HyperparameterError,
            "The space",
        )

    def _is_declared(self, name: str) -> bool:
        last = name.rpartition(".")[2]
        return last in _OF_THE_ENGINE or not {name, last}.isdisjoint(self._task.names())

    def _declared(self, name: str) -> Binding:
        """The declared binding, or static where its values are not numbers."""
        last = name.rpartition(".")[2]
        declared = {**_OF_THE_ENGINE, **self._task.declared()}
        binding = declared.get(name, declared.get(last, Binding.STATIC))
        options = choices(self._space.dimensions[name])
        if isinstance(self._space.dimensions[name], Permutation):
            return self._declared_order(name, binding)
        if binding is Binding.TRACED and not numeric(options):
            return Binding.STATIC
        if binding is Binding.MASKED and self._splits(name, options):
            return Binding.STATIC
        return binding

    def _declared_order(self, name: str, binding: Binding) -> Binding:
        """The declared binding of a permutation.

        Raises:
            HyperparameterError: If the task takes one value by that name.
        """
        if binding is Binding.STATIC or self._traces({name: Binding.TRACED}):
            return binding if binding is Binding.STATIC else Binding.TRACED
        raise HyperparameterError(
            f"{type(self._task).__name__} reads one value as {name!r}, but the space "
            f"has an order there, {self._space.dimensions[name]!r}. Use "
            f"`{name}=Categorical([...])`, or give the order a name of its own, which "
            "a model of yours may read."
        )

    def _splits(self, parent: str, options: Sequence[Any]) -> bool:
        """Whether members would read what is inactive under their choice ``parent``."""
        last = {name: name.rpartition(".")[2] for name in self._everything()}
        return any(
            option not in allowed
            and not self._task.ignores(
                last[name], last[parent], option, {*last.values()}
            )
            for name in self._space.names
            for allowed in [(self._space.dimensions[name].when or {}).get(parent)]
            if allowed is not None
            for option in options
        )

    def _everything(self) -> set[str]:
        """All names of the space, of constants too."""
        return {*self._space.names, *self._space.constants}

    def _probe_alone(self, name: str) -> Binding:
        """The cheapest binding under which the task traces; other values are plain."""
        dimension = self._space.dimensions[name]
        candidates = [Binding.MASKED]
        if isinstance(dimension, Permutation):
            candidates = [Binding.TRACED]
        elif numeric(choices(dimension)):
            candidates = [Binding.TRACED, Binding.MASKED]
        for binding in candidates:
            if self._traces({name: binding}):
                return binding
        return Binding.STATIC

    def _probe_jointly(
        self, found: dict[str, Binding], probed: Sequence[str]
    ) -> dict[str, Binding]:
        """Makes probed names static, one by one, until the rest trace together."""
        if not probed or self._traces(found):
            return found
        kept = {name: found[name] for name in found if name not in probed}
        for name in probed:
            kept[name] = found[name]
            if not self._traces(kept):
                kept[name] = Binding.STATIC
        return {name: kept[name] for name in found}

    def _compare_with_plain(
        self, found: dict[str, Binding], probed: Sequence[str]
    ) -> dict[str, Binding]:
        """Makes static, with a warning, what traces but computes something else."""
        if not probed or self._probe.agrees(self._inputs(found)):
            return found
        checked = dict(found)
        for name in probed:
            if self._probe.agrees(self._inputs({name: found[name]})):
                continue
            checked[name] = Binding.STATIC
            warnings.warn(
                f"Hyperparameter {name!r} can be traced, but the model then differs "
                "from the one with plain Python values (are names made from it, or "
                "its type checked?). evotune compiles one program for each of its "
                f"values; `static=[{name!r}]` says so and avoids this check.",
                stacklevel=5,
            )
        return checked

    def _traces(self, bindings: Mapping[str, Binding]) -> bool:
        return self._probe.traces(self._inputs(bindings))

    def _inputs(self, bindings: Mapping[str, Binding]) -> Any:
        """Inputs under ``bindings``; what they leave out is static."""
        everything = dict.fromkeys(self._space.names, Binding.STATIC)
        return searched_inputs(self._space, {**everything, **bindings})

    def _check_levels(self, bindings: Mapping[str, Binding]) -> None:
        problems = []
        for name, binding in bindings.items():
            size = self._space.dimensions[name].size
            if binding is not Binding.STATIC or size <= MAX_STATIC_LEVELS:
                continue
            count = f"{size:,} values" if size < math.inf else "a continuous range"
            traced = "layers that take it traced (`et.models.MLP()`, `et.nn.Dense`)"
            if isinstance(self._space.dimensions[name], Permutation):
                traced = "code that takes it traced (`x[:, hp.order]`, `lax.switch`)"
            problems.append(
                f"Hyperparameter {name!r} is needed as a plain Python value, and that "
                "takes one compiled program for each value, but it has "
                f"{count} (at most {MAX_STATIC_LEVELS} are allowed). Use a few values, "
                f"`{name}=Categorical([...])`, or {traced}."
            )
        raise_all(problems, HyperparameterError, "The space")


def extreme_values(space: Space) -> dict[str, tuple[Any, ...]]:
    """For each name its bounds (low, high), its choices, or its constant (value,).

    Names with dots are given by their last part, as tasks know them.
    """
    values = {name: (value,) for name, value in space.constants.items()}
    for name in space.names:
        dimension = space.dimensions[name]
        values[name] = choices(dimension) or bounds(dimension)
    return {name.rpartition(".")[2]: value for name, value in values.items()}
