import os

import numpy as np
import pytest

from skspike import EventCollection
from skspike.datasets import make_moving_shapes
from skspike.io import _write, iter_events, read_events, write_events

SUFFIXES = [".npz", ".csv", ".txt", ""]


def collection(offsets, seed=0, latest=2**53):
    """Return recordings of all extremes, not in order of time, on a sensor with room to spare."""
    rng = np.random.default_rng(seed)
    n = offsets[-1]
    columns = {
        "x": rng.integers(0, 2**15, n),
        "y": rng.integers(0, 9, n),
        "p": rng.integers(0, 2, n),
    }
    t = rng.integers(-latest, latest, n, endpoint=True)
    return EventCollection.from_columns(**columns, t=t, offsets=offsets, sensor_size=(2**15, 12))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("offsets", [[0, 7], [0, 3, 3, 8], [0, 0, 2, 2, 2], [0, 0], [0, 0, 0], [0]])
def test_what_is_written_reads_back_equal(tmp_path, monkeypatch, suffix, offsets):
    monkeypatch.setattr(_write, "_PIECE", 2)
    X = collection(offsets, latest=2**53 if suffix in (".csv", ".txt") else 2**61)
    write_events(X, tmp_path / f"events{suffix}")
    assert read_events(tmp_path / f"events{suffix}") == X
    pieces = [*iter_events(tmp_path / f"events{suffix}", 3)]
    assert np.array_equal(np.concatenate([X.events[:0], *pieces]), X.events)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_view_and_a_list_of_recordings_are_written(tmp_path, suffix):
    X, _ = make_moving_shapes(n_samples=4, random_state=0)
    write_events(X[[3, 1]], tmp_path / f"view{suffix}")
    assert read_events(tmp_path / f"view{suffix}") == X[[3, 1]]
    write_events(list(X[:2]), tmp_path / f"list{suffix}")
    assert read_events(tmp_path / f"list{suffix}") == EventCollection(list(X[:2]))


def test_text_is_what_the_page_says(tmp_path):
    X = EventCollection.from_columns(
        x=[1, 2, 3], y=[4, 5, 6], t=[7, 8, -9], p=[0, 1, 1], offsets=[0, 2, 3], sensor_size=(5, 8)
    )
    write_events(X, tmp_path / "two.csv")
    assert (tmp_path / "two.csv").read_bytes() == (
        b"# skspike events, width=5, height=8, recordings=2, events=3\nrecording,x,y,t,p\n"
        b"0,1,4,7,0\n0,2,5,8,1\n1,3,6,-9,1\n"
    )
    write_events(X[1:], tmp_path / "one.txt")
    assert (tmp_path / "one.txt").read_bytes() == (
        b"# skspike events, width=5, height=8, recordings=1, events=1\nx,y,t,p\n3,6,-9,1\n"
    )


def test_an_archive_holds_the_columns_that_from_npz_reads(tmp_path):
    X = collection([0, 3, 8])
    write_events(X, tmp_path / "a.npz")
    assert EventCollection.from_npz(tmp_path / "a.npz", sensor_size=X.sensor_size) == X
    with np.load(tmp_path / "a.npz") as archive:
        assert archive["sensor_size"].tolist() == [2**15, 12]
        assert np.array_equal(archive["t"], X.events["t"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_kept_unless_told(tmp_path, suffix):
    X, path = collection([0, 3, 8]), tmp_path / f"events{suffix}"
    write_events(X, path)
    with pytest.raises(FileExistsError, match=r"exists. Pass overwrite=True to replace it"):
        write_events(X[:1], path)
    assert read_events(path) == X
    write_events(X[:1], path, overwrite=True)
    assert read_events(path) == X[:1]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, suffix):
    X, path = collection([0, 3, 8]), tmp_path / f"events{suffix}"
    write_events(X, path)

    def fail(X):
        yield 0, X.events[:1]
        raise OSError("disk full")

    monkeypatch.setattr(_write, "_pieces", fail)
    with pytest.raises(OSError, match=r"disk full"):
        write_events(X, path, overwrite=True)
    assert read_events(path) == X
    assert os.listdir(tmp_path) == [path.name]


def test_other_suffixes_and_other_data_raise(tmp_path):
    with pytest.raises(ValueError, match=r"must end in .npz, .csv or .txt, or have no suffix"):
        write_events(collection([0, 1]), tmp_path / "a.aedat4")
    with pytest.raises(TypeError, match=r"X of write_events must be an EventCollection"):
        write_events(np.zeros((3, 4)), tmp_path / "a.npz")
    late = EventCollection.from_columns(x=[0], y=[0], t=[-(2**53) - 1], p=[1], offsets=[0, 1])
    with pytest.raises(
        ValueError, match=r"\[-2\*\*53, 2\*\*53\] µs. Got -9007199254740993 instead"
    ):
        write_events(late, tmp_path / "a.csv")
    assert os.listdir(tmp_path) == []
