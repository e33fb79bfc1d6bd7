"""Compiled programs on disk, so that the next process loads what this one compiled.

Only the programs that evotune compiles ahead of time go through it: no setting of JAX
is changed, and functions that a user jits are none of its business.
"""

from evotune._cache._programs import CachedFunction, compile_cached
from evotune._cache._settings import set_compile_cache

__all__ = ["CachedFunction", "compile_cached", "set_compile_cache"]
