"""IDX, the file format of MNIST and its kin: reading one file.

Reference: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten
digits": two zero bytes, a byte for the type, a byte for the number of axes, the sizes
as big-endian 32-bit integers, then the values, big-endian, last axis fastest.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from evotune import _errors

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, compressed with gzip or not, in native byte order.

    Args:
        path: The file; gzip is known by its first bytes, not by its name.

    Raises:
        DataError: If the file cannot be read, is not IDX, or is cut short.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        if content[:2] == _GZIP:
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise _errors.DataError(
            f"The IDX file {str(path)!r} cannot be read: {error}. Is it complete?"
        ) from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise _errors.DataError(
            f"An IDX file starts with two zero bytes and a type, but {str(path)!r} "
            f"starts with {content[:4]!r}. Was a web page saved in its place?"
        )
    dtype = np.dtype(_TYPES[content[2]])
    start = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4"))
    expected = start + dtype.itemsize * math.prod(shape)
    if len(shape) != content[3] or len(content) != expected:
        raise _errors.DataError(
            f"The IDX file {str(path)!r} announces shape {shape}, which takes "
            f"{expected:,} bytes, but it has {len(content):,}. Copy it again."
        )
    values = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="))
