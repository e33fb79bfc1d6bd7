"""The algorithm's state on the device, and the three compiled functions around it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from evotune._cache import CachedFunction
from evotune._contracts import EMPTY, Algorithm, Geometry, Outcome, Proposal
from evotune._errors import EvotuneError
from evotune.study._redraw import redrawn
from evotune.study._rows import Row, joined, padded, running

if TYPE_CHECKING:
    from evotune.space import Space

_PURPOSE_INIT = 0x696E6974
_PURPOSE_ASK = 0x61736B00
"""First folds of the keys. Trial numbers stay far below, so no engine shares them."""


_REDRAW = 2**24
"""What the number of an attempt adds to that of the proposal, in the key."""

_HASTY = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
_HASTY_ROWS = 256
"""From more rows on, what `ask` and `tell` take counts for more than compiling them."""


def init_key(key: jax.Array) -> jax.Array:
    """The key that an algorithm begins with, in a study whose own key is ``key``."""
    return jax.random.fold_in(jax.random.fold_in(key, _PURPOSE_INIT), 0)


def ask_key(key: jax.Array, number: jax.Array) -> jax.Array:
    """The key of proposal ``number`` (u32[], from 0), in a study of ``key``."""
    return jax.random.fold_in(jax.random.fold_in(key, _PURPOSE_ASK), number)


def _own_key(seed: jax.Array) -> jax.Array:
    return jax.random.key(seed, impl="threefry2x32")


def _search_init(algorithm: Algorithm, geometry: Geometry, seed: jax.Array) -> Any:
    return algorithm.init(init_key(_own_key(seed)), geometry)


def _search_ask(
    algorithm: Algorithm, seed: jax.Array, number: jax.Array, state: Any
) -> Proposal:
    return algorithm.ask(ask_key(_own_key(seed), number), state)


def _search_tell(algorithm: Algorithm, state: Any, outcome: Outcome) -> Any:
    return algorithm.tell(state, outcome)


class Programs(NamedTuple):
    """The compiled functions of any algorithm: each compiles once for its settings."""

    init: CachedFunction
    ask: CachedFunction
    tell: CachedFunction


@functools.cache
def _programs(*, hasty: bool) -> Programs:
    """Compiled well, or in a hurry: four times faster, to run a millisecond longer."""
    on_cpu = jax.default_backend() == "cpu"
    options = _HASTY if hasty and on_cpu else None
    return Programs(
        init=CachedFunction(_search_init, static=2, options=options),
        ask=CachedFunction(_search_ask, static=1, options=options),
        tell=CachedFunction(_search_tell, static=1, options=options),
    )


class Search:
    """An algorithm, its state, and all the rows that it was told.

    What is told is kept until the algorithm is asked, and told then, in as few calls as
    will hold it: nobody else looks at the state. So a study can be made, loaded and
    read without starting JAX, and a generation that came in many blocks is one call.

    Attributes:
        points: T that told curves are padded to; the engine's.
        objectives: M of what is told.
        constraints: K of what is told; the engine's.
        structural: The dimensions that change the shape of what is trained; the first
            run fixes them, unless the algorithm was asked before it.
        on_step: Is told "compile", "ask" or "tell" and the seconds that a step took
            which ends now; None where nobody counts.
    """

    def __init__(
        self, algorithm: Algorithm, space: Space, seed: int, objectives: int = 1
    ) -> None:
        self.points = 0
        self.objectives = objectives
        self.constraints = 0
        self.structural: tuple[str, ...] = ()
        self.on_step: Callable[[str, float], None] | None = None
        self._algorithm = algorithm
        self._space = space
        self._seed = np.uint32(seed)
        self._state: Any = None
        self._hasty = algorithm.batch_size <= _HASTY_ROWS
        self._new: list[Outcome] = []
        self._sealed: list[Outcome] = []
        self._compiling: concurrent.futures.Future[Any] | None = None

    @property
    def _run(self) -> Programs:
        return _programs(hasty=self._hasty)

    def ask(self, number: int) -> Proposal:
        """The next proposal, as numpy arrays, after telling what there is to tell.

        Forbidden rows are drawn again; those that cannot be are still there.

        Args:
            number: How many proposals were asked for before: the key hangs on it.

        Raises:
            EvotuneError: If the algorithm proposes a point outside the unit cube.
        """
        first = self._asked(number)
        if not self._space.constraints:
            return first

        def again(attempt: int) -> Proposal:
            return self._asked(number + attempt * _REDRAW)

        return redrawn(first, self._space.allowed, again)

    def _asked(self, number: int) -> Proposal:
        """What the algorithm proposes with one key."""
        known = self._seed, np.uint32(number), self.state()
        proposal = self._timed("ask", self._run.ask, self._algorithm, *known)
        proposal = jax.device_get(proposal)
        x = np.asarray(proposal.x)[np.asarray(proposal.trial) != EMPTY]
        if not np.all((x >= 0) & (x <= 1)):
            raise EvotuneError(
                f"Every proposed coordinate must lie in [0, 1], but proposal {number} "
                f"of {self._algorithm!r} holds {x[~((x >= 0) & (x <= 1))][:3]}. This "
                "is a mistake in the algorithm: clip what its ask() returns."
            )
        return proposal

    def tell(self, outcome: Outcome) -> None:
        """Keeps any number of rows, each with its ``x``, for the algorithm."""
        self._new.append(outcome)

    def seal(self) -> None:
        """Ends a group: what was told so far is not joined with what follows.

        An `Asked` event does so, hence replaying it tells in the same portions.
        """
        self._sealed += joined(self._new)
        self._new = []

    def state(self) -> Any:
        """The algorithm's state, which knows all that was told."""
        rows = self._algorithm.batch_size
        if self._state is None:
            geometry = self._space.geometry(self.structural)
            known = self._algorithm, geometry, self._seed
            self._state = self._timed("tell", self._run.init, *known)
        self.seal()
        if self._sealed:
            with self._clock("compile"):
                self.settle()
        sealed, self._sealed = self._sealed, []
        for outcome in sealed:
            for start in range(0, outcome.trial.shape[0], rows):
                part = padded(outcome, start, rows, self.points)
                self._state = self._timed(
                    "tell", self._run.tell, self._algorithm, self._state, part
                )
        return self._state

    def _timed(self, step: str, function: CachedFunction, *arguments: Any) -> Any:
        """Calls a program, counting what compiling it and what running it takes."""
        with self._clock("compile"):
            function.compile(*arguments)
        with self._clock(step):
            return jax.block_until_ready(function(*arguments))

    @contextlib.contextmanager
    def _clock(self, step: str) -> Iterator[None]:
        """Tells who counts how long the block took."""
        start = time.perf_counter()
        yield
        if self.on_step is not None:
            self.on_step(step, time.perf_counter() - start)

    def start_compiling(self) -> None:
        """Compiles ``tell`` in a thread, once there is a state.

        Nobody needs it before the second `ask`, so that the first proposal is trained
        meanwhile, and XLA leaves Python's lock while it compiles.
        """
        if self._compiling is not None or self._state is None:
            return
        middle = Row(x=np.full((len(self._space.axes),), 0.5, np.float32), trial=EMPTY)
        nothing = padded(
            running([middle], self.objectives, self.constraints),
            0,
            self._algorithm.batch_size,
            self.points,
        )
        pool = concurrent.futures.ThreadPoolExecutor(1)
        self._compiling = pool.submit(
            self._run.tell.compile, self._algorithm, self._state, nothing
        )
        pool.shutdown(wait=False)

    def settle(self) -> None:
        """Waits for what `start_compiling` has begun."""
        if self._compiling is not None:
            self._compiling.result()
