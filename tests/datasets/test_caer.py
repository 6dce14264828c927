import numpy as np
import pytest

from skspike.datasets._caer import HostClock, parse_packet
from tests.datasets.packets import packet


def test_the_bits_of_events():
    rows = [(345, 259, 5, 1, 1), (1, 2, 6, 0, 1), (3, 4, 7, 1, 0)]
    columns = parse_packet(*packet(rows, room=2))
    found = zip(*(columns[name].tolist() for name in "xytp"), strict=True)
    assert [*found] == [(345, 259, 5, True), (1, 2, 6, False)]


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
