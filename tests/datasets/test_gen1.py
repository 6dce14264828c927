import re

import numpy as np
import pytest

from skspike.datasets import fetch_gen1
from skspike.exceptions import EventLossWarning
from skspike.io import read_events

ROOT = "detection_dataset_duration_60s_ratio_1.0"
NAMES = {
    "train": ["17-03-30_12-53-58_0_60000000", "17-03-30_12-53-58_61000000_121000000"],
    "val": ["17-04-04_13-41-37_0_60000000"],
    "test": ["17-04-06_10-00-00_0_60000000"],
}
OLD = [("ts", "<u8"), ("x", "<f4"), ("y", "<f4"), ("w", "<f4"), ("h", "<f4")]
OLD = [*OLD, ("class_id", "u1"), ("confidence", "<f4"), ("track_id", "<u4")]
NEW = [("t", "<u8"), *OLD[1:6], ("track_id", "<u4"), ("class_confidence", "<f4")]


def dat(times, x=303):
    """A file as the archives hold it: 32 bits of time; 14 of x, 14 of y, and the polarity."""
    header = b"% Data file containing Event2D events.\n% Version 2\n% Height 240\n% Width 304\n"
    words = [(t, x | 239 << 14 | (t & 1) << 28) for t in times]
    return header + bytes([0, 8]) + np.array(words, "<u4").tobytes()


def box(t, dtype=OLD, class_id=1):
    values = {"x": -3.5, "y": 10, "w": 30, "h": 20, "class_id": class_id, "track_id": 7}
    names = [name for name, _ in dtype]
    row = tuple(t if n in ("t", "ts") else values.get(n, 0.5) for n in names)
    return np.array([row], dtype)


@pytest.fixture
def home(tmp_path):
    for k, (folder, names) in enumerate(NAMES.items()):
        place = tmp_path / "gen1" / ROOT / folder
        place.mkdir(parents=True)
        for i, name in enumerate(names):
            times = [1000 * k + 100 * i + j for j in range(3)]
            (place / f"{name}_td.dat").write_bytes(dat(times))
            np.save(place / f"{name}_bbox.npy", box(times[1], OLD if i == 0 else NEW))
    return tmp_path


def test_recordings_and_boxes_of_a_subset(home):
    train = fetch_gen1(data_home=home)
    assert [recording["t"].tolist() for recording in train.data] == [[0, 1, 2], [100, 101, 102]]
    assert train.data.sensor_size == (304, 240)
    assert [boxes["t"].tolist() for boxes in train.target] == [[1], [101]]
    for boxes in train.target:
        found = {name: boxes[name].item() for name in boxes.dtype.names if name != "t"}
        expected = {"x": -3.5, "y": 10, "w": 30, "h": 20, "class_id": 1, "track_id": 7}
        assert found == {**expected, "class_confidence": 0.5}
    assert train.target_names.tolist() == ["car", "pedestrian"]
    assert train.groups.tolist() == ["17-03-30_12-53-58"] * 2
    assert train.filenames[1] == f"{ROOT}/train/{NAMES['train'][1]}_td.dat"
    assert "Gen1" in train.DESCR


def test_recordings_are_those_of_read_events(home):
    files = sorted(home.rglob("train/*_td.dat"))
    assert fetch_gen1(data_home=home).data == read_events(files, sensor_size=(304, 240))


def test_boxes_are_on_the_clock_of_the_events(home):
    train = fetch_gen1(data_home=home)
    for recording, boxes in zip(train.data, train.target, strict=True):
        assert recording["t"][1] == boxes["t"][0]


def test_the_official_split(home):
    for subset, folder in (("train", "train"), ("valid", "val"), ("test", "test")):
        found = fetch_gen1(subset=subset, data_home=home)
        assert [f.rpartition("/")[2] for f in found.filenames] == [
            f"{name}_td.dat" for name in NAMES[folder]
        ]
    X, y = fetch_gen1(subset="all", data_home=home, return_X_y=True)
    assert [int(recording["t"][0]) for recording in X] == [0, 100, 1000, 2000]
    assert len(y) == 4


def test_a_choice_of_recordings(home):
    name = NAMES["train"][1]
    found = fetch_gen1(sequences=name, data_home=home)
    assert found.data[0]["t"].tolist() == [100, 101, 102]
    with pytest.raises(ValueError, match=r"must name sequences of the subset 'valid', such as"):
        fetch_gen1(subset="valid", sequences=name, data_home=home)


def test_events_may_be_deleted_when_they_are_converted(home):
    first = fetch_gen1(data_home=home)
    for path in home.rglob("*_td.dat"):
        path.unlink()
    assert fetch_gen1(data_home=home).data == first.data
    with pytest.raises(FileNotFoundError, match=r"12-53-58_0_60000000_td\.dat' is not there"):
        fetch_gen1(sequences=NAMES["train"][0], data_home=home)


def test_what_is_not_there_says_what_to_put_where(tmp_path):
    where = re.escape(str(tmp_path / "gen1"))
    with pytest.raises(OSError, match=rf"of fetch_gen1 not found: .*val_b\.7z.*unpack .*{where}"):
        fetch_gen1(data_home=tmp_path)


def test_a_subset_of_which_nothing_is_there_raises(home):
    for path in home.rglob("test/*"):
        path.unlink()
    with pytest.raises(OSError, match=r"no file of boxes of the subset 'test'"):
        fetch_gen1(subset="test", data_home=home)


def test_a_subset_that_is_none_raises(home):
    with pytest.raises(ValueError, match=r"The 'subset' parameter of fetch_gen1 must be one of"):
        fetch_gen1(subset="val", data_home=home)


def test_bytes_that_are_no_events_are_told(home):
    path = home / "gen1" / ROOT / "test" / f"{NAMES['test'][0]}_td.dat"
    path.write_bytes(dat([5], x=303) + dat([6], x=400)[-8:])
    with pytest.warns(EventLossWarning, match=r"off the sensor"):
        found = fetch_gen1(subset="test", data_home=home)
    assert found.data[0]["t"].tolist() == [5]


@pytest.mark.parametrize("boxes", [box(5, [*OLD[:7]]), np.zeros((3, 8))])
def test_boxes_of_another_layout_raise(boxes, home):
    np.save(home / "gen1" / ROOT / "test" / f"{NAMES['test'][0]}_bbox.npy", boxes)
    with pytest.raises(ValueError, match=r"_bbox\.npy' must hold boxes with the fields t, x, y"):
        fetch_gen1(subset="test", data_home=home)
