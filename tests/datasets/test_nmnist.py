import pytest

from skspike.datasets import _nmnist as module
from skspike.datasets import fetch_nmnist
from tests.datasets.server import check_addresses, serving_source, zipped


def archive(folder, digits):
    """The layout of N-MNIST: a folder for each digit, five bytes for each event."""
    return zipped(
        {f"{folder}/{d}/{i:05}.bin": bytes([d, 33, 0x80, 0, i]) for i, d in enumerate(digits, 1)}
    )


def test_both_subsets_in_the_layout_of_the_archives(tmp_path, monkeypatch):
    contents = {
        "train": archive("Train", [*range(10), 0]),
        "test": archive("Test", range(9, -1, -1)),
    }
    with serving_source(module, "_SOURCE", contents, monkeypatch):
        train = fetch_nmnist(data_home=tmp_path, delay=0.0)
        X, y = fetch_nmnist(subset="test", data_home=tmp_path, return_X_y=True)
        every = fetch_nmnist(subset="all", data_home=tmp_path)
    assert train.target.tolist() == [0, 0, *range(1, 10)]
    assert train.target_names.tolist() == list("0123456789")
    assert train.filenames[:2].tolist() == ["Train/0/00001.bin", "Train/0/00011.bin"]
    assert train.data.sensor_size == (34, 34)
    assert train.data[1][["x", "y", "t", "p"]].tolist() == [(0, 33, 11, True)]
    assert "N-MNIST" in train.DESCR
    assert y.tolist() == [int(recording["x"][0]) for recording in X] == list(range(10))
    assert len(every.data) == 21


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_nmnist is False"):
        fetch_nmnist(data_home=tmp_path, download_if_missing=False)


def test_the_addresses_can_be_told_apart():
    check_addresses(module._SOURCE)
    assert [*module._SOURCE.archives] == ["train", "test"]
