"""Data to train on, with their names and source. Nothing downloads at run time."""

from __future__ import annotations

from ._arrays import arrays
from ._characters import characters
from ._corpus import Corpus
from ._dataset import Dataset
from ._files import npz
from ._idx import read_idx
from ._images import fashion_mnist, idx
from ._mapped import MappedRows
from ._mnist1d import mnist1d
from ._npy import npy
from ._sklearn import breast_cancer, diabetes, digits, wine
from ._splits import Part, Splits, split
from ._tables import csv

__all__ = [
    "Corpus",
    "Dataset",
    "MappedRows",
    "Part",
    "Splits",
    "arrays",
    "breast_cancer",
    "characters",
    "csv",
    "diabetes",
    "digits",
    "fashion_mnist",
    "idx",
    "mnist1d",
    "npy",
    "npz",
    "read_idx",
    "split",
    "wine",
]
