"""Runs of searches on the same problems: evotune's, and those of other tools."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from benchmarks import _samplers
from benchmarks._contest import say
from benchmarks._harness import cores
from benchmarks._sides import missing


class Needy(Protocol):
    """A side that may need packages.

    Attributes:
        needs: Their import names.
    """

    @property
    def needs(self) -> Sequence[str]:
        """Import names of packages that it needs beyond evotune's own."""
        ...


Side = TypeVar("Side", bound=Needy)


def present(
    known: Mapping[str, Side], wanted: Sequence[str] | None, *, always: str
) -> dict[str, Side]:
    """The sides that were asked for and have their packages; says who has not.

    Args:
        known: All sides by name.
        wanted: Names; None for all.
        always: A side that is there whether it was asked for or not.
    """
    found = {}
    for name, side in known.items():
        if name != always and wanted and name not in wanted:
            continue
        if line := missing(side.needs):
            say(f"{name}: {line}")
        else:
            found[name] = side
    return found


def workers(*, tiny: bool) -> concurrent.futures.Executor:
    """A process on each core; if tiny a thread, which imports nothing anew."""
    if tiny:
        return concurrent.futures.ThreadPoolExecutor(1)
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(cores(), context)


def losses(
    search: Any,
    problems: Sequence[Any],
    *,
    seeds: Sequence[int],
    rounds: int,
    batch: int,
    pool: concurrent.futures.Executor,
) -> tuple[list[np.ndarray], float]:
    """What a search finds with each seed, and the seconds of a run.

    Args:
        search: An algorithm of evotune, all of whose runs take turns in one program; or
            ``(problem, *, seed, rounds, batch) -> losses``, which the pool is sent.
        problems: One for each seed.
        seeds: Of the runs.
        rounds: Times that a search is asked and told.
        batch: Trials of a round.
        pool: Where searches run that are no algorithm of evotune.

    Returns:
        f64[rounds * batch] losses of each run, f64[rounds * batch, M] of several
        objectives, in the order of the trials; and seconds, evotune's with compiling.
    """
    if hasattr(search, "ask"):
        start = time.perf_counter()
        found = _samplers.asked_losses(search, problems, seeds=seeds, rounds=rounds)
        return list(found), (time.perf_counter() - start) / len(seeds)
    jobs = [
        pool.submit(_timed, search, problem, seed=seed, rounds=rounds, batch=batch)
        for problem, seed in zip(problems, seeds, strict=True)
    ]
    runs, seconds = zip(*[job.result() for job in jobs], strict=True)
    return list(runs), float(np.mean(seconds))


def _timed(search: Callable[..., np.ndarray], *given: Any, **settings: Any) -> Any:
    """What a search found, and the seconds that it took."""
    start = time.perf_counter()
    return search(*given, **settings), time.perf_counter() - start
