import builtins
import io

import numpy as np
import pytest

from skspike.datasets import _heidelberg as module
from skspike.datasets import fetch_shd, fetch_ssc
from skspike.io import read_events
from tests.datasets.server import check_addresses, serving_source, zipped

h5py = pytest.importorskip("h5py")

TIMES = [[0.0, 0.001, 0.5], [], [0.25], [1.0, 1.25]]
UNITS = [[699, 0, 5], [], [7], [1, 2]]


def file_of(rows, speakers=True):
    """The layout of SHD: ragged times in seconds (float16) and units, labels and speakers."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, values, dtype in (("times", TIMES, np.float16), ("units", UNITS, np.uint16)):
            ragged = file.create_dataset(f"spikes/{name}", len(rows), h5py.vlen_dtype(dtype))
            for i, row in enumerate(rows):
                ragged[i] = np.array(values[row], dtype)
        file["labels"] = np.array(rows, np.uint16)
        file["extra/keys"] = np.array([b"zero", b"one", b"null", "fünf".encode()])
        if speakers:
            file["extra/speaker"] = np.array([10 + row for row in rows], np.uint16)
    return buffer.getvalue()


def archive(name, rows, **options):
    return zipped({name: file_of(rows, **options)})


def test_shd(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 2)
    contents = {
        "train": archive("shd_train.h5", [3, 0, 1]),
        "test": archive("shd_test.h5", [2]),
    }
    with serving_source(module, "_SHD", contents, monkeypatch):
        train = fetch_shd(data_home=tmp_path, delay=0.0)
        every = fetch_shd(subset="all", data_home=tmp_path)
        X, y = fetch_shd(subset="test", data_home=tmp_path, return_X_y=True)
    assert train.data.sensor_size == (700, 1)
    assert train.data.lengths.tolist() == [2, 3, 0]
    assert train.data[1]["x"].tolist() == UNITS[0]
    assert train.data[1]["t"].tolist() == [0, 1000, 500_000]
    assert train.data[1]["p"].all()
    assert train.target.tolist() == [3, 0, 1]
    assert train.target_names.tolist() == ["zero", "one", "null", "fünf"]
    assert train.groups.tolist() == [13, 10, 11]
    assert every.groups.tolist() == [13, 10, 11, 12]
    assert every.target_names.tolist() == train.target_names.tolist()
    assert every.data[3:] == X
    assert y.tolist() == [2]
    assert "Heidelberg" in train.DESCR


def test_recordings_are_those_of_read_events(tmp_path, monkeypatch):
    contents = {"train": archive("shd_train.h5", [0, 2, 3]), "test": archive("shd_test.h5", [0])}
    (tmp_path / "file.h5").write_bytes(file_of([0, 2, 3]))
    with serving_source(module, "_SHD", contents, monkeypatch):
        assert fetch_shd(data_home=tmp_path).data == read_events(tmp_path / "file.h5")


def test_ssc_has_a_subset_to_validate_and_may_name_no_speakers(tmp_path, monkeypatch):
    contents = {
        name: archive(f"ssc_{name}.h5", rows, speakers=False)
        for name, rows in {"train": [0, 1], "valid": [2], "test": [3]}.items()
    }
    with serving_source(module, "_SSC", contents, monkeypatch):
        every = fetch_ssc(subset="all", data_home=tmp_path, delay=0.0)
        valid = fetch_ssc(subset="valid", data_home=tmp_path)
    assert every.target.tolist() == [0, 1, 2, 3]
    assert every.groups is None
    assert valid.data == every.data[[2]]
    assert "Speech Commands" in valid.DESCR


def test_without_h5py_it_says_what_to_install(tmp_path, monkeypatch):
    def without(name, *args, **kwargs):
        if name == "h5py":
            raise ImportError(name)
        return imports(name, *args, **kwargs)

    imports = builtins.__import__
    contents = {"train": archive("shd_train.h5", [0]), "test": archive("shd_test.h5", [0])}
    with serving_source(module, "_SHD", contents, monkeypatch):
        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ImportError, match=r"needs the package h5py: pip install"):
            fetch_shd(data_home=tmp_path)


def test_the_addresses_can_be_told_apart():
    check_addresses(module._SHD)
    check_addresses(module._SSC)
    assert [*module._SHD.archives] == ["train", "test"]
    assert [*module._SSC.archives] == ["train", "valid", "test"]


@pytest.mark.parametrize("fetch", [fetch_shd, fetch_ssc])
def test_what_is_not_there_raises(fetch, tmp_path):
    with pytest.raises(OSError, match=rf"'download_if_missing' of {fetch.__name__} is False"):
        fetch(data_home=tmp_path, download_if_missing=False)
