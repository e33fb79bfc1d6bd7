"""Which of XLA's options this XLA knows: they come and go with its releases."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax


def known_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``options`` that XLA takes for the default backend.

    Each is tried once in a process, on a program that does nothing.

    Example:
        >>> known_options({"xla_backend_optimization_level": 1, "no_such_option": True})
        {'xla_backend_optimization_level': 1}
    """
    return {name: value for name, value in options.items() if _is_known(name, value)}


@functools.cache
def _is_known(name: str, value: Any) -> bool:
    def compiler_option() -> int:
        return 0

    try:
        jax.jit(compiler_option).lower().compile({name: value})
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" in str(error):
            return False
        raise
    return True
