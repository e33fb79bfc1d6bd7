"""A folder of entries: written whole or not at all, the least recently used ones go."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

_SUFFIX = ".program"
_UNFINISHED = ".unfinished"
_ABANDONED_SECONDS = 3600.0
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclasses.dataclass(frozen=True, slots=True)
class Store:
    """Bytes by key, in files, for any number of threads and processes at once.

    No lock is needed: a file gets its name when it is complete, names are made of the
    content's key, and an entry that another process has removed is a miss. The time of
    last use is the file's time of change.

    Attributes:
        folder: Made by the first `write`, for this user alone.
        max_bytes: Above it, `write` removes the entries not used for longest.
    """

    folder: Path
    max_bytes: int

    def read(self, key: str) -> bytes | None:
        """The entry, or None where there is none or it is damaged.

        Raises:
            OSError: If the folder cannot be read.
        """
        path = self._path(key)
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        digest, packed = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(packed).digest() != digest:
            self.remove(key)
            return None
        with contextlib.suppress(OSError):  # of others' folders one may only read
            os.utime(path)
        return zlib.decompress(packed)

    def write(self, key: str, content: bytes) -> None:
        """Adds an entry; one larger than all that is allowed is left out.

        Raises:
            OSError: If the folder cannot be written.
        """
        packed = zlib.compress(content, level=1)
        packed = hashlib.sha256(packed).digest() + packed
        if len(packed) > self.max_bytes:
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(suffix=_UNFINISHED, dir=self.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(packed)
            Path(name).replace(self._path(key))
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
        self._evict()

    def remove(self, key: str) -> None:
        """Removes an entry, if it is there and may be removed."""
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _evict(self) -> None:
        entries = sorted(self._entries())
        size = sum(size for _, size, _ in entries)
        for _, entry_size, path in entries:
            if size <= self.max_bytes:
                break
            with contextlib.suppress(OSError):  # another process was faster
                path.unlink()
            size -= entry_size

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """(last use, bytes, path); removes what a killed process left behind."""
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                abandoned = time.time() - stat.st_mtime > _ABANDONED_SECONDS
                if path.suffix == _SUFFIX:
                    yield stat.st_mtime, stat.st_size, path
                elif path.suffix == _UNFINISHED and abandoned:
                    path.unlink()
