"""Public contract suites: inherit one to test an algorithm of your own.

The suites need pytest to run, not to be imported.
"""

from __future__ import annotations

from evotune.testing._algorithm import AlgorithmContract
from evotune.testing._geometries import (
    GEOMETRIES,
    Axis,
    choice,
    cube,
    floating,
    integer,
    log_integer,
)
from evotune.testing._outcomes import finish, part

__all__ = [
    "GEOMETRIES",
    "AlgorithmContract",
    "Axis",
    "choice",
    "cube",
    "finish",
    "floating",
    "integer",
    "log_integer",
    "part",
]
