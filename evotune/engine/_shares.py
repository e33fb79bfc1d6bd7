"""What the devices did with a span of time, from when blocks ran and when XLA did."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

Span = tuple[float, float]
"""From when to when, in seconds of `time.perf_counter`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shares:
    """Fractions of a span of time; those of the first five add up to 1.

    Attributes:
        compile: In which programs were traced and compiled, and nothing trained; what
            is compiled while blocks run costs no time of its own.
        train: In which a block ran, without its evaluations.
        evaluate: Evaluations; NaN where the task's arithmetic is not known, and then
            part of ``train``. An estimate: they lie inside compiled programs, where
            nothing can be timed, so that a block's seconds are split by their part of
            its multiply-adds.
        search: In which the algorithm was asked and told, and nothing was trained or
            compiled.
        host: The rest: the journal, decoding, callbacks.
        idle: In which no block ran, so that the devices trained nobody: ``compile``,
            ``search`` and ``host`` together.
    """

    compile: float
    train: float
    evaluate: float
    search: float
    host: float

    @property
    def idle(self) -> float:
        """See the class."""
        return self.compile + self.search + self.host

    def __str__(self) -> str:
        evaluates = not math.isnan(self.evaluate)
        evaluate = f", about {self.evaluate:.0%} evaluate" * evaluates
        return (
            f"{self.train:.0%} train{evaluate}, {self.idle:.0%} idle: "
            f"{self.compile:.0%} compile, {self.search:.0%} search, "
            f"{self.host:.0%} host"
        )


def shares_of(
    window: Span,
    blocks: Sequence[tuple[Span, float | None]],
    compiling: Span,
    searching: Sequence[Span] = (),
) -> Shares:
    """The shares of a window of time; NaN in one of no length.

    Args:
        window: The span that is divided.
        blocks: When each block ran, one after the other, and the share of its
            arithmetic that is evaluation, None where unknown.
        compiling: From the start of tracing to the end of the last compilation.
        searching: When the algorithm was asked and told, between blocks.
    """
    total = window[1] - window[0]
    if total <= 0.0:
        nothing = math.nan
        return Shares(
            compile=nothing,
            train=nothing,
            evaluate=nothing,
            search=nothing,
            host=nothing,
        )
    ran = evaluated = meanwhile = 0.0
    for span, evaluation in blocks:
        seconds = _common(span, window)
        if not seconds:
            continue
        ran += seconds
        evaluated += seconds * (math.nan if evaluation is None else evaluation)
        meanwhile += _common(span, _cut(compiling, window))
    compiled = max(0.0, _common(compiling, window) - meanwhile)
    searched = sum(
        _common(span, window) - _common(span, _cut(compiling, window))
        for span in searching
    )
    train = ran if math.isnan(evaluated) else ran - evaluated
    return Shares(
        compile=compiled / total,
        train=train / total,
        evaluate=evaluated / total,
        search=searched / total,
        host=max(0.0, total - ran - compiled - searched) / total,
    )


def _common(a: Span, b: Span) -> float:
    """Seconds that two spans share."""
    start, end = _cut(a, b)
    return max(0.0, end - start)


def _cut(a: Span, b: Span) -> Span:
    return max(a[0], b[0]), min(a[1], b[1])
