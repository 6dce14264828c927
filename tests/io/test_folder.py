import numpy as np
import pytest

from skspike import EventCollection
from skspike.exceptions import EventFormatError
from skspike.io import iter_events, read_events
from tests.io.common import write


@pytest.fixture
def X():
    """Recordings of 3, 0, 5 and 0 events, not in order of time."""
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, 9, 8) for name in "xyt"}
    return EventCollection.from_columns(
        **columns, p=columns["t"] % 2, offsets=[0, 3, 3, 8, 8], sensor_size=(20, 10)
    )


def test_a_saved_folder_is_mapped(X, tmp_path):
    X.save(tmp_path / "events")
    found = read_events(tmp_path / "events")
    assert found == X
    assert not found.events.flags.owndata


def test_a_folder_is_read_where_mapping_will_not_do(X, tmp_path):
    X.save(tmp_path / "events")
    assert read_events([tmp_path / "events"]) == X
    wider = read_events(tmp_path / "events", sensor_size=(30, 30))
    assert wider.sensor_size == (30, 30)
    assert [*map(len, wider)] == [3, 0, 5, 0]
    both = read_events([tmp_path / "events", write(tmp_path, "a.bin", bytes(5))])
    assert [*map(len, both)] == [3, 0, 5, 0, 1]
    with pytest.raises(EventFormatError, match=r"lies off the sensor of size \(2, 2\)"):
        read_events(tmp_path / "events", sensor_size=(2, 2))


@pytest.mark.parametrize("chunk", [1, 3, 4, 100])
def test_a_folder_is_read_in_pieces(X, tmp_path, chunk):
    X.save(tmp_path / "events")
    pieces = list(iter_events(tmp_path / "events", chunk))
    assert np.array_equal(np.concatenate(pieces), X.events)
    assert {*map(len, pieces[:-1])} <= {chunk}


def test_another_folder_says_what_it_lacks(tmp_path):
    for call in (read_events, lambda path: list(iter_events(path))):
        with pytest.raises(EventFormatError, match=r"must hold meta.json, offsets.npy and events"):
            call(tmp_path)
