"""CSV, npz and IDX files: read as documented, refused in words."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from evotune._errors import DataError
from evotune.datasets import csv, fashion_mnist, idx, npz, read_idx

PETS = """weight,coat,code,kind
4.1,long,1,cat
9.5,short,2,dog
3.0,"long",2,cat
"""


def _file(tmp_path, text, name="pets.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_keeps_numbers_and_spreads_text_over_columns(tmp_path):
    data = csv(_file(tmp_path, PETS), target="kind")
    assert data.feature_names == ("weight", "coat=long", "coat=short", "code")
    np.testing.assert_allclose(data.x[1], [9.5, 0, 1, 2])
    assert (data.name, data.class_names) == ("pets", ("cat", "dog"))
    assert data.source == "CSV file pets.csv"


def test_csv_takes_chosen_columns_and_codes_as_categories(tmp_path):
    path = _file(tmp_path, PETS.replace(",", ";"))
    data = csv(
        path,
        target="kind",
        features=["code", "weight"],
        drop=["weight"],
        categorical=["code"],
        delimiter=";",
    )
    assert data.feature_names == ("code=1", "code=2")


def test_csv_target_decides_between_classes_and_quantities(tmp_path):
    path = _file(tmp_path, PETS)
    assert csv(path, target="weight").is_regression
    assert csv(path, target="code").class_names == ("1", "2")
    assert csv(path, target="code", regression=True).is_regression
    assert csv(path, target=["weight", "code"]).y.shape == (3, 2)
    with pytest.raises(DataError, match="must all be numbers"):
        csv(path, target=["weight", "kind"])


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (PETS, {"target": "knd"}, "no column 'knd'.*Did you mean 'kind'"),
        (PETS, {"target": "kind", "drop": ["x"]}, "no column 'x'"),
        (PETS, {"target": "kind", "features": ["kind"]}, "both target and feature"),
        (PETS, {"target": []}, "must name a column"),
        (PETS, {"target": "kind", "features": []}, "no column left"),
        (PETS, {"target": "kind", "delimiter": ";"}, "no column 'kind'"),
        (PETS + "1,long\n", {"target": "kind"}, "4 fields.*line 5 with 2"),
        (
            PETS.replace("9.5", "?"),
            {"target": "kind"},
            "'weight' has 1 missing.*line 3",
        ),
        (PETS.replace("short", ""), {"target": "kind"}, "'coat' has 1 missing"),
        (PETS.replace("dog", "NA"), {"target": "kind"}, "'kind' has 1 missing"),
        (
            PETS.replace("9.5", "9kg"),
            {"target": "kind"},
            r"'weight' has numbers, but also 1 other value, first '9kg' in line 3.*"
            r"categorical=\['weight'\]",
        ),
        (PETS, {"target": "kind", "max_categories": 1}, r"drop=\['coat'\]"),
        (PETS.replace("9.5", "inf"), {"target": "kind"}, "'weight'.*1 infinite"),
        (PETS.replace("code", "coat"), {"target": "kind"}, "'coat'. come twice"),
        ("1,2\n3,4\n", {"target": "2"}, "Add a header"),
        ("a,b\n", {"target": "b"}, "at least one row"),
        ("", {"target": "b"}, "at least one row"),
        ('a,b\n"1,2\n', {"target": "b"}, "cannot be read"),
    ],
)
def test_csv_files_that_do_not_fit_are_refused_in_words(tmp_path, text, options, said):
    with pytest.raises(DataError, match=f"(?s){said}"):
        csv(_file(tmp_path, text), **options)


def test_csv_that_cannot_be_opened_or_decoded_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        csv(tmp_path / "none.csv", target="a")
    (tmp_path / "latin.csv").write_bytes("a,b\nn\xe9,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="encoding='latin-1'"):
        csv(tmp_path / "latin.csv", target="b")


def test_csv_tells_all_problems_at_once(tmp_path):
    text = "a,b,c\n1,u,0\n?,v,1\n3,,\n"
    with pytest.raises(DataError) as caught:
        csv(_file(tmp_path, text), target="c")
    assert all(f"Column {name!r}" in str(caught.value) for name in "abc")


def test_npz_reads_named_arrays_and_a_test_set(tmp_path):
    x = np.eye(4)
    np.savez(tmp_path / "own.npz", x=x, labels=[0, 1, 0, 1], x_test=x, y_test=[1] * 4)
    data = npz(tmp_path / "own.npz", y="labels")
    assert (data.name, data.n_classes) == ("own", 2)
    assert data.x_test is not None
    with pytest.raises(DataError, match="no array 'y'; the archive has"):
        npz(tmp_path / "own.npz")


def test_npz_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        npz(tmp_path / "none.npz")
    _file(tmp_path, "not an archive", "text.npz")
    with pytest.raises(DataError, match="cannot be read"):
        npz(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.eye(2))
    with pytest.raises(DataError, match="a single array"):
        npz(tmp_path / "one.npy")
    np.savez(tmp_path / "objects.npz", x=np.eye(2), y=np.asarray([None, 1]))
    with pytest.raises(DataError, match="'y' holds Python objects"):
        npz(tmp_path / "objects.npz")


def _idx_bytes(array: np.ndarray, code: int) -> bytes:
    sizes = np.asarray(array.shape, ">u4").tobytes()
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files_of_every_type_are_read(tmp_path, code, dtype, pack):
    array = np.arange(-6, 6).reshape(2, 3, 2).astype(dtype)
    (tmp_path / "file").write_bytes(pack(_idx_bytes(array, code)))
    got = read_idx(tmp_path / "file")
    np.testing.assert_array_equal(got, array)
    assert got.dtype.isnative


def _cut_gzip(content: bytes) -> bytes:
    """A packed file without its end; no clock in it, as it names a test."""
    return gzip.compress(content, mtime=0)[:-9]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html>", "Was a web page saved"),
        (b"", "starts with two zero bytes"),
        (b"\0\0\x08\x03\0\0\0\x02", "announces shape"),
        (_idx_bytes(np.zeros((2, 2), "u1"), 8)[:-1], "takes 16 bytes, but it has 15"),
        (_cut_gzip(_idx_bytes(np.zeros(9, "u1"), 8)), "cannot be read"),
    ],
)
def test_broken_idx_files_are_refused_in_words(tmp_path, content, said):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_idx(tmp_path / "file")


@pytest.fixture
def clothes(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "fashion-mnist"
    folder.mkdir(parents=True)
    for part, rows in (("train", 20), ("t10k", 10)):
        images = rng.integers(0, 256, (rows, 28, 28), np.uint8)
        labels = (np.arange(rows) % 10).astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(_idx_bytes(images, 8))
        )
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(_idx_bytes(labels, 8))
    return folder


def test_fashion_mnist_is_found_where_it_is_said_to_be(clothes, monkeypatch):
    data = fashion_mnist(clothes)
    assert data.x.shape == (20, 28, 28, 1)
    assert data.x_test is not None
    assert (data.x.min(), data.x.max()) == (0.0, 1.0)
    assert data.class_names is not None
    assert (data.class_names[9], data.name) == ("Ankle boot", "fashion_mnist")
    for folder in (clothes, clothes.parent):
        monkeypatch.setenv("EVOTUNE_DATA", str(folder))
        assert len(fashion_mnist()) == 20


def test_fashion_mnist_tells_all_places_it_looked_in(clothes, monkeypatch, tmp_path):
    monkeypatch.setattr("evotune.datasets._images._DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("EVOTUNE_DATA", str(tmp_path / "own"))
    with pytest.raises(DataError) as caught:
        fashion_mnist()
    for told in ("own'", "own/fashion-mnist'", "debian'", "apt-get install dataset-"):
        assert told in str(caught.value)
    (clothes / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="where t10k-labels is missing"):
        fashion_mnist(clothes)


def test_any_folder_of_idx_files_is_a_dataset(clothes):
    data = idx(clothes)
    assert (data.name, data.n_classes) == ("fashion-mnist", 10)
    with pytest.raises(DataError, match="train-images, train-labels, "):
        idx(clothes.parent)
