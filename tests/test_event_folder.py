import copy
import json
import pickle
import shutil
import time

import numpy as np
import pytest

from skspike import EventCollection
from skspike._event_columns import EVENT_DTYPE
from skspike._event_folder import release_pages
from skspike.datasets import make_moving_shapes
from skspike.exceptions import EventFormatError


@pytest.fixture
def X():
    return make_moving_shapes(n_samples=6, sensor_size=(16, 12), random_state=0)[0]


def test_a_saved_folder_opens_equal_and_mapped(X, tmp_path):
    X.save(tmp_path / "deep" / "events")
    opened = EventCollection.open(tmp_path / "deep" / "events")
    assert opened == X
    base = opened.events
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not opened.events.flags.writeable


def test_a_view_saves_its_own_events(X, tmp_path):
    X[[4, 1]].save(tmp_path / "events")
    opened = EventCollection.open(tmp_path / "events")
    assert opened == X[[4, 1]]
    assert len(opened.events) == X[[4, 1]].n_events


@pytest.mark.parametrize("recordings", [[], [0], [0, 0]])
def test_nothing_can_be_saved(recordings, tmp_path):
    empty = EventCollection([np.zeros(n, [(f, int) for f in "xytp"]) for n in recordings])
    empty.save(tmp_path / "events")
    assert EventCollection.open(tmp_path / "events") == empty


def test_an_existing_folder_is_kept_unless_told(X, tmp_path):
    X.save(tmp_path / "events")
    mapped = EventCollection.open(tmp_path / "events")
    with pytest.raises(FileExistsError, match=r"Pass overwrite=True to replace it"):
        X[:2].save(tmp_path / "events")
    assert EventCollection.open(tmp_path / "events") == X
    X[:2].save(tmp_path / "events", overwrite=True)
    assert EventCollection.open(tmp_path / "events") == X[:2]
    assert mapped == X  # what was mapped before stays
    assert [path.name for path in tmp_path.iterdir()] == ["events"]


def test_a_failed_save_leaves_nothing(X, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OSError, match=r"disk full"):
        X.save(tmp_path / "events")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["meta.json", "offsets.npy", "events.npy"])
def test_incomplete_folders_raise(X, tmp_path, name):
    X.save(tmp_path / "events")
    content = (tmp_path / "events" / name).read_bytes()
    for remains in (content[:-9], b"", b"1", b"[1]"):
        (tmp_path / "events" / name).write_bytes(remains)
        with pytest.raises(EventFormatError, match=r"must hold meta.json, offsets.npy and events"):
            EventCollection.open(tmp_path / "events")
    (tmp_path / "events" / name).unlink()
    with pytest.raises(EventFormatError, match=r"FileNotFoundError"):
        EventCollection.open(tmp_path / "events")


def test_folders_of_another_format_raise(X, tmp_path):
    X.save(tmp_path / "events")
    np.save(tmp_path / "events" / "events.npy", np.zeros(X.n_events))
    with pytest.raises(EventFormatError, match=r"must be of format .* Got .* and float64 instead"):
        EventCollection.open(tmp_path / "events")
    X.save(tmp_path / "events", overwrite=True)
    (tmp_path / "events" / "meta.json").write_text('{"format": "other"}')
    with pytest.raises(EventFormatError, match=r"must be of format 'skspike-events-1'.*'other'"):
        EventCollection.open(tmp_path / "events")


def test_offsets_that_do_not_fit_raise(X, tmp_path):
    X.save(tmp_path / "events")
    np.save(tmp_path / "events" / "offsets.npy", np.array([0, 1]))
    with pytest.raises(EventFormatError, match=r"Offsets must start at 0 and end at the number"):
        EventCollection.open(tmp_path / "events")


# Pickles of mapped collections ---------------------------------------------------------------


def test_a_pickle_of_a_mapped_view_holds_no_event(X, tmp_path):
    X.save(tmp_path / "events")
    view = EventCollection.open(tmp_path / "events")[[4, 1, 1]]
    pickled = pickle.dumps(view)
    assert len(pickled) < 1000 < X.events.nbytes
    one, two = pickle.loads(pickled), pickle.loads(pickled)
    assert one == two == copy.deepcopy(view) == X[[4, 1, 1]]
    assert np.shares_memory(one.events, two.events)  # a process maps a folder once
    assert one._is_mapped
    assert len(pickle.dumps(one[:1])) < 1000
    assert not one.events.flags.writeable


