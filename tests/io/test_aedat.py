"""AEDAT 1, 2 and 3: chips, clocks, packets."""

import struct

import numpy as np
import pytest

from skspike.exceptions import EventFormatError
from skspike.io import read_events
from tests.io import encoders
from tests.io.common import rows, salvage, sample, write

EVENTS = encoders.some_events()


def read(folder, data, name="file.aedat"):
    return read_events(write(folder, name, data))


@pytest.mark.parametrize(
    ("encode", "size"),
    [
        (encoders.aedat1, (128, 128)),
        (encoders.aedat2_dvs128, (128, 128)),
        (encoders.aedat2_davis, (346, 260)),
        (encoders.aedat3, (128, 128)),
        (lambda events: encoders.aedat3(events, version="3.0"), (128, 128)),
    ],
)
def test_events_come_back(encode, size, tmp_path):
    X = read(tmp_path, encode(EVENTS).data)
    assert X.sensor_size == size
    assert np.array_equal(X[0], EVENTS)


def test_a_real_header_without_events():
    with pytest.raises(EventFormatError, match="it holds no event"):
        read_events(sample("tonic/sample_aedat_header.aedat"))


def test_the_corners_of_a_dvs128(tmp_path):
    addresses = [0x0000, 0x00FE, 0x7F00, 0x7FFF, 0x8000]  # jAER's origin is at the lower right
    data = b"".join(struct.pack(">Ii", address, t) for t, address in enumerate(addresses))
    X = read(tmp_path, b"#!AER-DAT2.0\r\n" + data)
    expected = [(127, 127, 0, True), (0, 127, 1, True), (127, 0, 2, True), (0, 0, 3, False)]
    assert rows(X[0]) == expected  # the last address is a pulse from outside


def test_aedat1_without_any_header_goes_by_its_name(tmp_path):
    data = encoders.aedat1(EVENTS).data
    start = data.index(b"file\r\n") + 6
    assert np.array_equal(read(tmp_path, data[start:])[0], EVENTS)


def test_an_event_can_begin_with_the_byte_of_a_comment(tmp_path):
    x, y = 100, 259 - 140  # the first byte of the address is 0x23, a #
    data = struct.pack(">Ii", 140 << 22 | (345 - x) << 12 | 1 << 11, 10)
    assert data[:1] == b"#"
    X = read(tmp_path, b"#!AER-DAT2.0\r\n# AEChip: Davis346red\r\n" + data)
    assert rows(X[0]) == [(x, y, 10, True)]


def test_the_clock_wraps_around(tmp_path):
    times = [2**31 - 5, 2**31 + 3, 2**32 - 1, 2**32 + 7]
    data = b"".join(struct.pack(">II", 0, t % 2**32) for t in times)
    X = read(tmp_path, b"#!AER-DAT2.0\r\n" + data)
    assert X[0]["t"].tolist() == times
    negative = b"".join(struct.pack(">Ii", 0, t) for t in (-3, 4))
    assert read(tmp_path, b"#!AER-DAT2.0\r\n" + negative)[0]["t"].tolist() == [-3, 4]


def test_an_unknown_chip_is_refused(tmp_path):
    data = b"#!AER-DAT2.0\r\n" + struct.pack(">Ii", 1 << 22, 5)
    with pytest.raises(EventFormatError, match=r"at byte 14: .*no line '# AEChip:' names another"):
        read(tmp_path, data)


def test_time_and_size_are_checked(tmp_path):
    header = b"#!AER-DAT2.0\r\n"
    data = header + struct.pack(">IiIi", 0, 50, 0, 40)
    with pytest.raises(EventFormatError, match="at byte 22: time runs backwards, from 50 to 40"):
        read(tmp_path, data)
    path = write(tmp_path, "file.aedat", data[:-3])
    with pytest.raises(EventFormatError, match="it ends after 5 of the 8 bytes of an event"):
        read_events(path)
    assert len(salvage(path)[0]) == 1


