"""Finding how each hyperparameter can enter a program: traced, masked or static."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from evotune._contracts import Binding
from evotune._errors import HyperparameterError, nearest, raise_all
from evotune.engine._inputs import (
    Input,
    choices,
    leaf_structs,
    member_values,
    numeric,
    plain_config,
    searched_inputs,
)
from evotune.engine._member import Steps
from evotune.space import Space
from evotune.tasks import Hyperparameters, MissingHyperparameterError, Task

MAX_STATIC_LEVELS = 8
"""More programs than this for one hyperparameter are an error."""

_SAMPLES = 8
_KEY = jax.ShapeDtypeStruct((2,), np.uint32)
_TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


class Binder:
    """Probes a task: what it reads, what it records, and what may be traced."""

    def __init__(self, task: Task, space: Space):
        """Looks at ``task`` with hyperparameters from ``space``; compiles nothing."""
        self._task = task
        self._space = space
        self._steps = Steps(task)
        self._data = jax.tree.map(_struct, task.data())
        draws = np.random.default_rng(0).random((_SAMPLES, len(space.names)))
        self._columns = space.decode(draws.astype(np.float32))

    def check_names(self) -> None:
        """Raises if the space has a name that neither task nor model reads."""
        known = {name for name in self._all_names() if self._is_declared(name)}
        unread = set(self._all_names()) - known
        for row in range(_SAMPLES):
            if not unread:
                return
            read: set[str] = set()
            try:
                self._abstract(lambda _: Hyperparameters(self._config(row), read), {})
            except MissingHyperparameterError:
                raise
            except Exception as error:
                raise _failure(self._task, self._config(row), error) from error
            unread -= read
        raise_all(
            [
                f"Hyperparameter {name!r} is in the space, but neither the task nor its "
                f"model reads it.{nearest(name, self._task.names())} Known names: "
                f"{', '.join(sorted(self._task.names())) or 'none'}; a model of your own "
                f"may read others: `model=lambda hp, info: Net(hp.{name})`."
                for name in sorted(unread)
            ],
            HyperparameterError,
            "The space",
        )

    def metrics(self) -> tuple[str, ...]:
        """Names of all that a step and an evaluation record.

        Raises:
            HyperparameterError: If the objective is not among them, or the task fails
                for a configuration of plain Python values.
        """
        config = self._config(0)
        try:
            _, recorded = self._abstract(lambda _: Hyperparameters(config), {})
        except MissingHyperparameterError:
            raise
        except Exception as error:
            raise _failure(self._task, config, error) from error
        if self._task.metric not in recorded:
            raise HyperparameterError(
                f"The task's metric {self._task.metric!r} is not among what it records: "
                f"{', '.join(sorted(recorded))}.{nearest(self._task.metric, recorded)} "
                "Return it from `evaluate`, or change `metric`."
            )
        return tuple(sorted(recorded))

    def bindings(self, static: Collection[str]) -> dict[str, Binding]:
        """The binding of every searched hyperparameter.

        Declared ones are taken as declared; the others are probed, each alone and then
        all together, and what traces is compared with plain Python values.

        Args:
            static: Names that the user wants static.

        Raises:
            HyperparameterError: If ``static`` has a name that is not searched, or a
                static hyperparameter has more than `MAX_STATIC_LEVELS` values.
        """
        for name in static:
            if name not in self._space.names:
                raise HyperparameterError(
                    f"static=[...] must name searched hyperparameters, but got {name!r}."
                    f"{nearest(name, self._space.names)}"
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

    def _all_names(self) -> tuple[str, ...]:
        return (*self._space.names, *self._space.constants)

    def _is_declared(self, name: str) -> bool:
        names = self._task.names()
        last = name.rpartition(".")[2]
        return name in names or last in names or last == "epochs"

    def _declared(self, name: str) -> Binding:
        """The declared binding, or static where its values are not numbers."""
        last = name.rpartition(".")[2]
        model = getattr(self._task, "model", None)
        declared = {"epochs": Binding.TRACED, **getattr(model, "bindings", {})}
        declared |= dict(self._task.bindings)
        binding = declared.get(name, declared.get(last, Binding.STATIC))
        options = choices(self._space.dimensions[name])
        if binding is Binding.TRACED and not numeric(options):
            return Binding.STATIC
        return binding

    def _config(self, row: int) -> dict[str, Any]:
        return {**self._space.constants, **plain_config(self._columns, row)}

    def _inputs(self, bindings: Mapping[str, Binding]) -> tuple[Input, ...]:
        everything = dict.fromkeys(self._space.names, Binding.STATIC)
        return searched_inputs(self._space, {**everything, **bindings})

    def _capacity(self, inputs: Sequence[Input]) -> dict[str, int]:
        return {
            entry.name: int(max(entry.options or (self._space.dimensions[entry.name].high,)))
            for entry in inputs
            if entry.is_size
        }

    def _make(
        self, inputs: Sequence[Input], row: int
    ) -> Callable[[Mapping[str, jax.Array]], Hyperparameters]:
        return lambda leaves: member_values(
            inputs, leaves, static=self._config(row), capacity=self._capacity(inputs)
        )

    def _probe_alone(self, name: str) -> Binding:
        """The cheapest binding under which the task traces; other values are plain."""
        options = choices(self._space.dimensions[name])
        candidates = [Binding.TRACED, Binding.MASKED] if numeric(options) else [Binding.MASKED]
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

    def _traces(self, bindings: Mapping[str, Binding]) -> bool:
        """Whether the task traces under ``bindings``; what they leave out is plain."""
        try:
            inputs = self._inputs(bindings)
            for row in self._static_rows(inputs):
                self._abstract(self._make(inputs, row), leaf_structs(inputs))
        except Exception:
            # Any exception under a tracer means that the value must be static.
            return False
        return True

    def _static_rows(self, inputs: Sequence[Input]) -> list[int]:
        """Rows of the sample that between them show each static combination once."""
        static = [entry.name for entry in inputs if entry.binding is Binding.STATIC]
        seen: dict[tuple[Any, ...], int] = {}
        for row in range(_SAMPLES):
            config = self._config(row)
            combination = tuple(config[name] for name in static if _few(self._space, name))
            seen.setdefault(combination, row)
        return list(seen.values())

    def _abstract(
        self, make: Callable[[Any], Hyperparameters], leaves: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Shapes of the state and of the metrics after one step, without running it."""
        return jax.eval_shape(
            lambda values, data, key: self._one_step(make(values), data, key),
            leaves,
            self._data,
            _KEY,
        )

    def _one_step(
        self, hp: Hyperparameters, data: Any, key_data: jax.Array
    ) -> tuple[Any, dict[str, jax.Array]]:
        keys = jax.random.split(jax.random.wrap_key_data(key_data), 4)
        state = self._steps.init(hp, data, keys[0])
        batches = self._steps.batches(hp, data, keys[1])
        recorded: dict[str, jax.Array] = {}
        leaves = jax.tree.leaves(batches)
        if leaves and leaves[0].shape[0]:
            batch = jax.tree.map(lambda x: x[0], batches)
            state, recorded = self._steps.step(hp, state, data, batch, keys[2])
        scores = self._steps.evaluate(hp, state, data, keys[3])
        return state, {**recorded, **scores}

    def _compare_with_plain(
        self, found: dict[str, Binding], probed: Sequence[str]
    ) -> dict[str, Binding]:
        """Makes static, with a warning, what traces but computes something else."""
        if not probed or self._agrees(found):
            return found
        checked = dict(found)
        for name in probed:
            if not self._agrees({name: found[name]}):
                checked[name] = Binding.STATIC
                warnings.warn(
                    f"Hyperparameter {name!r} can be traced, but the model then differs "
                    "from the one with plain Python values (names made from it, or "
                    "isinstance checks?). evotune compiles one program for each of its "
                    f"values; `static=[{name!r}]` says so and avoids this check.",
                    stacklevel=4,
                )
        return checked

    def _agrees(self, bindings: Mapping[str, Binding]) -> bool:
        """Whether one step gives the same state and scores as plain Python values."""
        inputs = self._inputs(bindings)
        key = np.asarray([0, 1], np.uint32)
        data = self._task.data()
        for row in (0, _SAMPLES - 1):
            config = self._config(row)
            leaves = {
                entry.name: entry.leaf([config[entry.name]])[0]
                for entry in inputs
                if entry.binding is not Binding.STATIC
            }
            make = self._make(inputs, row)
            traced = _run(lambda v, d, k, m=make: self._one_step(m(v), d, k))
            plain = _run(
                lambda v, d, k, c=config: self._one_step(Hyperparameters(c), d, k)
            )
            got, expected = (run(leaves, data, key) for run in (traced, plain))
            if any(entry.is_size for entry in inputs):
                got, expected = got[1], expected[1]
            if not _close(got, expected):
                return False
        return True

    def _check_levels(self, bindings: Mapping[str, Binding]) -> None:
        problems = []
        for name, binding in bindings.items():
            levels = _levels(self._space, name)
            if binding is not Binding.STATIC or levels <= MAX_STATIC_LEVELS:
                continue
            count = f"{levels:,} values" if levels < np.inf else "a continuous range"
            problems.append(
                f"Hyperparameter {name!r} is needed as a plain Python value, which takes "
                f"one compiled program for each value, but it has {count} (at most "
                f"{MAX_STATIC_LEVELS} are allowed). Use a few values, "
                f"`{name}=Categorical([...])`, or layers that take it traced "
                "(`et.models.MLP()`, `et.nn.Dense`)."
            )
        raise_all(problems, HyperparameterError, "The space")


