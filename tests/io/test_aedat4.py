"""AEDAT 4: streams, compressions, damaged packets."""

import struct

import numpy as np
import pytest

from skspike.exceptions import EventFormatError, EventLossWarning
from skspike.io import read_events
from tests.io import encoders
from tests.io.common import rows, salvage, sample, write

pytest.importorskip("lz4")
pytest.importorskip("zstandard")
EVENTS = encoders.some_events()


def file_of(folder, events=EVENTS, **options):
    return write(folder, "file.aedat4", encoders.aedat4(events, **options).data)


@pytest.mark.parametrize(
    ("name", "n", "size", "first", "last"),
    [
        (
            "tonic/sample.aedat4",
            111_954,
            (320, 240),
            (154, 204, 1605537493718345, False),
            (88, 237, 1605537494308262, True),
        ),
        (
            "event_vision_library/sample.aedat4",
            6_676,
            (346, 260),
            (215, 164, 1589163147368868, True),
            (96, 229, 1589163147538809, True),
        ),
    ],
)
def test_real_files(name, n, size, first, last):
    X = read_events(sample(name))
    assert (len(X), X.n_events, X.sensor_size) == (1, n, size)
    assert rows(X[0])[0] == first
    assert rows(X[0])[-1] == last


@pytest.mark.parametrize("compression", range(5))
@pytest.mark.parametrize("closed", [True, False])
def test_every_compression(compression, closed, tmp_path):
    X = read_events(file_of(tmp_path, compression=compression, closed=closed))
    assert X.sensor_size == (34, 30)
    assert np.array_equal(X[0], EVENTS)


def test_each_stream_of_events_is_a_recording(tmp_path):
    X = read_events(file_of(tmp_path, streams=2, compression=1))
    assert len(X) == 2
    assert np.array_equal(X[0], EVENTS)
    assert np.array_equal(X[1], EVENTS)


@pytest.mark.parametrize("compression", [0, 1, 3])
def test_a_damaged_packet_is_skipped(compression, tmp_path):
    encoded = encoders.aedat4(EVENTS, compression=compression)
    start, stop = encoded.spans[0]
    data = bytearray(encoded.data)
    data[start + 20 : stop - 4] = b"\xaa" * (stop - 4 - start - 20)
    path = write(tmp_path, "file.aedat4", bytes(data))
    with pytest.raises(
        EventFormatError, match=rf"at byte {start}: .*(packet|polarity|mark)"
    ) as caught:
        read_events(path)
    assert caught.value.offset == start
    events, message = salvage(path)
    assert np.array_equal(events[-25:], EVENTS[15:])
    assert "left out" in message


@pytest.mark.parametrize("compression", [0, 1, 3])
@pytest.mark.parametrize("size", [0, 2**31 - 1, -1, 7])
def test_a_damaged_length_costs_one_packet(compression, size, tmp_path):
    encoded = encoders.aedat4(EVENTS, compression=compression)
    start = encoded.spans[0][0]
    data = bytearray(encoded.data)
    data[start + 4 : start + 8] = struct.pack("<i", size)
    path = write(tmp_path, "file.aedat4", bytes(data))
    with pytest.raises(EventFormatError, match="damaged at byte"):
        read_events(path)
    assert np.array_equal(salvage(path)[0][-25:], EVENTS[15:])


def test_a_packet_hidden_as_one_of_another_stream_is_missed(tmp_path):
    for closed in (True, False):
        encoded = encoders.aedat4(EVENTS, closed=closed)
        data = bytearray(encoded.data)
        data[encoded.spans[0][0]] = 1  # the stream of frames
        path = write(tmp_path, "file.aedat4", bytes(data))
        with pytest.raises(EventFormatError, match=rf"at byte {encoded.spans[0][0]}: "):
            read_events(path)
        assert np.array_equal(salvage(path)[0], EVENTS[15:])


def test_a_file_cut_short(tmp_path):
    encoded = encoders.aedat4(EVENTS, compression=1, closed=False)
    cut = encoded.spans[-1][0] + 11
    path = write(tmp_path, "file.aedat4", encoded.data[:cut])
    with pytest.raises(EventFormatError, match=r"a packet should have .* bytes, and 3 are left"):
        read_events(path)
    assert np.array_equal(salvage(path)[0], EVENTS[:30])
    closed = encoders.aedat4(EVENTS, compression=1).data
    path = write(tmp_path, "file.aedat4", closed[:cut])
    with pytest.raises(EventFormatError, match="its table of packets should be at byte"):
        read_events(path)


@pytest.mark.parametrize(
    ("find", "put", "reason"),
    [
        (b"IOHE", b"IOHA", "header cannot be read"),
        (b"<dv", b"<vd", "header cannot be read"),
        (b"<dv version", b"<!v version", "not as DV writes it"),
        (b'"int">34', b'"int">-4', "size"),
        (b'name="outInfo"', b'name="outInfa"', "describes no stream"),
        (b"EVTS</attr>", b"FRME</attr>", r"no stream of events, only \['FRME'\]"),
    ],
)
def test_a_damaged_header(find, put, reason, tmp_path):
    data = encoders.aedat4(EVENTS).data
    assert find in data
    path = write(tmp_path, "file.aedat4", data.replace(find, put, 1))
    with pytest.raises(EventFormatError, match=reason):
        read_events(path)
    with pytest.warns(EventLossWarning, match="0 events read"):
        assert read_events(path, errors="salvage").n_events == 0


def test_a_file_without_events(tmp_path):
    with pytest.raises(EventFormatError, match="it holds no event"):
        read_events(file_of(tmp_path, EVENTS[:0]))
