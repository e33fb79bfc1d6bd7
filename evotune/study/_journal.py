"""The durable record: an append-only file of JSON lines.

A line is written whole, at once, and is synced to the disk before the algorithm is told
of it. So kill -9 leaves behind one torn line at most, at the end, which the next writer
cuts off; and a power cut loses the generation in flight at most.
"""

from __future__ import annotations

import json
import os
import weakref
from pathlib import Path
from typing import Any

from evotune._errors import JournalError
from evotune.study._codec import decode, encode, line, text
from evotune.study._events import Added, Event, Told
from evotune.study._header import check_resumable, check_schema
from evotune.study._lock import lock

FILE_NAME = "journal.jsonl"


class Journal:
    """The open journal of one study, with its lock.

    Attributes:
        directory: The study's own directory.
        path: The file of JSON lines.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / FILE_NAME
        self._size = 0
        self._unsynced = False
        self._descriptors: list[int] = []
        self._finalizer = weakref.finalize(self, _close_all, self._descriptors)

    @classmethod
    def open(
        cls, storage: Path, study_name: str, header: dict[str, Any], *, resume: bool
    ) -> tuple[Journal, list[Event]]:
        """Starts a journal, or continues one.

        Args:
            storage: The directory that holds one directory for each study.
            study_name: The study's directory in it.
            header: What makes the study; a continued journal must have the same.
            resume: Whether a journal that is there already is continued.

        Returns:
            The journal, locked and ready to append, and the events it holds so far.

        Raises:
            JournalError: If the directory cannot be written, if the study exists and
                ``resume`` is False, if somebody else is writing it, or if the journal
                is damaged or belongs to another study.
        """
        journal = cls(study_directory(storage, study_name))
        try:
            journal._lock()
            recorded, events, size = read(journal.path)
            if recorded is not None:
                path = str(journal.path)
                try:
                    check_resumable(recorded, header, path, resume=resume)
                except JournalError:
                    if any(isinstance(event, (Told, Added)) for event in events):
                        raise
                    recorded, events, size = None, [], 0  # no result yet: start anew
            journal._open(size)
            if recorded is None:
                first = {name: text(value) for name, value in header.items()}
                journal._write(line("header", first), durable=True)
                _sync_directory(journal.directory)
        except BaseException:
            journal.close()
            raise
        return journal, events

    def append(self, event: Event, *, durable: bool = False) -> None:
        """Writes one event; with ``durable`` it is on the disk on return.

        Raises:
            JournalError: If the journal was closed and somebody else wrote to it since.
            OSError: If the disk does not take it; then nothing of it is left.
        """
        if not self._descriptors:
            self._lock()
            try:
                if self.path.stat().st_size != self._size:
                    raise JournalError(
                        f"{str(self.path)!r} has grown since this study closed it. "
                        "Load it again with Study(..., resume=True)."
                    )
                self._open(self._size)
            except BaseException:
                self.close()
                raise
        self._write(encode(event), durable=durable)

    def sync(self) -> None:
        """Puts what was appended on the disk."""
        if self._unsynced and self._descriptors:
            _sync(self._descriptors[-1])
            self._unsynced = False

    def close(self) -> None:
        """Releases the lock; a later ``append`` takes it again."""
        self.sync()
        _close_all(self._descriptors)

    def _lock(self) -> None:
        try:
            self._descriptors.append(lock(self.directory / "lock"))
        except OSError as error:
            raise JournalError(
                f"A journal needs a directory that can be written, but "
                f"{str(self.directory)!r} cannot: {error.strerror}. Pass another "
                "storage, or make it writable."
            ) from error

    def _open(self, size: int) -> None:
        """Opens the file for appending and cuts off what follows ``size`` bytes."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._descriptors.append(descriptor)
        os.ftruncate(descriptor, size)
        self._size = size

    def _write(self, json_line: str, *, durable: bool) -> None:
        descriptor = self._descriptors[-1]
        data = json_line.encode() + b"\n"
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            if durable:
                _sync(descriptor)
            self._unsynced = not durable
        except BaseException:
            os.ftruncate(descriptor, self._size)
            raise
        self._size += len(data)


def read(path: Path) -> tuple[dict[str, Any] | None, list[Event], int]:
    """Reads a journal without changing it.

    Returns:
        The header (None where there is none yet), the events, and the size in bytes up
        to the last whole line: what follows it is torn.

    Raises:
        JournalError: If a line before the last one is damaged, or the schema unknown.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, [], 0
    whole = data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]
    header: dict[str, Any] | None = None
    events: list[Event] = []
    size = 0
    for number, raw in enumerate(whole):
        try:
            parsed = json.loads(raw)
            if number == 0:
                header = {**parsed}
            else:
                events.append(decode(parsed))
        except (ValueError, TypeError, KeyError, LookupError) as error:
            if header is not None:
                check_schema(header, str(path))
            if number == len(whole) - 1:
                break  # torn, though its newline reached the disk
            raise JournalError(
                f"Line {number + 1} of {str(path)!r} is damaged ({error!r}), and "
                f"{len(whole) - number - 1} lines follow it, so this is no torn end. "
                f"Restore the file from a backup, or keep its first {number} lines."
            ) from error
        size += len(raw) + 1
    if header is not None:
        check_schema(header, str(path))
    return header, events, size


def study_directory(storage: Path, study_name: str) -> Path:
    """The directory of a study, made where its storage exists or can be made.

    Raises:
        JournalError: If the name is no file name or the directory cannot be made.
    """
    if not study_name or study_name in (".", "..") or {"/", "\\"} & set(study_name):
        raise JournalError(
            f"study_name must be a plain directory name, but got {study_name!r}. Use "
            "storage= for the path: Study(..., storage='runs', study_name='digits')."
        )
    directory = storage / study_name
    for path in (storage, directory):
        try:
            path.mkdir(exist_ok=True)
        except FileNotFoundError:
            raise JournalError(
                f"storage must be a directory that exists, or whose parent does, but "
                f"got {str(storage)!r}. Make it first: "
                f"pathlib.Path({str(storage)!r}).mkdir(parents=True)."
            ) from None
        except OSError as error:
            raise JournalError(
                f"storage must be a directory that can be written, but {str(path)!r} "
                f"cannot be made: {error.strerror}. Pass another storage."
            ) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise JournalError(
            f"storage must be a directory that can be written, but {str(directory)!r} "
            "is read-only. Pass another storage, or make it writable."
        )
    return directory


def _sync(descriptor: int) -> None:
    """Puts a file's data, and the size that they need, on the disk."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def _close_all(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


def _sync_directory(directory: Path) -> None:
    """Makes the names in ``directory`` durable, where the system can."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:  # Windows has no descriptors of directories
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
