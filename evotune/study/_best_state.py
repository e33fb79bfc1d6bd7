"""The final training states of the best trials, in memory and beside the journal."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import numpy as np

from evotune._files import write_atomically

_NAME = re.compile(r"best-(\d+)\.msgpack")


class BestState:
    """Keeps pytrees: the final state of the best trial so far, or of each in a front.

    On disk every best trial has a file of its own, written to a temporary file that is
    synced and then renamed, *before* the journal says that the trial is the best; the
    older file goes after that. So whatever instant the process dies at, the file of the
    best recorded trial is whole. It holds the leaves by their paths, in msgpack.

    Attributes:
        states: The states by trial number, on the host.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.states: dict[int, Any] = {}
        self._directory = directory

    def keep(self, trial: int, state: Any) -> None:
        """Takes a new state, a pytree of arrays on the host."""
        self.states[trial] = state
        if self._directory is not None:
            import flax.serialization

            leaves = {path: np.asarray(leaf) for path, leaf in _leaves(state).items()}
            data = flax.serialization.msgpack_serialize(leaves)
            write_atomically(self._path(trial), data)

    def tidy(self, trials: Collection[int]) -> None:
        """Removes states, and files, of trials that are no longer the best.

        Args:
            trials: Numbers of those that are.
        """
        self.states = {n: state for n, state in self.states.items() if n in trials}
        if self._directory is None:
            return
        for path in self._directory.iterdir():
            match = _NAME.fullmatch(path.name)
            if (match and int(match[1]) not in trials) or path.suffix == ".tmp":
                path.unlink(missing_ok=True)

    def restore(self, trial: int, template: Any) -> bool:
        """Takes the state of ``trial`` from the disk.

        Args:
            trial: The trial's number.
            template: A pytree of that state's structure, shapes and dtypes.

        Returns:
            Whether the file is there and fits.
        """
        if self._directory is None or not self._path(trial).exists():
            return False
        import flax.serialization

        saved = flax.serialization.msgpack_restore(self._path(trial).read_bytes())
        expected = _leaves(template)
        if saved.keys() != expected.keys() or any(
            saved[path].shape != leaf.shape or saved[path].dtype != leaf.dtype
            for path, leaf in expected.items()
        ):
            return False
        structure = jax.tree.structure(template)
        leaves = [saved[path] for path in expected]
        self.states[trial] = jax.tree.unflatten(structure, leaves)
        return True

    def _path(self, trial: int) -> Path:
        assert self._directory is not None
        return self._directory / f"best-{trial}.msgpack"


def _leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by path, in the order of its structure."""
    listed, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in listed}
