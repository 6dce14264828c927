import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skspike import EventCollection
from skspike.datasets._fetch import RemoteFile
from skspike.datasets._sequences import Sequences, choose_sequences, fetch_sequences
from skspike.exceptions import DownloadError
from tests.datasets.server import serving_files, zipped

SUBSETS = {"train": ("a", "b"), "test": ("c",)}


def convert(step):
    """A sequence of one event, at the time that the file of its name says."""
    time = int((step.home / f"{step.name}.txt").read_text())
    assert [path.name for path in step.scratch.parent.iterdir()] == ["whole"]
    step.scratch.mkdir()
    (step.scratch / "large").write_bytes(b"?")
    step.files.mkdir(parents=True)
    image, depth = step.files / "0.png", step.files / "depth.npy"
    image.write_bytes(step.name.encode())
    np.save(depth, np.full((2, 3), time, np.float32))
    events = EventCollection.from_columns(
        x=[1, 2], y=[0, 0], t=[time, time + 1], p=[1, 0], offsets=[0, 2], sensor_size=(4, 3)
    ).events
    for camera in step.cameras.values():
        camera.append(events[:1])
        camera.append(events[1:])
    return {
        "target": None if step.name == "c" else [image],
        "target_times": np.array([time]),
        "signals": {"speed": np.array([time, 1]), "angle": np.array([0.5])} if time else {},
        "depth": depth,
        "calibration": image,
        "groups": step.name,
        "scale": 0.5 * time,
    }


@pytest.fixture
def served():
    with serving_files({f"{name}.txt": str(10 * i).encode() for i, name in enumerate("abc")}) as s:
        yield s


@pytest.fixture
def get(served, tmp_path):
    def get(names=("a", "b"), return_X_y=False, source=None, **options):
        source = source or Sequences(
            name="some",
            descr="What it is.",
            sensor_size=(4, 3),
            names=[*names],
            variant="plain",
            remotes=lambda home: [
                RemoteFile(f"{n}.txt", f"{served.url}/{n}.txt", None) for n in names
            ],
            convert=convert,
        )
        options = {"data_home": tmp_path, "delay": 0.0, "n_retries": 0} | options
        return fetch_sequences("fetch_some", source, return_X_y, **options)

    return get


def tree(folder):
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return [path for path in found if not path.endswith(".lock")]


def test_a_sequence_is_a_recording_with_its_labels(get):
    loaded = get("cab")
    assert isinstance(loaded.data.events.base, np.ndarray)
    assert [recording["t"].tolist() for recording in loaded.data] == [[20, 21], [0, 1], [10, 11]]
    assert loaded.data.sensor_size == (4, 3)
    assert loaded.target[0] is None
    assert [Path(paths[0]).read_text() for paths in loaded.target[1:]] == ["a", "b"]
    assert [times.tolist() for times in loaded.target_times] == [[20], [0], [10]]
    assert loaded.signals[0]["speed"].tolist() == [20, 1]
    assert loaded.signals[1] == {}
    assert loaded.signals[2]["angle"].tolist() == [0.5]
    assert [isinstance(depth, np.memmap) for depth in loaded.depth] == [True] * 3
    assert loaded.depth[0].tolist() == [[20.0] * 3] * 2
    assert [Path(path).read_text() for path in loaded.calibration] == ["c", "a", "b"]
    assert loaded.groups.tolist() == ["c", "a", "b"]
    assert loaded.scale.tolist() == [10.0, 0.0, 5.0]
    assert loaded.target_names is None
    assert loaded.DESCR == "What it is."


def test_data_and_target_alone(get):
    X, y = get(return_X_y=True)
    assert len(X) == len(y) == 2


def test_a_second_camera_has_its_own_recordings(get):
    source = Sequences("some", "", (4, 3), ["a"], "two", lambda home: [], convert)
    get("a")
    loaded = get(source=replace(source, cameras=("data", "data_right"), target_names=("x", "y")))
    assert loaded.data_right == loaded.data
    assert loaded.target_names.tolist() == ["x", "y"]


