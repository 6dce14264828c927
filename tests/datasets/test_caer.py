import numpy as np
import pytest

from skspike.datasets._caer import HostClock, parse_packet
from skspike.io import read_events
from tests.datasets.packets import packet


def test_the_bits_of_events():
    rows = [(345, 259, 5, 1, 1), (1, 2, 6, 0, 1), (3, 4, 7, 1, 0)]
    columns = parse_packet(*packet(rows, room=2))
    found = zip(*(columns[name].tolist() for name in "xytp"), strict=True)
    assert [*found] == [(345, 259, 5, True), (1, 2, 6, False)]


def test_events_are_those_of_an_aedat_file_of_the_packet(tmp_path):
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, high, 50) for high in (346, 260, 2, 2)]
    columns.insert(2, np.sort(rng.integers(0, 10**6, 50)))
    rows = [tuple(map(int, row)) for row in zip(*columns, strict=True)]
    header, body = packet(rows, overflow=1)
    head = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS346\r\n#!END-HEADER\r\n"
    (tmp_path / "x.aedat").write_bytes(head + header.tobytes() + body.tobytes())
    (expected,) = read_events(tmp_path / "x.aedat", sensor_size=(346, 260))
    found = parse_packet(header, body)
    for name, column in found.items():
        np.testing.assert_array_equal(column, expected[name])


def test_time_has_more_than_31_bits():
    columns = parse_packet(*packet([(0, 0, 9, 1, 1)], overflow=3))
    assert columns["t"].tolist() == [3 * 2**31 + 9]


def test_packets_of_other_kinds_hold_no_events():
    assert parse_packet(*packet([(0, 0, 9, 1, 1)], kind=2)) is None


def test_a_header_that_is_cut_raises():
    header, body = packet([])
    with pytest.raises(ValueError, match=r"a packet has a header of 27 bytes"):
        parse_packet(header[:27], body)


def test_the_first_packet_sets_the_clock():
    clock = HostClock()
    assert clock.on_host(np.array([100, 150]), 10_000).tolist() == [9_950, 10_000]
    assert clock.on_host(np.array([160, 400]), 10_900).tolist() == [10_010, 10_250]


def test_a_camera_that_is_set_back_sets_it_anew_and_time_never_runs_back():
    clock = HostClock()
    clock.on_host(np.array([100, 150]), 10_000)
    assert clock.on_host(np.array([0, 5]), 12_000).tolist() == [11_995, 12_000]
    assert clock.on_host(np.array([0, 50]), 12_010).tolist() == [12_000, 12_050]
