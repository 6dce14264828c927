import builtins
import hashlib
from pathlib import Path

import numpy as np
import pytest

from skspike.datasets import _mvsec as module
from skspike.datasets import fetch_mvsec
from skspike.exceptions import DownloadError
from skspike.io import read_events
from tests.datasets.bags import bag, events_message, image_message, pose_message
from tests.datasets.server import serving_files, zipped

START = 1_506_117_000_000_000  # µs
NAMES = ("indoor_flying1", "indoor_flying2", "indoor_flying3")
LEFT = [(345, 259, 0, 1), (1, 2, 40, 0), (3, 4, 1000, 1)]  # x, y, t after the start, p
RIGHT = [(5, 6, 20, 0)]


def depth(value, side):
    return np.where(np.arange(260)[:, None] < side, value, np.nan) * np.ones((260, 346), np.float32)


def data_bag(shift):
    def message(rows):
        shifted = [(x, y, START + shift + t, p) for x, y, t, p in rows]
        return events_message(shifted, START + shift)

    topics = [("/davis/left/events", message(LEFT[:2])), ("/davis/right/events", message(RIGHT))]
    return bag([*topics, ("/davis/left/imu", b"?"), ("/davis/left/events", message(LEFT[2:]))])


def truth_bag(shift, n_maps=2):
    messages = [("/davis/left/pose", pose_message(START + shift, (1, 2, 3), (0, 0, 0, 1)))]
    for i in range(n_maps):
        for kind, side in (("rect", 100), ("raw", 50)):
            pixels = depth(i + 1, side).astype(np.float32)
            message = image_message(START + shift + 1000 * i, pixels)
            messages.append((f"/davis/left/depth_image_{kind}", message))
    return bag(messages)


def calibration(scene):
    x, y = np.meshgrid(np.arange(346.0), np.arange(260.0))
    maps = {("left", "x"): x, ("left", "y"): y, ("right", "x"): x / 2, ("right", "y"): y / 2}
    members = {f"camchain-imucam-{scene}.yaml": scene.encode()}
    for (side, axis), values in maps.items():
        lines = "\n".join(" ".join(map(str, row)) for row in values)
        members[f"{scene}_calib/{scene}_{side}_{axis}_map.txt"] = lines.encode()
    return zipped(members)


CALIBRATIONS = {scene: calibration(scene) for scene in ("indoor_flying", "motorcycle")}


@pytest.fixture
def served(monkeypatch):
    contents = {f"{s}/{s}_calib.zip": content for s, content in CALIBRATIONS.items()}
    checksums = dict(module._CHECKSUMS)
    for i, name in enumerate((*NAMES, "motorcycle")):
        scene = name.rstrip("0123456789")
        files = data_bag(i), truth_bag(i, n_maps=0 if name == "motorcycle" else 2)
        for part, content in zip(("data", "gt"), files, strict=True):
            contents[f"{scene}/{name}_{part}.bag"] = content
        checksums[name] = tuple(hashlib.md5(content).hexdigest() for content in files)
    monkeypatch.setattr(module, "_CHECKSUMS", checksums)
    with serving_files(contents) as served:
        monkeypatch.setattr(module, "_URL", served.url)
        yield served


@pytest.fixture
def get(tmp_path):
    def get(**options):
        return fetch_mvsec(**{"data_home": tmp_path, "n_retries": 0, "delay": 0.0, **options})

    return get


