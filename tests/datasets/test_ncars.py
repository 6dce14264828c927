import pytest

from skspike.datasets import _ncars as module
from skspike.datasets import fetch_ncars
from skspike.exceptions import DownloadError
from tests.datasets.server import check_addresses, serving_source, zipped
from tests.io import encoders

EVENTS = [encoders.some_events(size=(120, 100), seed=k) for k in range(4)]


def archive():
    """The layout of Prophesee's archive: an archive for each subset, a folder for each class."""
    places = {
        "n-cars_train": ["cars/obj_000002_td.dat", "background/obj_000001_td.dat"],
        "n-cars_test": ["background/obj_000009_td.dat", "cars/obj_000009_td.dat"],
    }
    files = {
        f"{subset}/{place}": bytes(encoders.dat(EVENTS[2 * k + i], old=True).data)
        for k, (subset, names) in enumerate(places.items())
        for i, place in enumerate(names)
    }
    inner = {
        f"{subset}.zip": zipped({n: c for n, c in files.items() if n.startswith(subset)})
        for subset in places
    }
    return zipped({**inner, "README.txt": b"text"})


def test_the_layout_of_the_archive(tmp_path, monkeypatch):
    content = archive()
    contents = {"train": content, "test": content}
    with serving_source(module, "_SOURCE", contents, monkeypatch) as served:
        train = fetch_ncars(data_home=tmp_path, delay=0.0)
        X, y = fetch_ncars(subset="test", data_home=tmp_path, return_X_y=True)
        every = fetch_ncars(subset="all", data_home=tmp_path)
    assert served["train"].asked == [None]
    assert served["test"].asked == []
    assert train.target_names.tolist() == ["background", "cars"]
    assert train.target.tolist() == y.tolist() == [0, 1]
    assert train.filenames[0] == "n-cars_train/background/obj_000001_td.dat"
    assert train.data.sensor_size == (120, 100)
    found = [recording.tolist() for recording in every.data]
    assert found == [EVENTS[k].tolist() for k in (1, 0, 2, 3)]
    assert every.data[2:] == X
    assert every.groups is None
    assert "N-CARS" in train.DESCR


def test_a_broken_transfer_and_a_wrong_archive(tmp_path, monkeypatch):
    contents = {"train": archive(), "test": archive()}
    with serving_source(module, "_SOURCE", contents, monkeypatch) as served:
        served["train"].breaks = [500]
        assert len(fetch_ncars(data_home=tmp_path / "a", delay=0.0).data) == 2
        served["train"].content = archive()[::-1]
        with pytest.raises(DownloadError, match=r"checksum .* Get it from https://www\.prophesee"):
            fetch_ncars(data_home=tmp_path / "b", delay=0.0)
    assert served["train"].asked == [None, "bytes=500-", None]


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_ncars is False"):
        fetch_ncars(data_home=tmp_path, download_if_missing=False)


def test_the_address_is_one():
    check_addresses(module._SOURCE)
    assert [*module._SOURCE.archives] == ["train", "test"]
    assert len({archive.url for archive in module._SOURCE.archives.values()}) == 1
