"""One writer for each journal."""

from __future__ import annotations

import os
from pathlib import Path

from evotune._errors import JournalError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def lock(path: Path) -> int:
    """Takes the lock file at ``path`` and writes the own process id into it.

    The operating system gives the lock back when the process ends, however it ends.

    Returns:
        The open file descriptor that holds the lock; closing it releases the lock.

    Raises:
        JournalError: If somebody else holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(descriptor)
    except OSError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise JournalError(
            f"A study on disk has one writer, but {str(path.parent)!r} is being "
            f"written by {_holder(holder)}. Wait for it, or give this study another "
            f"study_name."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor


def _holder(pid: str) -> str:
    if pid == str(os.getpid()):
        return "another Study of this very process (end it with study.close())"
    return f"process {pid or 'unknown'}"


def _take(descriptor: int) -> None:
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