# AEDAT 3 --------------------------------------------------------------------------------------


def test_events_that_are_not_valid_are_none(tmp_path):
    valid = [i % 3 > 0 for i in range(len(EVENTS))]
    X = read(tmp_path, encoders.aedat3(EVENTS, valid=valid).data)
    assert np.array_equal(X[0], EVENTS[np.array(valid)])


def test_overflows_are_counted_by_packets(tmp_path):
    X = read(tmp_path, encoders.aedat3(EVENTS, overflow=3).data)
    assert np.array_equal(X[0]["t"], EVENTS["t"] + 3 * 2**31)


def head_of_packet(encoded, i):
    """Return where the head of packet `i` of 15 events begins."""
    return encoded.spans[15 * i][0] - 28


@pytest.mark.parametrize(
    ("at", "code", "value", "reason"),
    [
        (0, "<h", 77, "type 77"),
        (2, "<h", -1, "source -1"),
        (4, "<i", 2**30, "events of 1073741824 bytes"),
        (8, "<i", 0, "time at byte 0"),
        (12, "<i", -1, "overflow -1"),
        (16, "<i", 3, "a packet for 3 events has 15"),
        (20, "<i", 2**30, "has 1073741824"),
        (24, "<i", 99, "99 of them valid"),
        (24, "<i", -1, "-1 of them valid"),
    ],
)
def test_a_damaged_head_costs_one_packet(at, code, value, reason, tmp_path):
    encoded = encoders.aedat3(EVENTS)
    start = head_of_packet(encoded, 1)
    data = bytearray(encoded.data)
    struct.pack_into(code, data, start + at, value)
    path = write(tmp_path, "file.aedat", bytes(data))
    with pytest.raises(EventFormatError, match=reason) as caught:
        read_events(path)
    assert caught.value.offset == start
    events, message = salvage(path)
    assert np.array_equal(events, np.concatenate([EVENTS[:15], EVENTS[30:]]))
    assert "left out" in message


def test_a_length_beyond_the_file_is_not_believed(tmp_path):
    encoded = encoders.aedat3(EVENTS)
    data = bytearray(encoded.data)
    struct.pack_into("<ii", data, head_of_packet(encoded, 2) + 16, 2**31 - 1, 2**31 - 1)
    with pytest.raises(EventFormatError, match="should have 2147483647 events of 8 bytes, and"):
        read(tmp_path, bytes(data))


def test_lost_validity_is_noticed(tmp_path):
    encoded = encoders.aedat3(EVENTS)
    data = bytearray(encoded.data)
    data[encoded.spans[3][0]] ^= 1
    with pytest.raises(EventFormatError, match="should have 15 valid events, and has 14"):
        read(tmp_path, bytes(data))


def test_a_packet_of_events_that_turned_special_is_noticed(tmp_path):
    encoded = encoders.aedat3(EVENTS)
    data = bytearray(encoded.data)
    data[head_of_packet(encoded, 0)] = 0
    with pytest.raises(EventFormatError, match="a special event is of kind"):
        read(tmp_path, bytes(data))


def test_a_time_of_32_bits_is_damaged(tmp_path):
    encoded = encoders.aedat3(EVENTS, others=False)
    data = bytearray(encoded.data)
    data[encoded.spans[7][0] + 7] = 0x80
    path = write(tmp_path, "file.aedat", bytes(data))
    with pytest.raises(EventFormatError, match="is not a time") as caught:
        read_events(path)
    assert caught.value.offset == encoded.spans[7][0]
    assert len(salvage(path)[0]) == len(EVENTS) - 1


def test_rows_from_the_bottom_need_a_height(tmp_path):
    data = encoders.aedat3(EVENTS, version="3.0").data.replace(b"DVS128", b"DVS???")
    with pytest.raises(EventFormatError, match="names no chip whose height is known"):
        read(tmp_path, data)
