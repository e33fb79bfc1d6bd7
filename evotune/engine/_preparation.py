"""What a run needs before its first block: data on devices, programs compiled."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from evotune.engine._chunks import draw_chunk_order
from evotune.engine._devices import REPLICATED, cores, sharded
from evotune.engine._feed import resident
from evotune.engine._order import draw_order, order_identity
from evotune.engine._program import Program
from evotune.tasks import Task


class Preparation:
    """Compiles every program of a plan, and draws the order of the data.

    Attributes:
        data: The task's data, on every device; None before `start`. Of arrays that come
            in chunks, shapes and dtypes.
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
        self._pool = concurrent.futures.ThreadPoolExecutor(cores())
        self._trains: list[concurrent.futures.Future[None]] = []
        self._others: list[list[concurrent.futures.Future[None]]] = []
        self._gathers = False
        self._orders: list[concurrent.futures.Future[Any]] = []
        self._drawn: dict[Hashable, concurrent.futures.Future[Any]] = {}
        self._seed_there: Any = None
        self._began = 0.0
        self.data: Any = None
        self.seconds = 0.0

    def start(self) -> None:
        """Compiles the first program in threads, and returns when it is traced.

        XLA leaves Python's lock while it compiles; tracing holds it. So the others
        wait for `start_others`: the algorithm proposes sooner who is to be trained.
        """
        if self._trains:
            return
        self._began = time.perf_counter()
        everywhere = sharded(self._mesh, REPLICATED)
        self._seed_there = jax.device_put(self._seed, everywhere)
        self.data = resident(
            self._task.data(),
            self._task.stream(),
            lambda arrays: jax.device_put(arrays, everywhere),
        )
        train = self._programs[0].train
        self._prepare(0, None if train.is_compiled else train.lower(self.data))

    def start_others(self, *, gather: bool) -> None:
        """Compiles the other programs in threads, and returns at once.

        Args:
            gather: Whether members are to continue others, which takes one more small
                program for each program.
        """
        self.start()
        for index in range(len(self._trains), len(self._programs)):
            self._prepare(index, None)
        if gather and not self._gathers:
            self._gathers = True
            for program, others in zip(self._programs, self._others, strict=True):
                if program.gathers:
                    others.append(self._pool.submit(program.gather.compile, self.data))

    def wait(self, index: int) -> None:
        """Returns when the program ``index`` can be called; raises what went wrong."""
        for future in (self._trains[index], *self._others[index], self._orders[index]):
            future.result()

    def finish(self, *, gather: bool) -> None:
        """Waits for all programs, those that nobody has called included.

        Args:
            gather: See `start_others`.
        """
        self.start_others(gather=gather)
        for index in range(len(self._programs)):
            self.wait(index)

    def compile_again(self, index: int) -> None:
        """Compiles a program that has taken the place of another."""
        program = self._programs[index]
        program.train.compile(self.data)
        for part in program.others:
            part.compile(self.data)
        if self._gathers and program.gathers:
            program.gather.compile(self.data)

    def order(self, index: int) -> Any:
        """The batches of all epochs for the program ``index``; None: it draws its own.

        Where data come in chunks, it is i32[T, C], the order of these in each epoch.
        Call `wait` before.
        """
        return self._orders[index].result()

    @property
    def span(self) -> tuple[float, float]:
        """When it started, and the end of the last compilation so far."""
        return self._began, self._began + self.seconds

    def _prepare(self, index: int, lowered: jax.stages.Lowered | None) -> None:
        program = self._programs[index]
        # The order's trace is kept, and compiling asks for it in another thread.
        traced = program.order(self.data)
        trains = self._pool.submit(program.train.compile, self.data, lowered)
        self._trains.append(trains)
        self._others.append(
            [self._pool.submit(part.compile, self.data) for part in program.others]
        )
        self._orders.append(self._drawing(traced, program))
        trains.add_done_callback(self._note)

    def _drawing(
        self, traced: jax.stages.Traced | None, program: Program
    ) -> concurrent.futures.Future[Any]:
        """The order of a program; those that agree on it share one array."""
        identity = order_identity(traced)
        if identity in self._drawn:
            return self._drawn[identity]
        if program.stream is not None:
            self._drawn[identity] = self._pool.submit(
                draw_chunk_order, program.points, program.stream.chunks, self._seed
            )
        else:
            self._drawn[identity] = self._pool.submit(
                draw_order, self._task, traced, self.data, self._seed_there
            )
        return self._drawn[identity]

    def _note(self, _: concurrent.futures.Future[None]) -> None:
        done = sum(future.done() for future in self._trains)
        self.seconds = time.perf_counter() - self._began
        self._on_event(f"compiled {done} of {len(self._programs)} programs")
