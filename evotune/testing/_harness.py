"""An algorithm in one space, as tests run it."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from evotune._contracts import Algorithm, Geometry, Outcome, Proposal, pending
from evotune.testing._haste import hasty_jit
from evotune.testing._outcomes import finish


class Harness:
    """An algorithm in one space, compiled once, that counts how often it is traced.

    Args:
        algorithm: What is tested.
        geometry: The space.
    """

    def __init__(self, algorithm: Algorithm, geometry: Geometry) -> None:
        self.algorithm = algorithm
        self.geometry = geometry
        self.traces: Counter[str] = Counter()

        self.ask = hasty_jit(self.counting("ask", algorithm.ask))
        self.tell = hasty_jit(self.counting("tell", algorithm.tell))

    def counting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, counting its traces under ``name``."""

        def counted(*arguments: Any) -> Any:
            self.traces[name] += 1
            return function(*arguments)

        return counted

    def start(self, seed: int = 0) -> Any:
        """The state before anything is known."""
        return self.algorithm.init(jax.random.key(seed), self.geometry)

    def score(self, proposal: Proposal) -> np.ndarray:
        """f32[P], a smooth fitness with its best at 0.3 in every dimension."""
        return -((np.asarray(proposal.x) - 0.3) ** 2).mean(axis=1)

    @functools.cached_property
    def generations(self) -> list[tuple[Any, Proposal, Outcome]]:
        """Three generations: the state that was asked, its answer, what came of it."""
        state, rows = self.start(), []
        for number in range(3):
            proposal = self.ask(jax.random.key(number), state)
            outcome = finish(proposal, self.score(proposal))
            rows.append((state, proposal, outcome))
            state = self.tell(self.tell(state, pending(proposal)), outcome)
        return rows


@functools.lru_cache(maxsize=256)
def harness(algorithm: Any, geometry: Geometry) -> Harness:
    """One harness for each algorithm and space, so that each compiles once."""
    return Harness(algorithm, geometry)
