"""The Corpus: one long text as codes of symbols, cut into windows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from evotune import _errors

from ._splits import Part, Splits


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Corpus:
    """A text to learn to continue: each symbol's code, in order. Use `characters`.

    Attributes:
        name: A short name.
        codes: i32[N] codes in 0..V-1, in the order of the text.
        vocabulary: The V symbols by code.
        length: T, symbols in a window.
        source: Where the text comes from.

    Raises:
        DataError: If codes do not fit the vocabulary, or the text does not fill a
            window; lists everything found.

    Example:
        >>> from evotune.datasets import characters
        >>> corpus = characters("abracadabra", length=4)
        >>> corpus.vocabulary, corpus.encode("cab").tolist()
        (('a', 'b', 'c', 'd', 'r'), [2, 0, 1])
    """

    name: str
    codes: np.ndarray
    vocabulary: tuple[str, ...]
    length: int = 64
    source: str = "given as text"

    def __post_init__(self) -> None:
        codes = np.asarray(self.codes).view()
        codes.flags.writeable = False
        object.__setattr__(self, "codes", codes)
        problems = _problems(codes, self.vocabulary, self.length)
        _errors.raise_all(problems, _errors.DataError, f"Corpus {self.name!r}")

    def __len__(self) -> int:
        """N, the number of symbols."""
        return len(self.codes)

    def encode(self, symbols: Iterable[str]) -> np.ndarray:
        """i32[n]: codes of ``symbols``, such as the characters of a string.

        Raises:
            DataError: If one is not in the vocabulary.
        """
        code_of = {symbol: code for code, symbol in enumerate(self.vocabulary)}
        symbols = list(symbols)
        unknown = sorted(set(symbols) - code_of.keys())
        if unknown:
            raise _errors.DataError(
                f"Symbols must be in the vocabulary of {self.name!r}, but "
                f"{', '.join(map(repr, unknown[:8]))} are not; it has "
                f"{len(self.vocabulary)}. Leave them out, or add text that has them."
            )
        return np.asarray([code_of[symbol] for symbol in symbols], np.int32)

    def decode(self, codes: Iterable[int]) -> str:
        """The symbols of ``codes``, joined."""
        return "".join(self.vocabulary[int(code)] for code in codes)

    def split(self, *, validation: float = 0.1, test: float = 0.1) -> Splits:
        """Windows of the text's beginning, of its middle and of its end.

        The text is cut in three, and each part into windows that do not overlap: row i
        of a part has ``x = part[i T : i T + T]``, and as ``y`` the symbols that follow
        each of these, ``part[i T + 1 : i T + T + 1]``. So no symbol of one part is seen
        or predicted in another. What does not fill a last window is left out.

        Args:
            validation: Share of the text that comes after the training part.
            test: Share at the text's end; 0 for none.

        Returns:
            Parts with x and y i32[n, T]; ``index`` counts windows within each part.

        Raises:
            DataError: If a share does not lie in (0, 1), or a part is too short for a
                window; lists everything found.
        """
        shares = {"validation": validation, "test": test}
        problems = [
            f"`{name}` must be a share of the text between 0 and 1, but got {share!r}. "
            f"Use {name}=0.1."
            for name, share in shares.items()
            if not _is_share(share) and not (name == "test" and share == 0)
        ]
        _errors.raise_all(problems, _errors.DataError, f"The split of {self.name!r}")
        rows = len(self.codes)
        sizes = {name: math.floor(share * rows) for name, share in shares.items()}
        sizes = {"train": rows - sum(sizes.values()), **sizes}
        problems = [
            f"The {name} part must fill a window of {self.length} symbols and the one "
            f"after it, but it has {max(size, 0):,} of the {rows:,} symbols. Use a "
            "shorter `length`, a longer text, or other shares."
            for name, size in sizes.items()
            if size <= self.length and not (name == "test" and test == 0)
        ]
        _errors.raise_all(problems, _errors.DataError, f"The split of {self.name!r}")
        ends = np.cumsum([sizes["train"], sizes["validation"]])
        train, middle, end = map(self._windows, np.split(self.codes, ends))
        return Splits(train=train, validation=middle, test=end)

    def _windows(self, codes: np.ndarray) -> Part:
        count = max(len(codes) - 1, 0) // self.length
        inputs, targets = (
            codes[first : first + count * self.length].reshape(count, self.length)
            for first in (0, 1)
        )
        return Part(x=inputs, y=targets, index=np.arange(count))

    def __repr__(self) -> str:
        return (
            f"Corpus({self.name!r}, {len(self):,} symbols of {len(self.vocabulary)}, "
            f"windows of {self.length}, {self.source!r})"
        )


def _problems(
    codes: np.ndarray, vocabulary: tuple[str, ...], length: object
) -> list[str]:
    found = []
    if codes.dtype != np.int32 or codes.ndim != 1:
        found.append(
            f"`codes` must be int32 of shape [N], but got {codes.dtype} of shape "
            f"{codes.shape}. Make the corpus with datasets.characters(text)."
        )
    elif codes.size and not 0 <= codes.min() <= codes.max() < len(vocabulary):
        found.append(
            f"`codes` must lie in 0..{len(vocabulary) - 1}, one for each symbol of the "
            f"vocabulary, but got {codes.min()}..{codes.max()}."
        )
    if len(vocabulary) < 2 or len(set(vocabulary)) < len(vocabulary):
        found.append(
            "`vocabulary` must be at least 2 different symbols, but got "
            f"{len(vocabulary)}, {len(set(vocabulary))} of them different."
        )
    found += _errors.count_problems("Use length=64 symbols.", length=length)
    return found


def _is_share(value: object) -> bool:
    number = isinstance(value, (float, np.floating))
    return number and 0.0 < float(value) < 1.0  # type: ignore[arg-type]
