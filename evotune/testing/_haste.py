"""Compiling in a hurry what runs for microseconds."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax

Options = dict[str, bool | int | str]


@functools.cache
def _options() -> tuple[tuple[str, bool | int], ...]:
    """XLA options that compile fast and run slowly, as far as this XLA knows them."""
    if jax.default_backend() != "cpu":
        return ()
    known: list[tuple[str, bool | int]] = []
    for option in (
        ("xla_backend_optimization_level", 0),
        ("xla_cpu_use_fusion_emitters", False),
    ):
        options: Options = dict([option])
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            jax.jit(lambda: 0, compiler_options=options).lower().compile()
            known.append(option)
    return tuple(known)


def hasty_jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit` for tests: a fifth of the compile time on CPU, for slower programs."""
    return jax.jit(function, compiler_options=dict(_options()))


@contextlib.contextmanager
def hasty_operations() -> Iterator[None]:
    """Operations outside of jit compile in a hurry too: there may be hundreds."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
