"""Training data that come to the devices in chunks, as they do not fit at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from evotune._errors import HyperparameterError
from evotune.datasets import MappedRows, Part


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stream:
    """Arrays of `Task.data` that change from chunk to chunk of an epoch.

    Every chunk has arrays of the same names, shapes and dtypes; those that `Task.data`
    holds stand for them. `Task.batches` picks rows of one chunk.

    Attributes:
        names: Of those arrays, in a mapping that `Task.data` returns.
        chunks: C, how many make an epoch.
        nbytes: Bytes of one chunk.
        kept_bytes: Bytes of all other data that a device holds, at most.
        read: From the number of a chunk to its arrays, in memory. Called in a thread.
    """

    names: frozenset[str]
    chunks: int
    nbytes: int
    kept_bytes: int
    read: Callable[[int], Mapping[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cut:
    """N rows of a training split, cut into C chunks of as many rows each.

    Where C does not divide N, neighbours share a row each as often as needed, so that
    no row is left out.

    Attributes:
        total: N.
        chunks: C.

    Example:
        >>> cut = Cut(total=7, chunks=3)
        >>> cut.rows, [(part.start, part.stop) for part in map(cut.part, range(3))]
        (3, [(0, 3), (2, 5), (4, 7)])
    """

    total: int
    chunks: int

    @classmethod
    def of(cls, split: Part) -> Cut:
        """As few chunks as the examples of ``split`` need; one of those in memory."""
        x = split.x
        if not isinstance(x, MappedRows):
            return cls(total=len(x), chunks=1)
        most = max(1, x.chunk_bytes // max(1, x.nbytes // len(x)))
        return cls(total=len(x), chunks=-(-len(x) // most))

    @property
    def rows(self) -> int:
        """Rows of a chunk."""
        return -(-self.total // self.chunks)

    def part(self, chunk: int) -> slice:
        """The rows of a chunk."""
        start = chunk * (self.total - self.rows) // max(1, self.chunks - 1)
        return slice(start, start + self.rows)


def check_sample(rows: int, cut: Cut, name: str) -> None:
    """Whether ``rows`` of the training split can be scored after every epoch.

    Raises:
        HyperparameterError: If they come in chunks, of which the last would be scored.
    """
    if rows and cut.chunks > 1:
        raise HyperparameterError(
            "train_metrics scores the same training examples after every epoch, but "
            f"those of {name!r} come in {cut.chunks} chunks. Leave `train_metrics` "
            "out, or use a larger `chunk_bytes`."
        )
