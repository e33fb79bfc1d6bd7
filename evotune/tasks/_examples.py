"""The examples of a dataset as members read them: split, scaled, whole or in chunks."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from evotune.datasets import Part, Splits, split
from evotune.models import Info
from evotune.tasks._preprocessing import Scaler, checked_codes
from evotune.tasks._stream import Cut, Stream
from evotune.tasks._task import Task


class Examples(Task):
    """Splits made once, and the arrays that programs take.

    Attributes:
        dataset: Where examples and targets come from.
        splits: Its training, validation and test split.
        info: What a network has to know of them.
        scaler: Of examples, fitted to the training split; None where they stay as they
            are.
        cut: How the training split is cut into chunks; one is held all the time.
    """

    dataset: Any
    splits: Splits
    info: Info
    scaler: Scaler | None
    cut: Cut

    def _split(self, *, validation: float, test: float, seed: int) -> Splits:
        return split(self.dataset, validation=validation, test=test, seed=seed)

    @functools.cached_property
    def _arrays(self) -> dict[str, Any]:
        return {
            **self._named("train", self._chunk(0)),
            **self._named("validation", self.splits.validation),
        }

    def _chunk(self, number: int) -> Part:
        """The rows of the training split that are trained on at once."""
        train = self.splits.train
        return train if self.cut.chunks == 1 else train.rows(self.cut.part(number))

    def _named(self, name: str, part: Part) -> dict[str, Any]:
        """What members read of a part, its examples read and scaled."""
        arrays = {
            f"{name}_x": self.preprocess(part.x),
            f"{name}_y": self.targets(part.y),
        }
        if part.weight is not None:
            arrays[f"{name}_weight"] = part.weight
        return arrays

    def stream(self) -> Stream | None:
        """See `Task.stream`: chunks of a training split that needs more than one."""
        return self._chunks() if self.cut.chunks > 1 else None

    def _chunks(self) -> Stream:
        names = ("x", "y", *(() if self.splits.train.weight is None else ("weight",)))
        example = self.splits.train.x.nbytes // len(self.splits.train)
        kept = max(len(self.splits.validation), len(self.splits.test))
        return Stream(
            names=frozenset(f"train_{name}" for name in names),
            chunks=self.cut.chunks,
            nbytes=example * self.cut.rows,
            kept_bytes=example * kept,
            read=lambda chunk: self._named("train", self._chunk(chunk)),
        )

    def preprocess(self, x: Any) -> np.ndarray:
        """f32[N, *input_shape] as the network sees it: scaled by the training split.

        Symbols are i32[N, T] codes, as they are.
        """
        if self.info.vocab_size is not None:
            return checked_codes(x, self.info.vocab_size)
        x = np.asarray(x, np.float32)
        return x if self.scaler is None else self.scaler(x)

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Targets as `loss` and the metrics take them."""
        return y

    def data(self) -> dict[str, Any]:
        """The training and the validation split; never the test split.

        Weights of examples are there only where the dataset has some.
        """
        return self._arrays
