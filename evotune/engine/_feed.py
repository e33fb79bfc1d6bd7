"""Chunks of data on their way from the host to the devices, one ahead of training."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from evotune._errors import DataError
from evotune.engine._inputs import struct_of
from evotune.engine._member import Member
from evotune.engine._outcomes import host_array
from evotune.engine._program import Program
from evotune.tasks import Stream

_SHARE = 0.5
"""Of a device's memory that data may take; members need the rest."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Visit:
    """A chunk in its place in an epoch.

    Attributes:
        epoch: Which epoch.
        chunk: Number of the chunk.
        place: How many chunks this epoch has visited before.
    """

    epoch: int
    chunk: int
    place: int

    @classmethod
    def all(cls, order: np.ndarray, start: int, stop: int) -> list[Visit]:
        """Those of the epochs from ``start`` to ``stop``.

        Args:
            order: i32[T, C] chunks in the order of each epoch.
            start: The first epoch.
            stop: The one after the last.
        """
        return [
            cls(epoch=epoch, chunk=int(chunk), place=place)
            for epoch in range(start, stop)
            for place, chunk in enumerate(order[epoch])
        ]

    @property
    def words(self) -> np.ndarray:
        """i32[3] as programs take it."""
        return np.asarray([self.epoch, self.chunk, self.place], np.int32)


def fed(
    stream: Stream, visits: Sequence[Visit], put: Callable[[Any], Any]
) -> Iterator[tuple[Visit, Mapping[str, Any]]]:
    """The arrays of each visit, on the devices until the next one is asked for.

    A thread reads the next chunk and puts it there meanwhile, so that at most two are
    on a device at a time. Whoever asks for the next one must be done with the last. A
    chunk that is visited twice in a row stays.

    Args:
        stream: Where chunks come from.
        visits: Which chunks, one after the other.
        put: Puts arrays on the devices.
    """

    def load(chunk: int) -> Mapping[str, Any]:
        arrays: Mapping[str, Any] = put(stream.read(chunk))
        return arrays

    stays = [list(run) for _, run in itertools.groupby(visits, lambda v: v.chunk)]
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(load, stays[0][0].chunk)
        for stay, following in itertools.zip_longest(stays, stays[1:]):
            arrays = ahead.result()
            if following is not None:
                ahead = reader.submit(load, following[0].chunk)
            try:
                for visit in stay:
                    yield visit, arrays
            finally:
                for array in jax.tree.leaves(arrays):
                    array.delete()


def resident(data: Any, stream: Stream | None, put: Callable[[Any], Any]) -> Any:
    """``data`` on the devices; of what comes in chunks only shapes and dtypes.

    Args:
        data: What ``task.data()`` returned.
        stream: None where all of it is put there.
        put: Puts arrays on the devices.

    Raises:
        TypeError: If ``data`` have none of what comes in chunks.
    """
    if stream is None:
        return put(data)
    if not isinstance(data, Mapping) or not stream.names <= data.keys():
        held = sorted(data) if isinstance(data, Mapping) else type(data).__name__
        raise TypeError(
            f"A task whose stream() brings {sorted(stream.names)} must return a dict "
            f"with one chunk of them from data(), but returned {held}. "
            "Write `return {**kept, **read(0)}`."
        )
    return {
        name: jax.tree.map(struct_of, array) if name in stream.names else put(array)
        for name, array in data.items()
    }


def all_rest(members: Member, stops: np.ndarray, epochs: int) -> bool:
    """Whether no member of a block goes on after ``epochs`` of them.

    Args:
        members: A block; those that `patience` has stopped rest.
        stops: i32[lanes] epochs after which they rest anyway.
        epochs: How many have been trained.
    """
    if members.patience is None:
        return False
    waited = host_array(members.patience.waited)
    over = waited >= np.maximum(host_array(members.patience.epochs), 1)
    return bool(np.all(over | (stops <= epochs)))


def train_fed(
    program: Program,
    begin: Callable[[Any], Member],
    rows: tuple[Any, ...],
    stops: np.ndarray,
    kept: Mapping[str, Any],
    seed: Any,
    visits: Sequence[Visit],
) -> Member:
    """Trains a block on chunk after chunk, and waits for it.

    Args:
        program: Of the block.
        begin: From the data to the members where they stand.
        rows: What belongs to the members, as the program takes it.
        stops: i32[lanes] epochs after which they rest.
        kept: The data that stay on the devices.
        seed: u32[2] seed of the study, there.
        visits: Which chunks, whole epochs.

    Returns:
        [lanes] members.
    """
    stream, close = program.stream, program.close
    assert stream is not None
    assert close is not None
    members = None
    for visit, arrays in fed(stream, visits, program.share):
        data = {**kept, **arrays}
        members = begin(data) if members is None else members
        shared = data, None, seed, program.share(visit.words)
        # Waits, so that this chunk can go when the next but one is put there.
        members = jax.block_until_ready(program.train(members, *rows, *shared))
        if visit.place + 1 == stream.chunks:
            members = jax.block_until_ready(close(members, *rows, *shared))
            if all_rest(members, stops, visit.epoch + 1):
                break
    assert members is not None
    return members


def check_room(stream: Stream | None, device_bytes: float) -> None:
    """Whether two chunks and all that stays fit on a device, beside members.

    Args:
        stream: Where chunks come from; None where data are held at once.
        device_bytes: Memory of one device.

    Raises:
        DataError: If they do not; says what to change.
    """
    if stream is None:
        return
    needed = 2 * stream.nbytes + stream.kept_bytes
    if needed <= _SHARE * device_bytes:
        return
    raise DataError(
        "The validation and the test split, each, and two chunks of the training split "
        f"must fit into half of a device's memory, {_gib(_SHARE * device_bytes)}, but "
        f"the larger split has {_gib(stream.kept_bytes)} and a chunk "
        f"{_gib(stream.nbytes)}. Give the task numbers of rows, such as "
        "`validation=10_000, test=10_000`, or use a smaller `chunk_bytes`."
    )


def _gib(count: float) -> str:
    return f"{count / 2**30:.2f} GiB"
