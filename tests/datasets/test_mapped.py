"""Rows on disk stand for the array that they are, and nothing reads them whole."""

from __future__ import annotations

import numpy as np
import pytest

from evotune import datasets
from evotune._errors import DataError
from evotune.datasets import MappedRows
from evotune.tasks._preprocessing import Scaler
from evotune.tasks._stream import Cut


@pytest.fixture
def saved(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (101, 4, 3)).astype(np.uint8)
    y = rng.integers(0, 3, 101)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    return tmp_path, x, y


def test_rows_in_any_order_are_those_of_the_array(saved):
    folder, x, _ = saved
    rows = MappedRows(np.load(folder / "x.npy", mmap_mode="r"), name="x")
    order = np.random.default_rng(1).permutation(101)
    for some in (order, order[:7], np.asarray([5, 5, 2]), order[:0]):
        np.testing.assert_array_equal(np.asarray(rows[some]), x[some])
    picked = rows[order][10:20].reshape(10, 12)
    assert (picked.shape, picked.ndim, picked.size) == ((10, 12), 2, 120)
    np.testing.assert_array_equal(
        np.asarray(picked), x[order][10:20].reshape(10, 12).astype(np.float32)
    )
    assert np.asarray(picked).dtype == np.float32
    assert picked.nbytes == 480


def test_a_dataset_on_disk_splits_as_one_in_memory_and_reads_nothing(
    saved, monkeypatch
):
    folder, x, y = saved

    def read(*_, **__):
        raise AssertionError("read")

    with monkeypatch.context() as patched:
        patched.setattr(MappedRows, "__array__", read)
        mapped = datasets.npy(folder / "x.npy", folder / "y.npy").reshape(12)
        there = datasets.split(mapped, seed=2)
    here = datasets.split(datasets.arrays(x.reshape(101, 12), y), seed=2)
    assert repr(mapped) == "Dataset('x', 101 x 12, 3 classes, 'npy file x.npy')"
    for name in ("train", "validation", "test"):
        a, b = getattr(there, name), getattr(here, name)
        assert isinstance(a.x, MappedRows)
        np.testing.assert_array_equal(np.asarray(a.x), b.x)
        np.testing.assert_array_equal(a.y, b.y)


def test_a_published_test_set_stays_on_disk_too(saved):
    folder, x, _ = saved
    files = {"x_test": folder / "x.npy", "y_test": folder / "y.npy"}
    dataset = datasets.npy(folder / "x.npy", folder / "y.npy", **files)
    test = datasets.split(dataset).test
    np.testing.assert_array_equal(np.asarray(test.x), x)


@pytest.mark.parametrize("shape", [(12,), (4, 3)], ids=["columns", "images"])
@pytest.mark.parametrize("rows", [1, 7, 200])
def test_statistics_of_pieces_are_those_of_the_whole(shape, rows):
    x = np.random.default_rng(0).normal(100.0, 3.0, (101, *shape)).astype(np.float32)
    x[:, 0] = 5.0
    mapped = MappedRows(x, name="x", chunk_bytes=rows * 48)
    got, expected = Scaler.fit(mapped), Scaler.fit(x)
    np.testing.assert_allclose(got.mean, expected.mean, rtol=1e-6)
    np.testing.assert_allclose(got.scale, expected.scale, rtol=1e-6)


@pytest.mark.parametrize(
    ("total", "chunks"), [(1, 1), (7, 1), (7, 3), (7, 7), (100, 3), (101, 2), (101, 7)]
)
def test_chunks_hold_every_row_and_are_equally_long(total, chunks):
    cut = Cut(total=total, chunks=chunks)
    parts = [np.arange(total)[cut.part(chunk)] for chunk in range(chunks)]
    assert {len(part) for part in parts} == {cut.rows}
    assert set(np.concatenate(parts)) == set(range(total))
    twice = sum(map(len, parts)) - total
    assert twice < chunks


def test_as_few_chunks_as_fit(saved):
    folder, *_ = saved
    for chunk_bytes, rows in ((1, 1), (48, 1), (480, 10), (2**28, 61)):
        dataset = datasets.npy(
            folder / "x.npy", folder / "y.npy", chunk_bytes=chunk_bytes
        )
        part = datasets.split(dataset).train
        assert len(part) == 61
        cut = Cut.of(part)
        assert cut.rows <= rows
        assert cut.chunks == -(-61 // rows)


def test_files_that_cannot_be_mapped_are_told_why(saved):
    folder, x, y = saved
    np.savez(folder / "both.npz", x=x, y=y)
    np.save(folder / "words.npy", y.astype(str))
    with pytest.raises(DataError, match=r"archive of arrays.*\n?.*datasets.npz"):
        datasets.npy(folder / "both.npz", folder / "y.npy")
    with pytest.raises(DataError, match="must be an array of numbers"):
        datasets.npy(folder / "words.npy", folder / "y.npy")
    with pytest.raises(DataError, match="cannot be mapped"):
        datasets.npy(folder / "missing.npy", folder / "y.npy")
    with pytest.raises(DataError, match="chunk_bytes"):
        datasets.npy(folder / "x.npy", folder / "y.npy", chunk_bytes=0)
    short = folder / "short.npy"
    np.save(short, y[:-1])
    with pytest.raises(DataError, match="row for each other"):
        datasets.npy(folder / "x.npy", short)
    np.save(folder / "flat.npy", y)
    with pytest.raises(DataError, match="at least one axis of features"):
        datasets.npy(folder / "flat.npy", folder / "y.npy")
    assert datasets.npy(folder / "x.npy", folder / "words.npy").n_classes == 3
