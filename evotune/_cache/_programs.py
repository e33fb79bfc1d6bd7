"""Compiling a program, or loading what an earlier process made of it."""

from __future__ import annotations

import pickle
import threading
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.monitoring
from jax.experimental import serialize_executable

from evotune._cache._key import program_key
from evotune._cache._options import known_options
from evotune._cache._settings import VARIABLE, current
from evotune._cache._store import Store

_HIT = "/evotune/compile_cache/hits"
_MISS = "/evotune/compile_cache/misses"

_complained: set[Store] = set()
_lock = threading.Lock()


def compile_cached(
    lowered: jax.stages.Lowered,
    options: Mapping[str, Any] | None = None,
    *,
    devices: Sequence[jax.Device],
) -> jax.stages.Compiled:
    """``lowered.compile(options)``, from the cache where it has the program.

    A program that cannot be kept (one that calls back into Python, for instance) is
    compiled, and so is one whose entry is damaged. A folder that fails is left alone
    for the rest of the process, with one warning. `jax.monitoring` counts
    ``/evotune/compile_cache/hits`` and ``misses``.

    Args:
        lowered: The program.
        options: Of the compiler, as `jax.stages.Lowered.compile` takes them; those
            that this XLA does not know are left out.
        devices: What it runs on, in the order of its mesh.
    """
    store = _store()
    key = None if store is None else program_key(lowered, options, devices)
    if store is None or key is None:
        return _compile(lowered, options)
    found = _load(store, key, lowered, devices)
    jax.monitoring.record_event(_MISS if found is None else _HIT)
    if found is not None:
        return found
    compiled = _compile(lowered, options)
    _keep(store, key, compiled)
    return compiled


class CachedFunction:
    """A jitted function whose programs go through the cache.

    Example:
        >>> import jax.numpy as jnp
        >>> double = CachedFunction(lambda factor, x: factor * x, static=1)
        >>> int(double(2, jnp.int32(3)))
        6
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        static: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Compiles nothing yet.

        Args:
            function: What JAX can trace; its name is the program's.
            static: How many of its first arguments are compiled in; hashable.
            options: Of the compiler.
        """
        self._static = static
        self._options = None if options is None else dict(options)
        self._jitted = jax.jit(function, static_argnums=tuple(range(static)))
        self._known: dict[Hashable, jax.stages.Compiled] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Calls the program of these static values and shapes."""
        return self.compile(*arguments)(*arguments[self._static :])

    def compile(self, *arguments: Any) -> jax.stages.Compiled:
        """The program that a call with these arguments runs, without running it."""
        static, dynamic = arguments[: self._static], arguments[self._static :]
        leaves, tree = jax.tree.flatten(dynamic)
        identity = (static, tree, tuple(jax.typeof(leaf) for leaf in leaves))
        if identity not in self._known:
            self._known[identity] = compile_cached(
                self._jitted.lower(*arguments),
                self._options,
                devices=[_default_device()],
            )
        return self._known[identity]


def _default_device() -> jax.Device:
    """Where JAX runs a function whose arguments are on no device yet."""
    chosen: Any = getattr(jax.config, "jax_default_device", None)
    if isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return jax.local_devices()[0] if chosen is None else chosen


def _store() -> Store | None:
    """Where programs are kept; None where there is no cache."""
    settings = current()
    if settings is None or settings.folder is None:
        return None
    if jax.process_count() > 1:  # what is compiled here is then a part of a program
        return None
    return Store(settings.folder, settings.max_bytes)


def _compile(
    lowered: jax.stages.Lowered, options: Mapping[str, Any] | None
) -> jax.stages.Compiled:
    return lowered.compile(None if options is None else known_options(options))


def _load(
    store: Store,
    key: str,
    lowered: jax.stages.Lowered,
    devices: Sequence[jax.Device],
) -> jax.stages.Compiled | None:
    """The program; None where it is not there or does not load."""
    try:
        content = store.read(key)
    except OSError as error:
        _complain(store, error)
        return None
    if content is None:
        return None
    try:
        return serialize_executable.deserialize_and_load(
            content,
            lowered.in_tree,
            lowered.out_tree,
            backend=devices[0].client,
            execution_devices=devices,
        )
    except Exception:  # whatever is wrong with it, compiling mends it
        store.remove(key)
        return None


def _keep(store: Store, key: str, compiled: jax.stages.Compiled) -> None:
    """Writes the program, if it can be written."""
    if store in _complained:
        return
    try:
        content, _, _ = serialize_executable.serialize(compiled)
    except (
        AttributeError,
        NotImplementedError,
        TypeError,
        ValueError,
        jax.errors.JaxRuntimeError,
        pickle.PicklingError,
    ):
        return  # what JAX raises for programs that hold more than code
    try:
        store.write(key, content)
    except OSError as error:
        _complain(store, error)


def _complain(store: Store, error: OSError) -> None:
    """Warns once of a folder."""
    with _lock:
        first = store not in _complained
        _complained.add(store)
    if first:
        warnings.warn(
            f"Compiled programs cannot be kept in {store.folder} ({error}), so the "
            "next process compiles them again. Set the environment variable "
            f"{VARIABLE} to a folder that can be written, or to `off`.",
            stacklevel=2,
        )
