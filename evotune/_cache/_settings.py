"""Whether, where and how much: what evotune keeps in the user's folder."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import jax

VARIABLE = "EVOTUNE_CACHE"
"""Environment variable: a folder, or one of `_OFF`."""

_OFF = ("0", "false", "no", "off")
_PROGRAMS = "programs"
MAX_BYTES = 2**30


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What `set_compile_cache` was called with.

    Attributes:
        folder: Where programs are kept; None follows `VARIABLE` and the platform.
        enabled: Whether they are kept at all.
        max_bytes: Above it, the programs that were not used for longest are removed.
    """

    folder: Path | None = None
    enabled: bool = True
    max_bytes: int = MAX_BYTES


_settings = Settings()


def set_compile_cache(
    folder: str | os.PathLike[str] | None = None,
    *,
    enabled: bool = True,
    max_bytes: int = MAX_BYTES,
) -> Path | None:
    """Sets where compiled programs are kept between processes, or switches that off.

    Without a call, they are kept in the user's cache folder: ``evotune/programs`` in
    ``$XDG_CACHE_HOME`` or ``~/.cache`` on Linux, ``~/Library/Caches`` on macOS,
    ``%LOCALAPPDATA%`` on Windows. The environment variable ``EVOTUNE_CACHE`` names
    another folder, or is ``off``. Where JAX's own ``jax_compilation_cache_dir`` is set,
    programs go there instead, and ``jax_enable_compilation_cache=False`` switches this
    cache off, too.

    Loading a program runs code: share a folder with no one whom you do not trust.

    Args:
        folder: Made when the first program is written; None for the one above.
        enabled: False compiles everything in every process.
        max_bytes: The most that the folder may hold, in bytes; 1 GiB by default.

    Returns:
        The folder that programs are now read from; None where there is no cache.

    Raises:
        ValueError: If ``max_bytes`` is not positive.

    Example:
        >>> import evotune as et
        >>> et.engine.set_compile_cache(enabled=False)
    """
    global _settings
    if max_bytes <= 0:
        raise ValueError(
            f"max_bytes must be positive, but got {max_bytes}. To keep no programs, "
            "use et.engine.set_compile_cache(enabled=False)."
        )
    chosen = None if folder is None else Path(folder).expanduser().absolute()
    _settings = Settings(folder=chosen, enabled=enabled, max_bytes=max_bytes)
    found = current()
    return None if found is None else found.folder


def current() -> Settings | None:
    """The settings in force, with their folder; None where there is no cache.

    Read anew for each program, as the user may configure JAX at any time.
    """
    if not _settings.enabled:
        return None
    if not getattr(jax.config, "jax_enable_compilation_cache", True):
        return None
    if getattr(jax.config, "jax_compilation_cache_dir", None):
        return None  # the user's own cache does the work
    if _settings.folder is not None:
        return _settings
    folder = user_folder(_PROGRAMS)
    return None if folder is None else dataclasses.replace(_settings, folder=folder)


def user_folder(what: str) -> Path | None:
    """Where something is kept for this user; None where nothing is to be kept.

    The folder that the environment variable names holds programs themselves, and all
    else in folders of its own.

    Args:
        what: "programs" or "calibration".
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named.lower() in _OFF:
        return None
    if named:
        folder = Path(named).expanduser().absolute()
        return folder if what == _PROGRAMS else folder / what
    base = _platform_folder()
    return None if base is None else base / "evotune" / what


def _platform_folder() -> Path | None:
    """The system's folder for what can be made again; None without a home."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
        if not base.is_absolute():  # which the specification says to ignore
            base = home / ".cache"
    return base
