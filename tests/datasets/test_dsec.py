import io
from pathlib import Path

import numpy as np
import pytest

from skspike.datasets import _dsec as module
from skspike.datasets import fetch_dsec
from skspike.exceptions import DownloadError
from skspike.io import read_events
from tests.datasets.server import serving_files, zipped

h5py = pytest.importorskip("h5py")

OFFSET = 50_000_000_000  # µs, which the events of a file leave out
TRAIN, TEST = ("thun_00_a", "zurich_city_00_a"), ("zurich_city_13_a",)


def hdf5(**datasets):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values
    return buffer.getvalue()


def events_file(shift, n=2500):
    """The layout of events.h5: times that begin at 0, and the offset beside."""
    t = np.arange(n, dtype=np.uint32) + shift
    return hdf5(
        events__x=(np.arange(n) % 640).astype(np.uint16),
        events__y=np.full(n, 479, np.uint16),
        events__p=(np.arange(n) % 2).astype(np.uint8),
        events__t=t,
        ms_to_idx=np.searchsorted(t, np.arange(3) * 1000).astype(np.uint64),
        t_offset=np.int64(OFFSET),
    )


def events_zip(shift, scale=1.0):
    grid = np.stack(np.meshgrid(np.arange(640.0), np.arange(480.0)), axis=-1) * scale
    rectify = hdf5(rectify_map=grid.astype(np.float32))
    return zipped({"events.h5": events_file(shift), "rectify_map.h5": rectify})


@pytest.fixture
def served(monkeypatch):
    contents = {}
    for i, name in enumerate((*TRAIN, *TEST)):
        place = f"{'test' if name in TEST else 'train'}/{name}/{name}"
        contents[f"{place}_events_left.zip"] = events_zip(i)
        contents[f"{place}_events_right.zip"] = events_zip(i + 10, scale=0.5)
        contents[f"{place}_calibration.zip"] = zipped({"cam_to_cam.yaml": name.encode()})
        if name in TRAIN:
            times = [OFFSET + i, OFFSET + 1000 + i]
            images = {f"{2 * k:06d}.png": f"{name} {k}".encode() for k in range(2)}
            contents[f"{place}_disparity_event.zip"] = zipped(images)
            contents[f"{place}_disparity_timestamps.txt"] = "\n".join(map(str, times)).encode()
    asked = b"# timestamp [us], file index\n50000000003, 0\n50000001003, 2\n"
    contents["test_disparity_timestamps.zip"] = zipped({f"{name}.csv": asked for name in TEST})
    for split, name in (("train", TRAIN[1]), ("test", TEST[0])):
        folder = f"{split}/{name}"
        members = {
            f"{split}/another/11classes/000000.png": b"another",
            f"{folder}/11classes/000001.png": b"eleven 1",
            f"{folder}/11classes/000000.png": b"eleven 0",
            f"{folder}/19classes/000000.png": b"nineteen",
            f"{folder}/{name}_semantic_timestamps.txt": f"{OFFSET + 7}\n{OFFSET + 8}\n".encode(),
        }
        contents[f"semantic/{split}_semantic_segmentation.zip"] = zipped(members)
    with serving_files(contents) as served:
        monkeypatch.setattr(module, "_URL", served.url)
        yield served


@pytest.fixture
def get(tmp_path):
    def get(**options):
        return fetch_dsec(**{"data_home": tmp_path, "n_retries": 0, "delay": 0.0, **options})

    return get


def contents(paths):
    return [Path(path).read_text() for path in paths]


def test_events_and_disparity(get, served):
    found = get(sequences=TRAIN)
    assert found.data.sensor_size == (640, 480)
    assert found.data.lengths.tolist() == [2500, 2500]
    assert [int(recording["t"][0] - OFFSET) for recording in found.data] == [0, 1]
    assert [contents(paths) for paths in found.target] == [
        [f"{name} 0", f"{name} 1"] for name in TRAIN
    ]
    assert found.rectify_map[0].shape == (480, 640, 2)
    assert found.rectify_map[0][3, 5].tolist() == [5.0, 3.0]
    assert isinstance(found.rectify_map[0], np.memmap)
    assert contents(found.calibration) == [*TRAIN]
    assert found.groups.tolist() == [*TRAIN]
    assert found.filenames[0] == "train/thun_00_a"
    assert found.target_names is None
    assert "data_right" not in found
    assert "DSEC" in found.DESCR
    assert not [path for path in served.asked if "right" in path]


