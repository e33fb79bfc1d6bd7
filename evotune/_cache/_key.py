"""What a compiled program depends on, as a name for its entry in the cache."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jaxlib.version

from evotune._machine import cores, processor

_SCHEMA = 1
_CALLBACK = re.compile(r"custom_call @\w*callback")
_PLAIN = (bool, int, float, str, type(None))


def program_key(
    lowered: jax.stages.Lowered,
    options: Mapping[str, Any] | None,
    devices: Sequence[jax.Device],
) -> str | None:
    """A name that two programs share only if they compile to the same code.

    It hangs on the program's text without source lines, its arguments, the compiler's
    options, the devices, the versions of JAX, its settings and the processor.

    Args:
        lowered: The program.
        options: Of the compiler.
        devices: What it runs on, in the order of its mesh.

    Returns:
        The name; None for a program that must not be kept, as it calls back into this
        process or does not say which of its arguments it reads.
    """
    text = lowered.as_text()
    arguments = _arguments(lowered)
    if arguments is None or _CALLBACK.search(text):
        return None
    depends_on = (
        _SCHEMA,
        arguments,
        sorted((options or {}).items()),
        [(d.id, d.device_kind, d.platform, d.client.platform_version) for d in devices],
        _settings_of_jax(),
        # Code for instructions that a processor lacks would end the process, and code
        # for more threads than there are runs badly.
        (processor(), cores()),
    )
    digest = hashlib.sha256(repr(depends_on).encode())
    digest.update(text.encode())
    return digest.hexdigest()


def _arguments(lowered: jax.stages.Lowered) -> tuple[Any, ...] | None:
    """Paths and types of all arguments, and names of those that are read.

    A compiled program knows by position which arguments were dropped, as nothing reads
    them, and its text does not say it: f(a, b) = a and g(a, b) = b have the same one.
    """
    everything = [
        (jax.tree_util.keystr(path), tuple(info.shape), str(info.dtype), info.donated)
        for path, info in jax.tree.leaves_with_path(lowered.args_info)
    ]
    module: Any = lowered.compiler_ir()
    functions = module.body.operations
    (main,) = (f for f in functions if f.attributes["sym_name"].value == "main")
    if len(main.arguments) == len(everything):
        return tuple(everything), "all"
    read = [str(argument.location) for argument in main.arguments]
    if len(set(read)) < len(read) or any("unknown" in name for name in read):
        return None
    return tuple(everything), tuple(read)


def _settings_of_jax() -> tuple[Any, ...]:
    """All plain settings: which of them the compiler reads changes with its version."""
    values = sorted(
        (name, value)
        for name, value in jax.config.values.items()
        if isinstance(value, _PLAIN)
    )
    flags = [os.environ.get(name, "") for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")]
    return jax.__version__, jaxlib.version.__version__, *values, *flags
