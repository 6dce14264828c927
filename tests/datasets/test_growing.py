import numpy as np
import pytest

from skspike import EventCollection
from skspike._event_columns import EVENT_DTYPE
from skspike.datasets import make_moving_shapes
from skspike.datasets._growing import GrowingArray, GrowingFolder


@pytest.mark.parametrize("blocks", [[], [0], [3], [2, 0, 5], [1] * 12])
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_rows_are_those_that_were_appended(blocks, shape, tmp_path):
    rng = np.random.default_rng(0)
    rows = [rng.random((n, *shape)) for n in blocks]
    with GrowingArray(tmp_path / "a.npy", np.float32, shape) as array:
        for block in rows:
            array.append(block)
    stored = np.load(tmp_path / "a.npy", mmap_mode="r")
    expected = np.concatenate([np.empty((0, *shape)), *rows]).astype(np.float32)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, expected)


def test_a_header_has_room_for_any_length(tmp_path):
    with GrowingArray(tmp_path / "a.npy", EVENT_DTYPE) as array:
        start = array._file.tell()
        array._n = 10**18
        array._file.seek(0)
        array._write_header()
        assert array._file.tell() == start
        array._n = 0


def test_rows_of_another_shape_raise(tmp_path):
    message = r"a.npy' must be of shape \(2, 3\)\. Got \(3, 2\)"
    with (
        GrowingArray(tmp_path / "a.npy", np.float32, (2, 3)) as array,
        pytest.raises(ValueError, match=message),
    ):
        array.append(np.zeros((1, 3, 2)))


def test_a_folder_opens_as_if_it_were_saved(tmp_path):
    X, _ = make_moving_shapes(n_samples=4, sensor_size=(16, 12), random_state=0)
    with GrowingFolder(tmp_path / "deep" / "events", (16, 12)) as folder:
        for recording in X:
            for block in np.array_split(recording, 3):
                folder.append(block)
            folder.end_recording()
        folder.end_recording()  # one without events
    opened = EventCollection.open(tmp_path / "deep" / "events")
    assert opened[:4] == X
    assert opened.lengths[4] == 0
    assert len(opened) == 5