def test_pickles_do_not_depend_on_the_working_directory(X, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X.save("events")
    pickled = pickle.dumps(EventCollection.open("events"))
    monkeypatch.chdir("/")
    assert pickle.loads(pickled) == X


def test_a_pickle_of_a_folder_that_changed_is_not_loaded(X, tmp_path):
    X.save(tmp_path / "events")
    held = EventCollection.open(tmp_path / "events")
    pickled = pickle.dumps(held)
    kept = pickle.loads(pickled)
    X[::-1].save(tmp_path / "events", overwrite=True)  # as many bytes, at another time
    with pytest.raises(EventFormatError, match=r"must hold the files that were there when the col"):
        pickle.loads(pickled)
    assert kept == held == X  # what is mapped stays
    assert pickle.loads(pickle.dumps(held[1:])) == X[1:]  # and travels as a copy
    shutil.rmtree(tmp_path / "events")
    assert pickle.loads(pickle.dumps(held)) == X
    del kept
    with pytest.raises(EventFormatError, match=r"must hold meta.json.* FileNotFoundError"):
        pickle.loads(pickled)


def test_folds_of_many_events_take_milliseconds(tmp_path):
    """100 million events, most of them a hole in the file: no fold reads any."""
    n_recordings, length = 10_000, 10_000
    EventCollection([np.zeros(1, EVENT_DTYPE)]).save(tmp_path / "events")
    np.save(tmp_path / "events" / "offsets.npy", np.arange(n_recordings + 1) * length)
    np.lib.format.open_memmap(
        tmp_path / "events" / "events.npy", "w+", EVENT_DTYPE, (n_recordings * length,)
    )
    X = EventCollection.open(tmp_path / "events")
    folds = np.array_split(np.random.default_rng(0).permutation(n_recordings), 5)
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        pickled = [pickle.dumps(X[np.delete(np.arange(n_recordings), fold)]) for fold in folds]
        best = min(best, time.perf_counter() - start)
    assert best < 0.01
    assert max(map(len, pickled)) < 9 * n_recordings
    assert len(pickle.loads(pickled[0])) == 8000
    del X


# What stays in memory ------------------------------------------------------------------------


def resident_of_files():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssFile")) * 1024


@pytest.fixture
def large(tmp_path):
    """Return a mapped collection of 64 recordings of 1 MiB."""
    length = 2**20 // EVENT_DTYPE.itemsize
    events = np.zeros(64 * length, EVENT_DTYPE)
    events["t"] = np.arange(len(events))
    EventCollection([np.zeros(1, EVENT_DTYPE)]).save(tmp_path / "events")
    np.save(tmp_path / "events" / "events.npy", events)
    np.save(tmp_path / "events" / "offsets.npy", np.arange(65) * length)
    return EventCollection.open(tmp_path / "events")


@pytest.mark.skipif("not __import__('os').path.exists('/proc/self/status')")
def test_a_pass_over_a_mapped_file_leaves_the_memory_behind_it(large, monkeypatch):
    before = resident_of_files()
    large.events["t"].sum()
    assert resident_of_files() - before > 50 * 2**20  # what it is that must be released
    release_pages(large.events)
    assert resident_of_files() - before < 10 * 2**20
    monkeypatch.setattr("skspike._events._KEPT_EVENTS", 2 * len(large[0]))
    largest = 0
    for recording in large:
        recording["t"].sum()
        largest = max(largest, resident_of_files() - before)
    assert largest < 10 * 2**20
    total = 0
    for part in large._parts():
        assert 1 <= len(large[part]) <= 3
        total += int(large.events["t"][large.bounds()[0][part][0]]) >= 0
        largest = max(largest, resident_of_files() - before)
    assert largest < 10 * 2**20
    assert total > 20


def test_releasing_changes_nothing(large, X):
    view = large[3]
    first = view.copy()
    release_pages(large.events)
    assert np.array_equal(view, first)
    release_pages(X.events)  # no mapping: nothing happens
    assert list(X._parts()) == [slice(None)]
    assert list(large._parts()) == [slice(0, 52), slice(52, 64)]