def test_recordings_are_those_of_read_events(get, served, tmp_path):
    (tmp_path / "events.h5").write_bytes(events_file(0))
    expected = read_events(tmp_path / "events.h5", sensor_size=(640, 480))
    assert get(sequences=TRAIN[0]).data == expected


def test_labels_are_on_the_clock_of_the_events(get, served):
    found = get(sequences=TRAIN)
    for recording, times in zip(found.data, found.target_times, strict=True):
        assert np.searchsorted(recording["t"], times).tolist() == [0, 1000]


def test_the_right_camera_and_its_map(get, served):
    found = get(sequences=TRAIN, stereo=True)
    assert [int(recording["t"][0] - OFFSET) for recording in found.data_right] == [10, 11]
    assert found.rectify_map_right[0][3, 5].tolist() == [2.5, 1.5]
    assert found.data == get(sequences=TRAIN).data


def test_of_test_sequences_the_times_are_known_that_the_benchmark_asks_for(get, served):
    found = get(subset="test", sequences="zurich_city_13_a")
    assert found.target == [None]
    assert (found.target_times[0] - OFFSET).tolist() == [3, 1003]
    assert found.filenames.tolist() == ["test/zurich_city_13_a"]
    both = get(subset="all", sequences=[TRAIN[0], TEST[0]])
    assert [target is None for target in both.target] == [False, True]


def test_semantic_labels(get, served):
    found = get(subset="all", sequences=[TRAIN[1], TEST[0]], labels="semantic")
    assert [contents(paths) for paths in found.target] == [["eleven 0", "eleven 1"]] * 2
    assert [(times - OFFSET).tolist() for times in found.target_times] == [[7, 8], [7, 8]]
    assert len(found.target_names) == 11
    assert found.target_names[5] == "road"
    assert not [path for path in served.asked if "disparity" in path]


def test_the_second_call_needs_no_server(get, served):
    first = get(sequences=TRAIN)
    asked = len(served.asked)
    served.contents.clear()
    X, y = get(sequences=TRAIN, return_X_y=True, download_if_missing=False)
    assert first.data == X
    assert contents(y[0]) == contents(first.target[0])
    assert len(served.asked) == asked == 8


def test_the_official_split():
    disparity, semantic = module._SUBSETS["disparity"], module._SUBSETS["semantic"]
    assert {k: len({*names}) for k, names in disparity.items()} == {"train": 41, "test": 12}
    assert {k: len({*names}) for k, names in semantic.items()} == {"train": 8, "test": 3}
    for subset in ("train", "test"):
        assert {*semantic[subset]} < {*disparity[subset]}
    assert not {*disparity["train"]} & {*disparity["test"]}


def test_the_addresses_can_be_told_apart():
    for labels in ("disparity", "semantic"):
        names = [name for subset in module._SUBSETS[labels].values() for name in subset]
        remotes = module._remotes(names, labels, ("data", "data_right"))
        assert len({r.name for r in remotes}) == len({r.url for r in remotes}) == len(remotes)
        assert all(r.url.startswith("https://") and r.checksum is None for r in remotes)


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_dsec is False: .*left\.zip"):
        fetch_dsec(data_home=tmp_path, download_if_missing=False)


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("events_left.zip", b"<html>", r"must be an archive that is whole"),
        ("events_left.zip", zipped({"x": b"1"}), r"must hold one file 'events.h5'. Got 0"),
        ("disparity_timestamps.txt", b"<html>", r"timestamps.txt' of .* a time in each line"),
        ("disparity_timestamps.txt", b"1\n2\n3\n", r"must have a time for each .* 3 times and 2"),
    ],
)
def test_other_content_raises(path, content, message, get, served):
    served.contents[f"train/thun_00_a/thun_00_a_{path}"] = content
    with pytest.raises(DownloadError, match=message):
        get(sequences="thun_00_a")


def test_an_archive_of_labels_without_the_sequence_raises(get, served):
    name = TRAIN[1]
    times = {f"x/{name}_semantic_timestamps.txt": b"1\n"}
    served.contents["semantic/train_semantic_segmentation.zip"] = zipped(times)
    with pytest.raises(DownloadError, match=r"one folder '11classes' of 'zurich_city_00_a'. Got 0"):
        get(sequences=name, labels="semantic")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "flow"}, r"The 'labels' parameter of fetch_dsec must be one of"),
        ({"sequences": "zurich_city_13_a"}, r"sequences of the subset 'train', such as 'interl"),
        ({"sequences": "thun_00_a", "labels": "semantic"}, r"such as 'zurich_city_00_a'. Got"),
    ],
)
def test_parameters_are_checked(options, message, get):
    with pytest.raises(ValueError, match=message):
        get(**options)