def extreme_values(space: Space) -> dict[str, tuple[Any, ...]]:
    """For each name its bounds (low, high), its choices, or its constant (value,).

    Names with dots are given by their last part, as tasks know them.
    """
    values = {name: (value,) for name, value in space.constants.items()}
    for name in space.names:
        dimension = space.dimensions[name]
        values[name] = choices(dimension) or (dimension.low, dimension.high)
    return {name.rpartition(".")[2]: value for name, value in values.items()}


def _levels(space: Space, name: str) -> float:
    dimension = space.dimensions[name]
    options = choices(dimension)
    if options:
        return len(options)
    if isinstance(dimension.low, int) or dimension.step:
        return round((dimension.high - dimension.low) / (dimension.step or 1)) + 1
    return np.inf


def _few(space: Space, name: str) -> bool:
    return _levels(space, name) <= MAX_STATIC_LEVELS


def _struct(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(leaf), jax.dtypes.canonicalize_dtype(leaf.dtype))


def _run(function: Callable[..., Any]) -> Callable[..., Any]:
    options = {"xla_backend_optimization_level": 0}
    backend = jax.default_backend()
    return jax.jit(function, compiler_options=options if backend == "cpu" else None)


def _close(got: Any, expected: Any) -> bool:
    if jax.tree.structure(got) != jax.tree.structure(expected):
        return False
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True)
    return all(
        a.shape == b.shape
        and a.dtype == b.dtype
        and np.allclose(np.asarray(a, np.float64), np.asarray(b, np.float64), **_TOLERANCE)
        for a, b in pairs
    )


def _failure(task: Task, config: Mapping[str, Any], error: Exception) -> Exception:
    """The same kind of error, with what evotune was doing."""
    text = (
        f"{type(task).__name__} fails for the plain configuration {dict(config)}: "
        f"{type(error).__name__}: {error}"
    )
    kind = type(error) if isinstance(error, TypeError | ValueError) else RuntimeError
    try:
        return kind(text)
    except Exception:
        return RuntimeError(text)
