"""NumPy's files: columns, recordings, structured arrays."""

import io

import numpy as np
import pytest

from skspike.exceptions import EventFormatError
from skspike.io import iter_events, read_events
from tests.io import encoders
from tests.io.common import salvage, sample, write

EVENTS = encoders.some_events()


def test_the_real_array():
    X = read_events(sample("expelliarmus/evt3_sample.npy"))
    assert X.n_events == 219_596
    assert np.array_equal(X[0]["t"], np.load(sample("expelliarmus/evt3_sample.npy"))["t"])


@pytest.mark.parametrize("compressed", [True, False])
def test_columns(compressed, tmp_path):
    path = write(tmp_path, "file.npz", encoders.npz(EVENTS, compressed=compressed).data)
    assert np.array_equal(read_events(path)[0], EVENTS)
    assert np.array_equal(np.concatenate(list(iter_events(path, 7))), EVENTS)


def test_recordings(tmp_path):
    path = write(tmp_path, "file.npz", encoders.npz(EVENTS, offsets=[0, 0, 9, 40, 40]).data)
    X = read_events(path)
    assert X.lengths.tolist() == [0, 9, 31, 0]
    assert X.sensor_size == (34, 30)
    assert np.array_equal(X.events, EVENTS)


@pytest.mark.parametrize("offsets", [[0, 9], [0, 30, 20, 40], [5, 40], []])
def test_offsets_must_fit(offsets, tmp_path):
    data = encoders.npz(EVENTS, offsets=np.array(offsets, int)).data
    with pytest.raises(EventFormatError, match="offsets must") as caught:
        read_events(write(tmp_path, "file.npz", data))
    assert caught.value.path.endswith("file.npz")


def test_a_structured_array(tmp_path):
    path = write(tmp_path, "file.npy", encoders.npy(EVENTS).data)
    assert np.array_equal(read_events(path)[0], EVENTS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(EventFormatError, match="it ends after 6 of the 13 bytes of an event"):
        read_events(path)
    assert np.array_equal(salvage(path)[0], EVENTS[:-2])
    path.write_bytes(whole + bytes(13))
    with pytest.raises(EventFormatError, match="it claims 40 events and stores 41"):
        read_events(path)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((5, 4)), "of shape"),
        (np.zeros(5), "without fields"),
        (np.zeros(5, [("x", int), ("y", int), ("t", int), ("p", "S1")]), "a column is of dtype"),
        (np.array([None]), "dtype object"),
    ],
)
def test_other_arrays(array, reason, tmp_path):
    np.save(tmp_path / "file.npy", array)
    with pytest.raises(EventFormatError, match=reason):
        read_events(tmp_path / "file.npy")


def test_a_huge_shape_takes_no_memory(tmp_path):
    data = encoders.npy(EVENTS).data
    path = write(tmp_path, "file.npy", data.replace(b"(40,), }" + b" " * 8, b"(9999999999,), }"))
    assert path.read_bytes() != data
    with pytest.raises(EventFormatError, match="it claims 9999999999 events and stores 40"):
        read_events(path)


def test_columns_of_different_lengths(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, t=EVENTS["t"], x=EVENTS["x"][:30], y=EVENTS["y"], p=EVENTS["p"])
    path = write(tmp_path, "file.npz", buffer.getvalue())
    with pytest.raises(EventFormatError, match="its columns are of lengths"):
        read_events(path)
    assert np.array_equal(salvage(path)[0], EVENTS[:30])


def test_a_changed_byte_breaks_the_checksum(tmp_path):
    data = bytearray(encoders.npz(EVENTS).data)
    data[200] ^= 1
    path = write(tmp_path, "file.npz", bytes(data))
    with pytest.raises(EventFormatError, match="cannot be unpacked"):
        read_events(path)


def test_a_cut_archive_and_one_of_other_arrays(tmp_path):
    data = encoders.npz(EVENTS).data
    with pytest.raises(EventFormatError, match="it cannot be unpacked"):
        read_events(write(tmp_path, "file.npz", data[:-30]))
    np.savez(tmp_path / "other.npz", a=[1], b=[2])
    with pytest.raises(EventFormatError, match=r"it holds \['a', 'b'\], not x, y, t, p"):
        read_events(tmp_path / "other.npz")