def test_the_second_call_needs_no_server_and_no_files(get, served, tmp_path):
    first = get()
    for path in (tmp_path / "some").glob("*.txt"):
        path.unlink()
    second = get(download_if_missing=False)
    assert second.data == first.data
    assert second.target_times == first.target_times
    assert served.asked == ["a.txt", "b.txt"]
    assert not [path for path in tree(tmp_path) if "large" in path]


def test_selections_are_converted_apart_and_files_are_loaded_once(get, served, tmp_path):
    both, one = get("ab"), get("b")
    assert one.data[0]["t"].tolist() == both.data[1]["t"].tolist()
    assert served.asked == ["a.txt", "b.txt"]
    assert len([path for path in (tmp_path / "some").iterdir() if path.name.startswith("pl")]) == 2


def test_what_is_missing_raises_if_it_may_not_be_downloaded(get, served, tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_some is False: .*a\.txt"):
        get(download_if_missing=False)
    assert served.asked == []
    assert tree(tmp_path) == []


def test_what_the_server_does_not_have_raises(get, served):
    del served.contents["b.txt"]
    with pytest.raises(DownloadError, match=r"b\.txt cannot be downloaded: .* 404"):
        get()


def test_an_error_of_the_conversion_leaves_the_files_and_no_folder(get, served, tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "a.txt").write_text("no number")
    with pytest.raises(ValueError, match="no number"):
        get("a")
    assert tree(tmp_path) == ["some", "some/a.txt"]
    (tmp_path / "some" / "a.txt").write_text("7")
    assert get("a").data[0]["t"].tolist() == [7, 8]
    assert served.asked == []


def test_an_archive_without_a_checksum_that_is_none_raises(get, served):
    served.contents["x.zip"] = b"<html>"
    remote = RemoteFile("x.zip", f"{served.url}/x.zip", None)
    source = Sequences("some", "", (4, 3), ["a"], "zip", lambda home: [remote], convert)
    with pytest.raises(DownloadError, match=r"must be an archive that is whole"):
        get(source=source)
    served.contents["x.zip"] = zipped({"x": b"1"})
    with pytest.raises(FileNotFoundError, match=r"a\.txt"):
        get(source=source)


def test_progress_is_told_if_asked_for(get, capsys):
    get("a")
    assert capsys.readouterr().err == ""
    get("ab", verbose=True)
    assert "fetch_some: sequence 2 of 2: b\n" in capsys.readouterr().err


def test_the_sequences_of_a_subset():
    assert choose_sequences("f", SUBSETS, "train", None) == ["a", "b"]
    assert choose_sequences("f", SUBSETS, "all", None) == ["a", "b", "c"]
    assert choose_sequences("f", SUBSETS, "all", "c") == ["c"]
    assert choose_sequences("f", SUBSETS, "train", np.array(["b", "a"])) == ["b", "a"]


@pytest.mark.parametrize(
    ("subset", "sequences", "message"),
    [
        ("val", None, "The 'subset' parameter of f must be one of ['all', 'test', 'train']. Got"),
        ("train", "c", "must name sequences of the subset 'train', such as 'a'. Got 'c' instead"),
        ("train", [], "The 'sequences' parameter of f must be a name or different names. Got []"),
        ("train", ["a", "a"], "must be a name or different names. Got ['a', 'a'] instead"),
        ("train", [1], "must be a name or different names. Got [1] instead"),
        ("train", 1, "must be a name or different names. Got 1 instead"),
    ],
)
def test_other_sequences_raise(subset, sequences, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        choose_sequences("f", SUBSETS, subset, sequences)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_retries": -1}, "The 'n_retries' parameter of fetch_some must be an int in the range"),
        ({"delay": float("nan")}, "The 'delay' parameter of fetch_some must be a float"),
    ],
)
def test_parameters_are_checked(get, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        get(**options)