def test_events_depth_and_poses_of_the_bags(get, served):
    found = get(sequences=NAMES[:2], stereo=True)
    assert found.data.sensor_size == (346, 260)
    assert [r["t"].tolist() for r in found.data] == [
        [START + i, START + i + 40, START + i + 1000] for i in range(2)
    ]
    assert found.data[0][["x", "y", "p"]].tolist() == [(x, y, p == 1) for x, y, _, p in LEFT]
    assert [r["t"].tolist() for r in found.data_right] == [[START + 20], [START + 21]]
    assert isinstance(found.target[0], np.memmap)
    assert found.target[0].shape == (2, 260, 346)
    np.testing.assert_array_equal(found.target[0][1], depth(2, 100))
    assert [m[3, 5].tolist() for m in found.rectify_map] == [[5.0, 3.0]] * 2
    assert found.rectify_map_right[0][3, 5].tolist() == [2.5, 1.5]
    assert found.poses[0][0, :3, 3].tolist() == [1, 2, 3]
    assert found.pose_times[1].tolist() == [START + 1]
    assert [frames.tolist() for frames in found.frames] == [[0, 2], [0, 2]]
    assert found.focal_baseline.tolist() == [19.941772] * 2
    assert [Path(path).read_text() for path in found.calibration] == ["indoor_flying"] * 2
    assert found.groups.tolist() == [*NAMES[:2]]
    assert found.filenames.tolist() == ["indoor_flying1_data.bag", "indoor_flying2_data.bag"]
    assert found.target_names is None
    assert "MVSEC" in found.DESCR


def test_maps_are_on_the_clock_of_the_events(get, served):
    found = get(sequences=NAMES[1])
    times = found.target_times[0]
    assert np.searchsorted(found.data[0]["t"], times).tolist() == [0, 2]


def test_depth_as_the_camera_sees_it(get, served):
    found = get(sequences=NAMES[0], depth="raw")
    np.testing.assert_array_equal(found.target[0][0], depth(1, 50))


def test_a_sequence_without_depth(get, served):
    found = get(subset="motorcycle")
    assert found.target == [None]
    assert found.target_times[0].shape == (0,)
    assert np.isnan(found.focal_baseline).all()
    assert len(found.poses[0]) == 1


def test_the_second_call_needs_no_server(get, served):
    first = get(sequences=NAMES[0])
    assert len(served.asked) == 3
    served.contents.clear()
    X, y = get(sequences=NAMES[0], return_X_y=True, download_if_missing=False)
    assert first.data == X
    np.testing.assert_array_equal(y[0], first.target[0])
    assert len(served.asked) == 3


def test_the_splits_of_papers_on_stereo(get, served):
    train, test = get(subset="train1"), get(subset="test1")
    assert test.groups.tolist() == ["indoor_flying1"]
    assert train.groups.tolist() == ["indoor_flying2", "indoor_flying3"]
    assert [frames.tolist() for frames in test.frames] == [[140, 1201]]
    assert [frames.tolist() for frames in train.frames] == [[160, 1580], [125, 1815]]
    for split in "123":
        parts = module._SUBSETS[f"train{split}"], module._SUBSETS[f"test{split}"]
        assert sorted(sum(parts, ())) == [*NAMES]


def test_the_scenes():
    sizes = {scene: len(module._SUBSETS[scene]) for scene in module._SCENES}
    assert sizes == {"indoor_flying": 4, "outdoor_day": 2, "outdoor_night": 3, "motorcycle": 1}


def test_the_addresses_can_be_told_apart(tmp_path):
    remotes = module._remotes([*module._CHECKSUMS], tmp_path)
    assert len({r.name for r in remotes}) == len({r.url for r in remotes}) == len(remotes) == 24
    checksums = [r.checksum for r in remotes if r.name.endswith(".bag")]
    assert len({*checksums}) == 20
    assert all(len(checksum) == 36 and checksum.startswith("md5:") for checksum in checksums)
    assert [r.checksum for r in remotes if not r.name.endswith(".bag")] == [None] * 4
    assert all(r.url.startswith("https://") for r in remotes)


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_mvsec is False: .*1_data"):
        fetch_mvsec(data_home=tmp_path, download_if_missing=False)


def test_a_wrong_checksum_raises(get, served):
    served.contents["indoor_flying/indoor_flying1_gt.bag"] = b"another"
    with pytest.raises(DownloadError, match=r"gt\.bag must have the checksum 'md5:"):
        get(sequences=NAMES[0])


