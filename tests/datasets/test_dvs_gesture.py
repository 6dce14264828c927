import io
import tarfile

import numpy as np
import pytest

from skspike.datasets import _dvs_gesture as module
from skspike.datasets import fetch_dvs_gesture
from tests.datasets.server import check_addresses, serving_source


def archive(root, places, dtype=np.float64):
    """The layout of tonic's archives: rows of x, y, polarity and time in milliseconds."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for k, place in enumerate(places):
            array = io.BytesIO()
            np.save(array, np.array([(k, 127, 1, 2), (127, k, 0, 3)], dtype))
            member = tarfile.TarInfo(f"{root}/{place}.npy")
            member.size = len(array.getvalue())
            file.addfile(member, io.BytesIO(array.getvalue()))
    return buffer.getvalue()


def test_the_layout_of_the_archives(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 2)
    train = ["user02_led/0", "user01_natural/10", "user01_fluorescent_led/3"]
    contents = {
        "train": archive("ibmGestureTrain", train),
        "test": archive("ibmGestureTest", ["user24_led/7"], np.int64),
    }
    with serving_source(module, "_SOURCE", contents, monkeypatch):
        loaded = fetch_dvs_gesture(data_home=tmp_path, delay=0.0)
        every = fetch_dvs_gesture(subset="all", data_home=tmp_path)
        X, y = fetch_dvs_gesture(subset="test", data_home=tmp_path, return_X_y=True)
    assert loaded.target.tolist() == [3, 10, 0]
    assert loaded.groups.tolist() == [1, 1, 2]
    assert loaded.filenames[0] == "ibmGestureTrain/user01_fluorescent_led/3.npy"
    assert loaded.data.sensor_size == (128, 128)
    first = loaded.data[0][["x", "y", "t", "p"]].tolist()
    assert first == [(2, 127, 2000, True), (127, 2, 3000, False)]
    assert [int(recording["x"][0]) for recording in loaded.data] == [2, 1, 0]
    assert every.groups.tolist() == [1, 1, 2, 24]
    assert len(every.target_names) == 11
    assert every.data[3:] == X
    assert y.tolist() == [7]
    assert "Gesture" in loaded.DESCR


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_dvs_gesture is False"):
        fetch_dvs_gesture(data_home=tmp_path, download_if_missing=False)


def test_the_addresses_can_be_told_apart():
    check_addresses(module._SOURCE)
    assert [*module._SOURCE.archives] == ["train", "test"]
