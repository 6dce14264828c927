import builtins
import io
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from skspike.datasets import _ddd17 as module
from skspike.datasets import fetch_ddd17
from skspike.exceptions import DownloadError
from tests.datasets.packets import packet
from tests.datasets.server import serving_files, zipped

h5py = pytest.importorskip("h5py")

START = 1_487_417_411_000_000  # µs
ARCHIVE = "ddd17_seg.tar.gz"
EVENTS = [[(345, 259, 100, 1, 1), (1, 2, 150, 0, 1)], [(3, 4, 900, 1, 1), (5, 6, 1150, 1, 1)]]


def put_recording(path, skip=()):
    """The layout of a recording: packets of cAER and signals, with empty rows at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packets = [packet(EVENTS[0]), packet([(0, 0, 1, 0, 1)], kind=2), packet(EVENTS[1], room=3)]
    bytes_ = h5py.vlen_dtype(np.uint8)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("dvs/data", (5, 3), bytes_)
        times = np.zeros(5, np.int64)
        for i, (header, body) in enumerate(packets):
            times[i] = START + 500 * i
            for k, value in enumerate((np.frombuffer(str(times[i]).encode(), "u1"), header, body)):
                data[i, k] = value
        file["dvs/timestamp"] = times
        for k, name in enumerate(("steering_wheel_angle", "vehicle_speed")):
            rows = np.array([(START, 1.5 + k), (START + 1000, 2.5 + k), (0, 0)])
            file[f"{name}/data"] = rows
            file[f"{name}/timestamp"] = rows[:, 0].astype(np.int64)
        file["notes"] = np.arange(3)
        for name in skip:
            del file[name]


def segmentation(names=("dir0", "dir1"), unit=1000, zip_masks=False):
    """The layout of the archive: raw columns of events, an index, and images of labels."""
    members = {}
    for i, name in enumerate(names):
        root = f"ddd17_seg/data/{name}"
        t = (np.arange(4000) * 100 + i) * unit  # 400 ms
        xyp = np.stack([np.arange(4000) % 346, np.full(4000, 259), np.arange(4000) % 2], 1)
        index = np.array([(t[k], k, max(k - 500, 0)) for k in (600, 1200, 2400, 3600)])
        buffer = io.BytesIO()
        np.save(buffer, index)
        masks = {f"segmentation_{k:0{k}d}.png": f"{name} {k}".encode() for k in (4, 2)}
        members[f"{root}/events.dat.t"] = t.astype("<i8").tobytes()
        members[f"{root}/events.dat.xyp"] = xyp.astype("<i2").tobytes()
        members[f"{root}/index/index_50ms.npy"] = buffer.getvalue()
        if zip_masks:
            members[f"{root}/segmentation_masks.zip"] = zipped(
                {f"segmentation_masks/{k}": v for k, v in masks.items()}
            )
        else:
            members |= {f"{root}/segmentation_masks/{k}": v for k, v in masks.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def get(tmp_path):
    def get(**options):
        return fetch_ddd17(**{"data_home": tmp_path, "n_retries": 0, "delay": 0.0, **options})

    return get


@pytest.fixture
def served(monkeypatch):
    with serving_files({ARCHIVE: segmentation()}) as served:
        remote = module.RemoteFile(ARCHIVE, f"{served.url}/{ARCHIVE}", None)
        monkeypatch.setattr(module, "_ARCHIVE", remote)
        yield served


def test_events_and_signals_of_recordings(get, tmp_path):
    put_recording(tmp_path / "ddd17" / "run3" / "rec1487417411.hdf5")
    put_recording(tmp_path / "ddd17" / "rec1487356509.hdf5", skip=["vehicle_speed"])
    put_recording(tmp_path / "ddd17" / "rec1487356509_export.hdf5")
    found = get()
    assert found.groups.tolist() == ["rec1487356509", "rec1487417411"]
    assert found.filenames.tolist() == ["rec1487356509.hdf5", "run3/rec1487417411.hdf5"]
    assert found.data.sensor_size == (346, 260)
    rows = [(x, y, p == 1) for part in EVENTS for x, y, _, p, _ in part]
    assert found.data[1][["x", "y", "p"]].tolist() == rows
    assert sorted(found.target[0]) == ["steering_wheel_angle"]
    assert sorted(found.target[1]) == ["steering_wheel_angle", "vehicle_speed"]
    assert found.target[1]["vehicle_speed"]["value"].tolist() == [2.5, 3.5]
    assert found.target_names is None
    assert "DDD17" in found.DESCR


def test_signals_are_on_the_clock_of_the_events(get, tmp_path):
    put_recording(tmp_path / "ddd17" / "rec1487417411.hdf5")
    found = get()
    # The last event of the first packet is taken to be as old as the packet.
    assert (found.data[0]["t"] - START).tolist() == [-50, 0, 750, 1000]
    assert (found.target[0]["steering_wheel_angle"]["t"] - START).tolist() == [0, 1000]


def test_a_recording_that_is_converted_may_be_deleted(get, tmp_path):
    path = tmp_path / "ddd17" / "rec1487417411.hdf5"
    put_recording(path)
    first = get(sequences="rec1487417411")
    path.unlink()
    X, y = get(sequences=["rec1487417411"], return_X_y=True)
    assert first.data == X
    assert y[0]["vehicle_speed"].tolist() == first.target[0]["vehicle_speed"].tolist()


@pytest.mark.parametrize("sequences", [None, "rec1487417411"])
def test_what_is_not_there_says_where_it_is(sequences, get, tmp_path):
    where = re.escape(str(tmp_path / "ddd17"))
    with pytest.raises(OSError, match=rf"of fetch_ddd17 not found: .* in '{where}'.*Resilio Sync"):
        get(sequences=sequences)


def test_a_file_that_is_no_recording_raises(get, tmp_path):
    put_recording(tmp_path / "ddd17" / "rec1.hdf5", skip=["dvs"])
    with pytest.raises(ValueError, match=r"rec1\.hdf5' must be a recording .* 'dvs/data'. Got \["):
        get()


def test_sequences_with_semantic_labels(get, served):
    found = get(labels="semantic", sequences=["dir0", "dir1"])
    assert found.data.lengths.tolist() == [4000, 4000]
    assert found.data[0][:2].tolist() == [(0, 259, 0, False), (1, 259, 100, True)]
    assert [[Path(path).read_text() for path in paths] for paths in found.target] == [
        ["dir0 2", "dir0 4"],
        ["dir1 2", "dir1 4"],
    ]
    assert found.target_names.tolist()[1] == "construction and sky"
    assert found.filenames[0] == "ddd17_seg/ddd17_seg/data/dir0"
    assert found.groups.tolist() == ["dir0", "dir1"]


@pytest.mark.parametrize("unit", [1, 1000])
def test_semantic_labels_are_on_the_clock_of_the_events(unit, get, served):
    served.contents[ARCHIVE] = segmentation(unit=unit)
    found = get(labels="semantic", sequences="dir1")
    assert found.target_times[0].tolist() == [120_001, 360_001]
    assert np.searchsorted(found.data[0]["t"], found.target_times[0]).tolist() == [1200, 3600]


def test_masks_may_be_an_archive_in_the_archive(get, served):
    served.contents[ARCHIVE] = segmentation(zip_masks=True)
    found = get(labels="semantic", subset="test")
    assert [Path(path).read_text() for path in found.target[0]] == ["dir1 2", "dir1 4"]


def test_a_batch_of_any_size_gives_the_same(get, served, tmp_path, monkeypatch):
    first = get(labels="semantic", sequences="dir0")
    monkeypatch.setattr(module, "_BLOCK", 999)
    again = get(labels="semantic", sequences="dir0", data_home=tmp_path / "other")
    assert again.data == first.data


def test_the_second_call_needs_no_server_and_the_archive_is_unpacked_once(get, served):
    get(labels="semantic", sequences="dir0")
    served.contents.clear()
    assert len(get(labels="semantic", sequences="dir0", download_if_missing=False).data) == 1
    assert len(get(labels="semantic", sequences="dir1", download_if_missing=False).data) == 1
    assert served.asked == [ARCHIVE]


def test_the_split_of_the_labels():
    names = [name for subset in module._SEMANTIC.values() for name in subset]
    assert sorted(names) == [f"dir{k}" for k in (0, 1, 3, 4, 5, 6, 7)]
    assert module._SEMANTIC["test"] == ("dir1",)


def test_an_archive_that_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_ddd17 is False: .*seg\.tar"):
        fetch_ddd17(labels="semantic", data_home=tmp_path, download_if_missing=False)


def test_an_archive_of_other_content_raises(get, served):
    with pytest.raises(DownloadError, match=r"must hold one folder 'dir7' with events. Got 0"):
        get(labels="semantic", sequences="dir7")
    assert module._ARCHIVE.checksum is None


def test_a_broken_archive_raises(get, served):
    served.contents[ARCHIVE] = served.contents[ARCHIVE][:-20]
    with pytest.raises(DownloadError, match=r"must be an archive that is whole"):
        get(labels="semantic", sequences="dir0")


def test_without_h5py_it_says_what_to_install(get, tmp_path, monkeypatch):
    def without(name, *args, **kwargs):
        if name == "h5py":
            raise ImportError(name)
        return imports(name, *args, **kwargs)

    put_recording(tmp_path / "ddd17" / "rec1.hdf5")
    imports = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"needs the package h5py: pip install"):
        get()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "steering"}, r"The 'labels' parameter of fetch_ddd17 must be one of"),
        ({"subset": "train"}, r"The 'subset' parameter of fetch_ddd17 must be one of \['all'\]"),
        ({"sequences": 3}, r"The 'sequences' parameter of fetch_ddd17 must be a name or different"),
        ({"labels": "semantic", "sequences": "dir2"}, r"of the subset 'all', such as 'dir0'"),
    ],
)
def test_parameters_are_checked(options, message, get):
    with pytest.raises(ValueError, match=message):
        get(**options)
