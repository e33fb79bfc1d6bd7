"""What the study needs of an engine: the seam at which tests put a fake one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from evotune._contracts import Outcome, Proposal


class Finished(Protocol):
    """What one ``collect`` brings home.

    Attributes:
        outcome: P rows, EMPTY-padded; larger fitness is better.
        metrics: f32[P, T] curves by name, in the user's sign.
        values: f32[P] objective values in the user's sign, or f64[P, M] of several
            objectives; NaN where diverged.
    """

    @property
    def outcome(self) -> Outcome: ...

    @property
    def metrics(self) -> Mapping[str, np.ndarray]: ...

    @property
    def values(self) -> np.ndarray: ...


class Engine(Protocol):
    """Trains what is proposed; see `evotune.engine.Engine`.

    An engine may have more: an attribute ``on_event``, which a run sets to a callable
    that takes a line of text, such as "compiled 3 of 6 programs"; a method
    ``start_compiling()``, called before the algorithm is asked, so that both compile at
    the same time; and a method ``template(params)``, with the structure, shapes and
    dtypes of what ``member`` returns for a trial of these parameters, which lets a
    saved state be read back; and a ``profile``, whose ``members_per_second``,
    ``utilisation`` and ``shares(seconds)`` the last line of a run shows, and whose
    ``search.note(step, seconds)`` counts what the search takes. One of several
    objectives has a mapping ``objectives`` of their names to their directions, and one
    that bounds something ``constraints``, the names of K.

    Attributes:
        rows: The most rows of a proposal: P, times the repeats of each.
        metric: The name of the metric that is the trial's value.
        direction: "maximize" or "minimize".
        points: T, the points of a learning curve.
        structural: The dimensions that change the shape of what is trained.
        plan: Printable, with ``to_json()``.
        pending: How many submitted rows are not collected yet.
        compile_seconds: Spent on compiling so far.
        run_seconds: Spent on training so far.
    """

    @property
    def rows(self) -> int: ...

    @property
    def metric(self) -> str: ...

    @property
    def direction(self) -> str: ...

    @property
    def points(self) -> int: ...

    @property
    def structural(self) -> tuple[str, ...]: ...

    @property
    def plan(self) -> Any: ...

    @property
    def pending(self) -> int: ...

    @property
    def compile_seconds(self) -> float: ...

    @property
    def run_seconds(self) -> float: ...

    def submit(self, proposal: Proposal) -> None:
        """Queues the rows of ``proposal`` that are not EMPTY."""
        ...

    def collect(self) -> Finished:
        """The next rows that have finished, in a deterministic order."""
        ...

    def cancel(self) -> None:
        """Drops what has not started."""
        ...

    def member(self, trial: int, replica: int = 0) -> Any:
        """The final training state of a member of the last collect, on the host."""
        ...
