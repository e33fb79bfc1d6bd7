"""What the search itself takes, beside the training that it proposes."""

from __future__ import annotations

import dataclasses
import time

from evotune.engine._shares import Span


@dataclasses.dataclass(kw_only=True)
class SearchCost:
    """Seconds on the host's clock, devices included, by what the search did in them.

    Attributes:
        compile: In which it waited for its own programs, traced and compiled. Most of
            it passes while the first programs of the training are compiled, too.
        ask: In which it chose what to try.
        tell: In which it learnt from results.
        proposals: How often it was asked; once a generation, and more often where
            constraints forbid what was proposed.
        spans: When it was asked and told.
    """

    compile: float = 0.0
    ask: float = 0.0
    tell: float = 0.0
    proposals: int = 0
    spans: list[Span] = dataclasses.field(default_factory=list, repr=False)

    @property
    def seconds(self) -> float:
        """Of asking and telling, without compiling."""
        return self.ask + self.tell

    def note(self, step: str, seconds: float) -> None:
        """Counts a step that ends now.

        Args:
            step: "compile", "ask" or "tell".
            seconds: How long it took.
        """
        setattr(self, step, getattr(self, step) + seconds)
        self.proposals += step == "ask"
        if step != "compile":
            now = time.perf_counter()
            self.spans.append((now - seconds, now))

    def __str__(self) -> str:
        each = 1e3 * self.seconds / max(self.proposals, 1)
        return (
            f"{self.seconds:.2f} s of search: {self.ask:.2f} s asking, "
            f"{self.tell:.2f} s telling, {each:.3g} ms a proposal; "
            f"{self.compile:.1f} s for its own programs"
        )
