"""MNIST-like folders of IDX files: the user's own, and Fashion-MNIST."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evotune import _errors

from ._arrays import arrays
from ._dataset import Dataset
from ._idx import read_idx

DATA_VARIABLE = "EVOTUNE_DATA"
"""Environment variable that names the folder in which data files lie."""

_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def fashion_mnist(directory: str | Path | None = None) -> Dataset:
    """70,000 images of clothes: f32[60000, 28, 28, 1] in 0..1 and 10,000 to test.

    Args:
        directory: The folder of the four IDX files, compressed or not. None: the folder
            that the environment variable EVOTUNE_DATA names, or a folder fashion-mnist
            or fashion_mnist in it; else where Debian's package puts them.

    Reference: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset
    for Benchmarking Machine Learning Algorithms", 2017.

    Raises:
        DataError: If the files are not found (all places looked in are listed), or
            cannot be read.

    Example:
        >>> data = fashion_mnist()  # doctest: +SKIP
        >>> data.class_names[0]  # doctest: +SKIP
        'T-shirt/top'
    """
    places = [Path(directory)] if directory is not None else _places()
    for place in places:
        if not _missing(place):
            return idx(place, class_names=_FASHION, name="fashion_mnist")
    looked = "; ".join(
        f"{str(place)!r}, where {', '.join(_missing(place))} "
        f"{'is' if len(_missing(place)) == 1 else 'are'} missing"
        for place in places
    )
    raise _errors.DataError(
        "fashion_mnist() needs the four IDX files train-images-idx3-ubyte, "
        "train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte "
        f"(with or without .gz) in one folder. Looked in {looked}. On Debian or Ubuntu "
        "run: apt-get install dataset-fashion-mnist. Elsewhere get the files that its "
        f"authors publish and call fashion_mnist('folder') or set {DATA_VARIABLE}."
    )


def idx(
    directory: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
) -> Dataset:
    """A folder of IDX files named as those of MNIST: images and labels, train and test.

    Args:
        directory: The folder with train-images-idx3-ubyte and its three companions,
            compressed or not.
        class_names: Names of the classes by code.
        name: The dataset's name; the folder's by default.

    Returns:
        f32[N, height, width, 1] in 0..1 for files of bytes, with the published test
        set; other types keep their values.

    Raises:
        DataError: If a file is missing or cannot be read.

    Example:
        >>> kuzushiji = idx("data/kmnist")  # doctest: +SKIP
    """
    directory = Path(directory)
    files = [path for part in _PARTS if (path := _find(directory, part)) is not None]
    if len(files) < len(_PARTS):
        raise _errors.DataError(
            f"The folder {str(directory)!r} must hold IDX files of the four parts "
            f"{', '.join(_PARTS)}, but {', '.join(_missing(directory))} "
            "cannot be found. Usual names: train-images-idx3-ubyte(.gz) and so on."
        )
    x, y, x_test, y_test = (read_idx(file) for file in files)
    return arrays(
        _pixels(x),
        y,
        x_test=_pixels(x_test),
        y_test=y_test,
        class_names=class_names,
        regression=False,
        name=directory.resolve().name if name is None else name,
        source=f"IDX files in the folder {directory.resolve().name!r}",
    )


def _places() -> list[Path]:
    named = os.environ.get(DATA_VARIABLE)
    own = [Path(named)] if named else []
    return [
        *own,
        *(
            root / folder
            for root in own
            for folder in ("fashion-mnist", "fashion_mnist")
        ),
        _DEBIAN,
    ]


def _find(directory: Path, part: str) -> Path | None:
    axes = "idx3" if part.endswith("images") else "idx1"
    for separator in "-.":
        for suffix in ("", ".gz"):
            path = directory / f"{part}{separator}{axes}-ubyte{suffix}"
            if path.is_file():
                return path
    return None


def _missing(directory: Path) -> list[str]:
    return [part for part in _PARTS if _find(directory, part) is None]


def _pixels(images: np.ndarray) -> np.ndarray:
    """f32 with a channel axis at the end; bytes become 0..1."""
    scale = np.float32(255 if images.dtype == np.uint8 else 1)
    scaled = images.astype(np.float32) / scale
    return scaled[..., None] if scaled.ndim == 3 else scaled
