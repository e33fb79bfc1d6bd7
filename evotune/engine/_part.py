"""One function of a program: traced once, compiled ahead of time, called."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax

from evotune.engine._compilation import compile_once, compiled_programs
from evotune.tasks import Task


class Part:
    """A jitted function under a name of its own, by which compilations are counted.

    Attributes:
        identity: All that it depends on besides its task.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        structs: Callable[[Any], tuple[Any, ...]],
        *,
        task: Task,
        identity: Hashable,
        devices: Sequence[jax.Device],
        optimize: bool,
        out_shardings: Any = None,
        donated: tuple[int, ...] = (),
    ):
        """Describes the part; nothing is traced yet.

        Args:
            name: Of the compiled function.
            function: What is compiled.
            structs: From the data, or their shapes, to the shapes, dtypes and
                shardings of its arguments.
            task: Keeps what was compiled, for as long as it lives.
            identity: All that the function depends on besides the task.
            devices: What it runs on, in the order of its mesh.
            optimize: Whether it is worth the time to compile it well.
            out_shardings: Where its results live; None leaves it to the function.
            donated: Positions of arguments that a call uses up.
        """

        def named(*arguments: Any) -> Any:
            return function(*arguments)

        named.__name__ = named.__qualname__ = name
        options = {} if out_shardings is None else {"out_shardings": out_shardings}
        self._jitted = jax.jit(named, donate_argnums=donated, **options)
        self._structs = structs
        self._task = task
        self.identity = (name, identity)
        self._devices = devices
        self._optimize = optimize
        self._traced: jax.stages.Traced | None = None
        self._compiled: jax.stages.Compiled | None = None

    def trace(self, data: Any) -> jax.stages.Traced:
        """The traced function; ``data`` gives shapes only."""
        if self._traced is None:
            self._traced = self._jitted.trace(*self._structs(data))
        return self._traced

    def lower(self, data: Any) -> jax.stages.Lowered:
        """The function before compilation, for its text and its cost analysis."""
        return self.trace(data).lower()

    @property
    def is_compiled(self) -> bool:
        """Whether this study or an earlier one of the task has compiled it."""
        return self.identity in compiled_programs(self._task)

    def compile(self, data: Any, lowered: jax.stages.Lowered | None = None) -> None:
        """Compiles ahead of time; ``data`` gives shapes only.

        A part is compiled once for its task: later studies of the same shape, with
        other seeds and other bounds, find it there.

        Args:
            data: The data, or their shapes.
            lowered: What `lower` returned, where it was called already.
        """
        self._compiled = compile_once(
            self._task,
            self.identity,
            lambda: self.lower(data) if lowered is None else lowered,
            devices=self._devices,
            optimize=self._optimize,
        )

    @property
    def compiled(self) -> jax.stages.Compiled:
        """What `compile` made."""
        assert self._compiled is not None
        return self._compiled

    def __call__(self, *arguments: Any) -> Any:
        """Calls what was compiled; the results are arrays that are on their way."""
        return self.compiled(*arguments)
