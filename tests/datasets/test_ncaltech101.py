import pytest

from skspike.datasets import _ncaltech101 as module
from skspike.datasets import fetch_ncaltech101
from tests.datasets.server import check_addresses, serving_source, zipped


def test_the_layout_of_the_archive(tmp_path, monkeypatch):
    members = {
        "Caltech101/airplanes/image_0002.bin": bytes([239, 179, 0, 0, 9]),
        "Caltech101/airplanes/image_0001.bin": bytes([0, 0, 0x80, 0, 1]),
        "Caltech101/BACKGROUND_Google/image_0001.bin": bytes([5, 240, 0, 0, 0, 5, 6, 0, 0, 7]),
    }
    with serving_source(module, "_SOURCE", {"all": zipped(members)}, monkeypatch) as served:
        loaded = fetch_ncaltech101(data_home=tmp_path, delay=0.0)
        X, y = fetch_ncaltech101(data_home=tmp_path, return_X_y=True)
    assert served["all"].asked == [None]
    assert loaded.target_names.tolist() == ["BACKGROUND_Google", "airplanes"]
    assert loaded.target.tolist() == y.tolist() == [0, 1, 1]
    assert loaded.data == X
    assert X.sensor_size == (240, 180)
    assert [recording["t"].tolist() for recording in X] == [[8199], [1], [9]]
    assert "N-Caltech101" in loaded.DESCR


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_ncaltech101 is False"):
        fetch_ncaltech101(data_home=tmp_path, download_if_missing=False)


def test_the_address_is_one():
    check_addresses(module._SOURCE)
    assert [*module._SOURCE.archives] == ["all"]
