"""Flax's pooling functions, computed by slices while a user's module is traced."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from flax.linen import pooling

from evotune import nn

_flax_pool = pooling.pool
_lock = threading.Lock()
_inside = 0


@contextlib.contextmanager
def fast_pooling() -> Iterator[None]:
    """Lets `flax.linen.max_pool` and the like, also nnx's, use `nn.reduce_windows`.

    They are functions, not modules, so they cannot be intercepted; the one that all of
    them call is exchanged, and put back when the last of nested or parallel uses ends.
    """
    _enter(+1)
    try:
        yield
    finally:
        _enter(-1)


def _enter(change: int) -> None:
    global _inside
    with _lock:
        _inside += change
        exchanged: Any = nn.reduce_windows if _inside else _flax_pool
        pooling.pool = exchanged