def test_a_calibration_without_maps_raises(get, served):
    served.contents["indoor_flying/indoor_flying_calib.zip"] = zipped({"x": b"1"})
    with pytest.raises(DownloadError, match=r"must hold 'indoor_flying_left_x_map.txt'"):
        get(sequences=NAMES[0])


def put_hdf5(home, name="indoor_flying1", depths=True):
    """The layout of the HDF5 files: tables of events in seconds, and times beside the maps."""
    h5py = pytest.importorskip("h5py")
    home.mkdir()
    with h5py.File(home / f"{name}_data.hdf5", "w") as file:
        for side, rows in (("left", LEFT), ("right", RIGHT)):
            table = [(x, y, (START + t) * 1e-6, 2 * p - 1) for x, y, t, p in rows]
            file[f"davis/{side}/events"] = np.array(table)
    with h5py.File(home / f"{name}_gt.hdf5", "w") as file:
        for kind, side in (("rect", 100), ("raw", 50)) if depths else ():
            maps = np.stack([depth(i + 1, side) for i in range(2)])
            file[f"davis/left/depth_image_{kind}"] = maps.astype(np.float32)
            file[f"davis/left/depth_image_{kind}_ts"] = START * 1e-6 + np.array([0, 0.001])
        if depths:
            file["davis/left/pose"] = np.eye(4)[None] + [[0, 0, 0, k] for k in (1, 2, 3, 0)]
            file["davis/left/pose_ts"] = np.array([START * 1e-6])


@pytest.mark.parametrize("kind", ["rect", "raw"])
def test_hdf5_files_that_somebody_put_there_give_the_same(kind, get, served, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 2)
    bags = get(sequences=NAMES[0], stereo=True, depth=kind)
    (tmp_path / "other").mkdir()
    put_hdf5(tmp_path / "other" / "mvsec")
    served.asked.clear()
    files = get(sequences=NAMES[0], stereo=True, depth=kind, data_home=tmp_path / "other")
    assert served.asked == ["indoor_flying/indoor_flying_calib.zip"]
    assert files.data == bags.data
    assert files.data_right == bags.data_right
    np.testing.assert_array_equal(files.target[0], bags.target[0])
    for name in ("target_times", "poses", "pose_times", "frames"):
        np.testing.assert_array_equal(files[name][0], bags[name][0])
    assert files.filenames.tolist() == ["indoor_flying1_data.hdf5"]


def test_hdf5_times_are_those_of_read_events(get, served, tmp_path):
    put_hdf5(tmp_path / "mvsec")
    both = read_events(tmp_path / "mvsec" / "indoor_flying1_data.hdf5", sensor_size=(346, 260))
    found = get(sequences=NAMES[0], stereo=True)
    assert found.data == both[:1]
    assert found.data_right == both[1:]


def test_hdf5_files_without_depth(get, served, tmp_path):
    put_hdf5(tmp_path / "mvsec", "motorcycle", depths=False)
    found = get(subset="motorcycle")
    assert found.target == [None]
    assert found.poses[0].shape == (0, 4, 4)


def test_without_h5py_it_says_what_to_install(get, served, tmp_path, monkeypatch):
    def without(name, *args, **kwargs):
        if name == "h5py":
            raise ImportError(name)
        return imports(name, *args, **kwargs)

    put_hdf5(tmp_path / "mvsec")
    imports = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"needs the package h5py: pip install"):
        get(sequences=NAMES[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": "left"}, r"The 'depth' parameter of fetch_mvsec must be one of \['raw', 'rect'"),
        ({"subset": "train4"}, r"The 'subset' parameter of fetch_mvsec must be one of"),
        ({"sequences": "outdoor_day1"}, r"must name sequences of the subset 'indoor_flying'"),
    ],
)
def test_parameters_are_checked(options, message, get):
    with pytest.raises(ValueError, match=message):
        get(**options)
