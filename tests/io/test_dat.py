import numpy as np
import pytest

from skspike.exceptions import EventFormatError
from skspike.io import iter_events, read_events
from tests.io.common import rows, salvage, sample, write

HEADER = b"% Data file containing CD events\n% Version 2\n% Width 640\n% Height 480\n"


def v2(x, y, t, p):
    return [t, p << 28 | y << 14 | x]


def v1(x, y, t, p):
    return [t, p << 17 | y << 9 | x]


def dat(folder, events, header=HEADER, mark=b"\x0c\x08", rest=b""):
    return write(folder, "a.dat", header + mark + np.array(events, "<u4").tobytes() + rest)


@pytest.mark.parametrize("mark", [b"\x0c\x08", b"\x00\x08"])
def test_both_types_of_event_are_read(tmp_path, mark):
    X = read_events(dat(tmp_path, [v2(639, 479, 7, 1), v2(0, 1, 8, 0)], mark=mark))
    assert X.sensor_size == (640, 480)
    assert rows(X[0]) == [(639, 479, 7, True), (0, 1, 8, False)]


@pytest.mark.parametrize("version", [b"% Version 1\n", b"% Version 0\n", b"% Date 2017-10-31\n"])
def test_the_older_layout_is_read(tmp_path, version):
    header = b"% Data file containing Event2D events.\n" + version
    path = dat(tmp_path, [v1(303, 239, 7, 1), v1(0, 1, 8, 0)], header, b"\x00\x08")
    assert rows(read_events(path)[0]) == [(303, 239, 7, True), (0, 1, 8, False)]


def test_a_header_without_a_version_is_read_by_its_addresses(tmp_path):
    header = b"% Data file containing CD events\n"
    path = dat(tmp_path, [v2(3, 100, 7, 1), v2(0, 1, 8, 0)], header)
    assert rows(read_events(path)[0]) == [(3, 100, 7, True), (0, 1, 8, False)]


def test_time_goes_on_where_its_counter_begins_anew(tmp_path):
    times = [5, 2**32 - 1, 0, 9, 2**32 - 9, 3]
    path = dat(tmp_path, [v2(1, 1, t, 1) for t in times])
    expected = [5, 2**32 - 1, 2**32, 2**32 + 9, 2 * 2**32 - 9, 2 * 2**32 + 3]
    # The steps of more than half the range upwards are steps; those downwards are wrap-arounds.
    assert read_events(path)[0]["t"].tolist() == expected


def test_damages_have_a_place_and_a_reason(tmp_path):
    start = len(HEADER) + 2
    path = dat(tmp_path, [v2(1, 1, 5, 1), v2(1, 1, 6, 3), v2(2, 2, 7, 0)])
    with pytest.raises(EventFormatError, match=r"3 is not a polarity") as caught:
        read_events(path)
    assert caught.value.offset == start + 8
    assert rows(salvage(path)[0]) == [(1, 1, 5, True), (2, 2, 7, False)]
    path = dat(tmp_path, [v2(1, 1, 5, 1)], rest=bytes(3))
    with pytest.raises(EventFormatError, match=r"it ends after 3 of the 8 bytes") as caught:
        read_events(path)
    assert caught.value.offset == start + 8
    path = dat(tmp_path, [v2(1, 1, 5, 1), v2(640, 1, 6, 1)])
    with pytest.raises(EventFormatError, match=r"x=640, y=1 lies off the sensor") as caught:
        read_events(path)
    assert caught.value.offset == start + 8
    path = dat(tmp_path, [v2(1, 1, 5, 1), v2(1, 1, 4, 1)])
    with pytest.raises(EventFormatError, match=r"time runs backwards, from 5 to 4 µs") as caught:
        read_events(path)
    assert caught.value.offset == start + 8


def test_other_events_and_half_a_header_are_damages(tmp_path):
    with pytest.raises(EventFormatError, match=r"of type 14 and 8 bytes long") as caught:
        read_events(dat(tmp_path, [v2(1, 1, 5, 1)], mark=b"\x0e\x08"))
    assert caught.value.offset == len(HEADER)
    with pytest.raises(EventFormatError, match=r"it ends within its header"):
        read_events(dat(tmp_path, [], mark=b"\x0c"))
    with pytest.raises(EventFormatError, match=r"it holds no event"):
        read_events(dat(tmp_path, []))


@pytest.mark.parametrize(
    ("name", "n_events"),
    [("loris/NCARS_obj_004397_td.dat", 4_407), ("tonic/sample_ncars.dat", 2_009)],
)
def test_a_real_recording_is_read_whole(name, n_events):
    X = read_events(sample(name))
    assert X.n_events == n_events
    assert X.sensor_size <= (120, 100)  # the largest crop of N-CARS
    assert 95_000 < X[0]["t"].max() < 100_000  # recordings last 100 ms
    assert np.array_equal(np.concatenate([*iter_events(sample(name), 100)]), X[0])
