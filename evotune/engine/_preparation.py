"""What a run needs before its first block: data on devices, programs compiled."""

from __future__ import annotations

import concurrent.futures
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
        seconds: From `start` to the end of the last compilation so far.
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
        self._others: list[concurrent.futures.Future[None]] = []
        self._gathers = False
        self._orders: list[concurrent.futures.Future[Any]] = []
        self._drawn: dict[Hashable, concurrent.futures.Future[Any]] = {}
        self._started = False
        self.data: Any = None
        self.seconds = 0.0

    def start(self) -> None:
        """Compiles in threads, and returns when the first program is traced.

        XLA leaves Python's lock while it compiles; tracing holds it, so the first
        program is traced before others ask for it, and XLA then has work at once.
        """
        if self._started:
            return
        self._started, began = True, time.perf_counter()
        self.data, seed = jax.device_put(
            (self._task.data(), self._seed), sharded(self._mesh, REPLICATED)
        )
        pool = concurrent.futures.ThreadPoolExecutor(cores())
        compiled: list[concurrent.futures.Future[None]] = []
        for program in self._programs:
            # The order's trace is kept, and compiling asks for it in another thread.
            program.order(self.data)
            train = program.train
            traced_here = not compiled and not train.is_compiled
            lowered = train.lower(self.data) if traced_here else None
            compiled.append(pool.submit(train.compile, self.data, lowered))
            self._others.append(pool.submit(program.start.compile, self.data))
            self._orders.append(self._drawing(program, seed, pool))
        pool.shutdown(wait=False)
        self._compiled = compiled
        for future in compiled:
            future.add_done_callback(lambda _: self._note(began))

    def finish(self, *, gather: bool) -> None:
        """Waits for what is left, and raises what went wrong.

        Args:
            gather: Whether members are to continue others, which takes one more small
                program for each program.
        """
        self.start()
        if gather and not self._gathers:
            self._gathers = True
            with concurrent.futures.ThreadPoolExecutor(cores()) as pool:
                self._others += [
                    pool.submit(program.gather.compile, self.data)
                    for program in self._programs
                ]
        for future in (*self._compiled, *self._others, *self._orders):
            future.result()

    def compile_again(self, index: int) -> None:
        """Compiles a program that has taken the place of another."""
        program = self._programs[index]
        program.train.compile(self.data)
        program.start.compile(self.data)
        if self._gathers:
            program.gather.compile(self.data)

    def order(self, index: int) -> Any:
        """The batches of all epochs for the program ``index``; None: it draws its own.

        Call `finish` before.
        """
        return self._orders[index].result()

    def _drawing(
        self, program: Program, seed: jax.Array, pool: concurrent.futures.Executor
    ) -> concurrent.futures.Future[Any]:
        """The order of a program; those that agree on it share one array."""
        traced = program.order(self.data)
        identity = order_identity(traced)
        if identity not in self._drawn:
            self._drawn[identity] = pool.submit(
                draw_order, self._task, traced, self.data, seed
            )
        return self._drawn[identity]

    def _note(self, began: float) -> None:
        done = sum(future.done() for future in self._compiled)
        self.seconds = time.perf_counter() - began
        self._on_event(f"compiled {done} of {len(self._programs)} programs")
