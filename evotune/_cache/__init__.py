"""Compiled programs on disk, so that the next process loads what this one compiled.

Only the programs that evotune compiles ahead of time go through it: no setting of JAX
is changed, and functions that a user jits are none of its business. `user_folder` says
where else something is kept for the user, by the same rule.
"""

from evotune._cache._programs import CachedFunction, compile_cached
from evotune._cache._settings import VARIABLE, set_compile_cache, user_folder

__all__ = [
    "VARIABLE",
    "CachedFunction",
    "compile_cached",
    "set_compile_cache",
    "user_folder",
]
