"""The pool: training states that members may go on from, by slot."""

from __future__ import annotations

import dataclasses
import functools
import weakref
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from evotune.engine._member import Member
from evotune.engine._outcomes import host_lanes, host_row


class Kept:
    """A block of members after a slice, on the devices, or on the host when spilled.

    It is kept whole for as long as any of its members is referred to: nothing is
    copied until a member goes on.

    Attributes:
        block: Its members, stacked: device arrays, or numpy arrays when spilled.
        program: Index of the program that trained it.
        bytes: What it takes.
        lanes: Of the program that trained it.
        is_spilled: Whether it is on the host.
    """

    def __init__(self, block: Member, program: int):
        """Keeps ``block``, which nobody may donate from now on."""
        self.block, self.program = block, program
        self.bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(block))
        self.lanes = int(block.curves.shape[0])
        self.is_spilled = False

    @functools.cached_property
    def rows(self) -> list[list[np.ndarray]]:
        """All lanes of each leaf: views where the host shares the devices' memory."""
        return [host_lanes(leaf) for leaf in jax.tree.leaves(self.block)]

    def row(self, lane: int) -> Member:
        """One member, as numpy arrays."""
        row: Member = jax.tree.map(lambda leaf: host_row(leaf, lane), self.block)
        return row

    def spill(self) -> None:
        """Moves it to the host, and frees what it took on the devices."""
        if not self.is_spilled:
            self.block, self.is_spilled = jax.device_get(self.block), True
            self.__dict__.pop("rows", None)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Where a member's state is.

    Attributes:
        kept: The block that it is in.
        lane: Its lane there.
        spent: Epochs that it has trained.
        structure: Its values of the hyperparameters that change shapes.
    """

    kept: Kept
    lane: int
    spent: int
    structure: Mapping[str, Any]


class Pool:
    """Slots with places; a slot that is written to again frees what it had.

    When what is kept on the devices exceeds its share of their memory, the blocks that
    were kept first go to the host.
    """

    def __init__(self, device_bytes: float):
        """An empty pool.

        Args:
            device_bytes: How much may stay on the devices, over all of them.
        """
        self._device_bytes = device_bytes
        self._slots: dict[int, Place] = {}
        self._blocks: weakref.WeakSet[Kept] = weakref.WeakSet()
        self._order: list[weakref.ref[Kept]] = []

    def place(self, slot: int, program: int, structure: Mapping[str, Any]) -> Place:
        """Where the state in a slot is.

        Args:
            slot: Its number.
            program: Index of the program that is to continue it.
            structure: The sizes that it is to continue with.

        Raises:
            LookupError: If the slot holds nothing.
            ValueError: If the state has other sizes.
        """
        if slot not in self._slots:
            raise LookupError(
                f"source must be a slot that holds a state, but slot {slot} is empty. "
                "Likely causes: no row with that slot has finished yet, or the study "
                "was resumed in a new process, which holds no states."
            )
        place = self._slots[slot]
        if place.kept.program == program and place.structure == structure:
            return place
        differing = {
            name: (place.structure.get(name), value)
            for name, value in structure.items()
            if place.structure.get(name) != value
        }
        listed = ", ".join(f"{k}: {a!r} to {b!r}" for k, (a, b) in differing.items())
        raise ValueError(
            "A member continues a state only with the sizes that it was trained with, "
            f"but {listed} would change on the way from slot {slot}. Likely cause: an "
            "algorithm perturbs dimensions that Geometry.structural marks."
        )

    def keep(self, slot: int, place: Place) -> None:
        """Writes a place to a slot."""
        self._slots[slot] = place
        if place.kept not in self._blocks:
            self._blocks.add(place.kept)
            self._order.append(weakref.ref(place.kept))
            self._make_room()

    @property
    def device_bytes(self) -> int:
        """What is kept on the devices."""
        return sum(kept.bytes for kept in self._blocks if not kept.is_spilled)

    def _make_room(self) -> None:
        excess = self.device_bytes - self._device_bytes
        self._order = [ref for ref in self._order if ref() is not None]
        for ref in self._order:
            if excess <= 0:
                return
            kept = ref()
            if kept is not None and not kept.is_spilled:
                kept.spill()
                excess -= kept.bytes
