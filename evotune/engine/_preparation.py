"""What a run needs before its first block: data on devices, programs compiled."""

from __future__ import annotations

import concurrent.futures
import functools
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from evotune.engine._devices import REPLICATED, cores, sharded
from evotune.engine._order import draw_order, order_identity
from evotune.engine._program import Program
from evotune.tasks import Task


class Preparation:
    """Compiles every program of a plan, and draws the order of the data.

    Attributes:
        data: The task's data, on every device; None before `start`.
        seconds: Spent waiting for programs, from `start` on.
    """

    def __init__(
        self,
        task: Task,
        programs: Sequence[Program],
        mesh: Mesh,
        seed: np.ndarray,
        on_event: Callable[[str], None],
    ):
        """Starts nothing yet.

        Args:
            task: What is trained.
            programs: The programs of the plan.
            mesh: The devices.
            seed: u32[2] seed of the study.
            on_event: Called with a line of text for each program that is compiled.
        """
        self._task, self._programs, self._mesh = task, programs, mesh
        self._seed = seed
        self._on_event = on_event
        self._compiled: list[concurrent.futures.Future[None]] = []
        self._orders: list[concurrent.futures.Future[Any]] = []
        self._drawn: dict[Hashable, concurrent.futures.Future[Any]] = {}
        self._waited: set[int] = set()
        self._ready: dict[int, float] = {}
        self._began = 0.0
        self._pool = concurrent.futures.ThreadPoolExecutor(cores())
        self._seed_there: Any = None
        self.data: Any = None
        self.seconds = 0.0

    def start(self) -> None:
        """Compiles the first program in a thread, and returns when it is traced.

        XLA leaves Python's lock while it compiles; tracing holds it. So the others
        wait for `start_others`: the algorithm proposes sooner who is to be trained.
        """
        if self._compiled:
            return
        self._began = time.perf_counter()
        self.data, self._seed_there = jax.device_put(
            (self._task.data(), self._seed), sharded(self._mesh, REPLICATED)
        )
        program = self._programs[0]
        known = program.is_compiled
        self._prepare(program, None if known else program.lower(self.data))

    def start_others(self) -> None:
        """Compiles the other programs in threads, and returns at once."""
        self.start()
        for program in self._programs[len(self._compiled) :]:
            self._prepare(program, None)
        self._pool.shutdown(wait=False)

    def wait(self, index: int) -> None:
        """Returns when the program ``index`` can be called; raises what went wrong.

        What the first call counts for `seconds` begins with tracing: nothing could
        train before. Later ones count from here, as others train meanwhile.
        """
        if index in self._waited:
            return
        began = time.perf_counter() if self._waited else self._began
        self._waited.add(index)
        self.order(index)
        self.seconds += max(0.0, self._ready.get(index, time.perf_counter()) - began)

    def finish(self) -> None:
        """Waits for all programs, those that nobody has called included."""
        self.start_others()
        for index in range(len(self._programs)):
            self.wait(index)

    def order(self, index: int) -> Any:
        """The batches of all epochs for the program ``index``; None: it draws its own.

        Waits until that program is compiled, too.
        """
        order = self._orders[index].result()
        self._compiled[index].result()
        return order

    def _prepare(self, program: Program, lowered: jax.stages.Lowered | None) -> None:
        # The order's trace is kept, and compiling asks for it in another thread.
        traced = program.order(self.data)
        compiled = self._pool.submit(program.compile, self.data, lowered)
        index = len(self._compiled)
        self._compiled.append(compiled)
        self._orders.append(self._drawing(traced))
        compiled.add_done_callback(functools.partial(self._note, index))

    def _drawing(
        self, traced: jax.stages.Traced | None
    ) -> concurrent.futures.Future[Any]:
        """The order of a program; those that agree on it share one array."""
        identity = order_identity(traced)
        if identity not in self._drawn:
            self._drawn[identity] = self._pool.submit(
                draw_order, self._task, traced, self.data, self._seed_there
            )
        return self._drawn[identity]

    def _note(self, index: int, _: concurrent.futures.Future[None]) -> None:
        self._ready[index] = time.perf_counter()
        done = sum(future.done() for future in self._compiled)
        self._on_event(f"compiled {done} of {len(self._programs)} programs")
