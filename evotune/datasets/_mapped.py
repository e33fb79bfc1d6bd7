"""Examples that stay on disk, and are read row by row when they are asked for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from evotune import _errors

CHUNK_BYTES = 2**28
"""Of the examples that are read at once: 256 MiB, as float32."""


class MappedRows:
    """Rows of an array in a file, in any order, that become float32 when read.

    It stands where an array f32[N, ...] does: it has a shape, indexing by rows gives
    another one, and ``numpy.asarray`` reads all of its rows. Nothing else reads any.

    Attributes:
        shape: (N, ...) of the array that it stands for.
        dtype: float32.
        chunk_bytes: Most bytes of rows, as float32, that training reads at once.

    Example:
        >>> rows = MappedRows(np.arange(6, dtype=np.uint8).reshape(3, 2), name="x")
        >>> np.asarray(rows[np.array([2, 0])]).tolist()
        [[4.0, 5.0], [0.0, 1.0]]
    """

    def __init__(
        self,
        mapped: np.ndarray,
        *,
        name: str,
        chunk_bytes: int = CHUNK_BYTES,
        index: np.ndarray | None = None,
        example_shape: tuple[int, ...] | None = None,
    ):
        """Reads nothing.

        Args:
            mapped: [M, ...] numbers, usually a `numpy.memmap`.
            name: What messages call it.
            chunk_bytes: See the class.
            index: i64[N] rows of ``mapped`` in their order; None for all of them.
            example_shape: Shape of one row; None for that of ``mapped``.
        """
        self._mapped, self._name, self._index = mapped, name, index
        own = mapped.shape[1:] if example_shape is None else example_shape
        rows = len(mapped) if index is None else len(index)
        self.shape: tuple[int, ...] = (rows, *own)
        self.dtype = np.dtype(np.float32)
        self.chunk_bytes = chunk_bytes

    @property
    def ndim(self) -> int:
        """Number of axes, that of the rows included."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows as float32."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        """N, the number of rows."""
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> MappedRows:
        """The given rows, still on disk."""
        everything = np.arange(len(self)) if self._index is None else self._index
        return self._like(everything[rows], self.shape[1:])

    def reshape(self, rows: int, *shape: int) -> MappedRows:
        """The same rows, each with another shape of as many values."""
        assert rows == len(self)
        assert math.prod(shape) == math.prod(self.shape[1:])
        return self._like(self._index, shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """f32[N, ...], read from disk in the order of the file.

        Raises:
            DataError: If a value that is read is not finite.
        """
        if copy is False:
            raise ValueError("MappedRows are read from disk, which makes a copy.")
        index = np.arange(len(self)) if self._index is None else self._index
        order = np.argsort(index, kind="stable")
        found = np.empty((len(index), *self._mapped.shape[1:]), np.float32)
        with np.errstate(over="ignore"):  # what does not fit is told below
            found[order] = self._mapped[index[order]]
        self._check(found, index)
        return found.reshape(self.shape).astype(dtype or np.float32, copy=False)

    def _check(self, found: np.ndarray, index: np.ndarray) -> None:
        bad = ~np.isfinite(found).all(axis=tuple(range(1, found.ndim)))
        if bad.any():
            raise _errors.DataError(
                f"Examples must be finite float32, but row {index[bad].min()} of "
                f"{self._name} has NaN, infinity or a number beyond 3.4e38. Write the "
                "file without such rows, or with what they should be."
            )

    def _like(self, index: np.ndarray | None, shape: tuple[int, ...]) -> MappedRows:
        return MappedRows(
            self._mapped,
            name=self._name,
            chunk_bytes=self.chunk_bytes,
            index=index,
            example_shape=shape,
        )
