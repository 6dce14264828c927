"""Event Stream: types of streams, overflows and resets, the two decoders."""

import numpy as np
import pytest

from skspike import config_context
from skspike.exceptions import EventFormatError
from skspike.io import iter_events, read_events
from tests.io import encoders
from tests.io.common import rows, salvage, sample, write

EVENTS = encoders.some_events()


@pytest.mark.parametrize(
    ("name", "last"), [("dvs", (38, 46, 999_000, True)), ("color", (38, 46, 999_000, True))]
)
def test_real_files(name, last):
    X = read_events(sample(f"faery/{name}.es"))
    assert (X.n_events, X.sensor_size) == (473_225, (320, 240))
    assert rows(X[0][-1:]) == [last]
    assert int(X[0]["t"].sum()) % 1000 == 0  # a simulated camera of 1 kHz


def test_generic_events_are_none_of_a_camera():
    with pytest.raises(EventFormatError, match="generic events, which are not those of a camera"):
        read_events(sample("faery/generic.es"))


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("kind", ["dvs", "atis", "color"])
def test_events_come_back(kind, backend, tmp_path):
    path = write(tmp_path, "file.es", encoders.es(EVENTS, kind).data)
    with config_context(backend=backend):
        X = read_events(path)
    expected = EVENTS.copy()
    if kind == "color":
        expected["p"] = True  # colors have no polarity
    assert np.array_equal(X[0], expected)


def test_the_decoders_agree_on_any_bytes(tmp_path):
    rng = np.random.default_rng(0)
    for code in (1, 2, 4):
        body = rng.choice([0, 1, 7, 0x80, 0xFB, 0xFC, 0xFE, 0xFF], 4000).astype(np.uint8).tobytes()
        head = b"Event Stream" + bytes([2, 0, 0, code]) + b"\xff\x7f\xff\x7f"
        path = write(tmp_path, "file.es", head + body)
        found = []
        for backend in ("numba", "reference"):
            with config_context(backend=backend), pytest.warns(UserWarning, match="off the sensor"):
                found.append(list(iter_events(path, 100, errors="salvage")))
        assert np.array_equal(np.concatenate(found[0]), np.concatenate(found[1]))


def test_an_event_may_reach_over_the_end_of_a_block(tmp_path):
    path = write(tmp_path, "file.es", encoders.es(EVENTS, "atis").data)
    for chunk in (1, 3, 7, 64):
        assert np.array_equal(np.concatenate(list(iter_events(path, chunk))), EVENTS)
    from skspike.io._es import FORMAT
    from skspike.io._log import DecodeLog

    for chunk in (1, 2, 5):
        blocks = list(FORMAT.decode(path, DecodeLog(path, False), chunk))
        assert np.array_equal(np.concatenate([block.events for block in blocks]), EVENTS)
        spans = encoders.es(EVENTS, "atis").spans
        places = [block.locate(k) for block in blocks for k in range(len(block.events))]
        assert places == [start for start, _ in spans]


def test_a_file_cut_within_an_event(tmp_path):
    data = encoders.es(EVENTS, "dvs").data
    path = write(tmp_path, "file.es", data[:-2])
    with pytest.raises(EventFormatError, match="it ends after 3 of the 5 bytes") as caught:
        read_events(path)
    assert caught.value.offset == len(data) - 5
    assert np.array_equal(salvage(path)[0], EVENTS[:-1])


@pytest.mark.parametrize(
    ("header", "offset", "reason"),
    [
        (b"Event Stream", 12, "of version "),
        (b"Event Stream\x01\x00\x00\x01", 12, "it is of version 1.0.0, and only 2 is known"),
        (b"Event Stream\x02\x00\x00", 15, "events of the unknown type none"),
        (b"Event Stream\x02\x00\x00\x03", 15, "events of a display"),
        (b"Event Stream\x02\x00\x00\x09", 15, "the unknown type 09"),
        (b"Event Stream\x02\x00\x00\x01\x22\x00", 18, "it ends after 18 of the 20 bytes"),
        (b"Event Stream\x02\x00\x00\x01\x00\x00\x22\x00", 16, r"a sensor of size \(0, 34\)"),
    ],
)
def test_a_damaged_header(header, offset, reason, tmp_path):
    with pytest.raises(EventFormatError, match=reason) as caught:
        read_events(write(tmp_path, "file.es", header))
    assert caught.value.offset == offset


def test_coordinates_of_16_bits_are_off_the_sensor(tmp_path):
    data = bytearray(encoders.es(EVENTS, "dvs").data)
    at = encoders.es(EVENTS, "dvs").spans[4][0]
    data[at + 2] = 0xFF
    path = write(tmp_path, "file.es", bytes(data))
    with pytest.raises(EventFormatError, match=rf"at byte {at}: an event at x=-.* lies off"):
        read_events(path)
    assert len(salvage(path)[0]) == len(EVENTS) - 1
