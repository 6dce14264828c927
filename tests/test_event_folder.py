import json

import numpy as np
import pytest

from skspike import EventCollection
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
