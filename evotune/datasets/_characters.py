"""Text as characters, to train language models on."""

from __future__ import annotations

import importlib
import platform
from pathlib import Path

import numpy as np

from evotune import _errors

from ._corpus import Corpus


def characters(
    text: str | Path | None = None,
    *,
    length: int = 64,
    name: str | None = None,
) -> Corpus:
    """A text as the codes of its characters, in sorted order of those that it has.

    Args:
        text: The text itself; or a `pathlib.Path`, a file to read as UTF-8. None takes
            English prose that every Python has with it: its own reference manual, as
            ``help("topics")`` shows it, about 460,000 characters of some 100. It
            differs between versions of Python, as ``source`` tells.
        length: T, characters in a window, which a model sees at once.
        name: Name of the corpus.

    Raises:
        DataError: If the file cannot be read, the text has fewer than two different
            characters, or the length does not fit.

    Example:
        >>> corpus = characters("To be, or not to be. " * 50, length=16)
        >>> corpus
        Corpus('text', 1,050 symbols of 10, windows of 16, 'given as text')
        >>> corpus.split(test=0.0)
        Splits(train=59, validation=6, test=0)
    """
    if text is None:
        text, name, source = _manual(), name or "python_manual", _manual_source()
    elif isinstance(text, Path):
        path = text
        text, name, source = _read(path), name or path.stem, str(path)
    elif isinstance(text, str):
        name, source = name or "text", "given as text"
    else:
        raise _errors.DataError(
            "`text` must be a str, which is the text itself, or a pathlib.Path, but "
            f"got {type(text).__name__}. Use characters(Path('book.txt'))."
        )
    vocabulary = tuple(sorted(set(text)))
    if len(vocabulary) < 2:
        raise _errors.DataError(
            "A text must have at least two different characters, but got "
            f"{text[:40]!r}. Was the file empty?"
        )
    code_of = {symbol: code for code, symbol in enumerate(vocabulary)}
    codes = np.fromiter((code_of[symbol] for symbol in text), np.int32, len(text))
    return Corpus(
        name=name, codes=codes, vocabulary=vocabulary, length=length, source=source
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _errors.DataError(
            f"{str(path)!r} cannot be read as UTF-8 text: {error} "
            "Convert it first, or pass the text itself."
        ) from error


def _manual() -> str:
    try:
        topics = importlib.import_module("pydoc_data.topics").topics
    except ImportError as error:
        raise _errors.DataError(
            "This Python has no manual with it (no module pydoc_data). Name a text of "
            "your own: characters(Path('book.txt'))."
        ) from error
    return "\n".join(topics[name] for name in sorted(topics))


def _manual_source() -> str:
    return f"manual of Python {platform.python_version()} (pydoc_data)"
