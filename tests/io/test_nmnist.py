import numpy as np
import pytest

from skspike.exceptions import EventFormatError
from skspike.io import iter_events, read_events
from skspike.io._log import DecodeLog
from skspike.io._nmnist import FORMAT
from tests.io.common import rows, salvage, sample, write


def record(x, y, t, p):
    return bytes([x, y, p << 7 | t >> 16, t >> 8 & 0xFF, t & 0xFF])


OVERFLOW = record(0, 240, 0, 0)
# Time has 23 bits; the rows of 240 count the steps of 2**13 µs that do not fit.
CONTENT = b"".join(
    [
        record(1, 2, 3, 1),
        OVERFLOW,
        record(33, 33, 2**20, 0),
        OVERFLOW,
        OVERFLOW,
        record(0, 9, 2**22, 1),
    ]
)
EVENTS = [
    *((1, 2, 3, True), (33, 33, 2**20 + 2**13, False), (0, 9, 2**22 + 3 * 2**13, True)),
]


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_events_are_decoded_and_overflows_counted(tmp_path, chunk):
    path = write(tmp_path, "a.bin", CONTENT)
    blocks = list(FORMAT.decode(path, DecodeLog(path, False), chunk))
    assert [row for block in blocks for row in rows(block.events)] == EVENTS
    offsets = [block.locate(k) for block in blocks for k in range(len(block.events))]
    assert offsets == [0, 10, 25]


def test_half_an_event_is_a_damage(tmp_path):
    path = write(tmp_path, "a.bin", CONTENT + b"\x01\x02")
    with pytest.raises(EventFormatError, match=r"it ends after 2 of the 5 bytes") as caught:
        read_events(path)
    assert caught.value.offset == len(CONTENT)
    events, message = salvage(path)
    assert rows(events) == EVENTS
    assert "3 events read, 2 bytes without a readable event left out" in message


def test_time_that_runs_backwards_is_a_damage(tmp_path):
    path = write(tmp_path, "a.bin", record(1, 1, 7, 1) + record(1, 2, 6, 1) + record(1, 3, 9, 1))
    with pytest.raises(EventFormatError, match=r"time runs backwards, from 7 to 6 µs") as caught:
        read_events(path)
    assert caught.value.offset == 5
    events, message = salvage(path)
    assert events["t"].tolist() == [7, 6, 9]
    assert "3 events read, nothing left out" in message


@pytest.mark.parametrize(
    ("name", "n_events", "sensor_size"),
    [
        ("tonic/sample_nmnist.bin", 4_325, (34, 34)),
        ("event_vision_library/faces_easy_0001.bin", 67_445, (240, 180)),
    ],
)
def test_a_real_recording_is_read_whole(name, n_events, sensor_size):
    X = read_events(sample(name), sensor_size=sensor_size)
    assert X.n_events == n_events
    assert 290_000 < X[0]["t"].max() < 320_000  # three saccades of 100 ms
    assert np.array_equal(np.concatenate([*iter_events(sample(name), 1000)]), X[0])


def test_a_recording_equals_tonics():
    tonic_io = pytest.importorskip("tonic.io")
    path = sample("tonic/sample_nmnist.bin")
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    expected = tonic_io.read_mnist_file(str(path), dtype)
    for name in "xytp":
        assert np.array_equal(read_events(path)[0][name], expected[name])
