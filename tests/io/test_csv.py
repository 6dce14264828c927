"""The text that write_events writes."""

import numpy as np
import pytest

from skspike.exceptions import EventFormatError
from skspike.io import read_events
from tests.io import encoders
from tests.io.common import salvage, write

EVENTS = encoders.some_events()
MANY = b"# skspike events, width=9, height=8, recordings=4, events=3\nrecording,x,y,t,p\n"


def test_one_recording(tmp_path):
    X = read_events(write(tmp_path, "file.csv", encoders.csv(EVENTS).data))
    assert X.sensor_size == (34, 30)
    assert np.array_equal(X[0], EVENTS)


def test_recordings_without_events_and_any_order(tmp_path):
    X = read_events(write(tmp_path, "file.txt", MANY + b"1,1,2,9,0\n1,1,2,3,1\n2,1,2,4,0\n"))
    assert X.lengths.tolist() == [0, 2, 1, 0]
    assert X[1]["t"].tolist() == [9, 3]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (MANY + b"1,1,2,9,0\n", "promises 3 events, and it has 1"),
        (MANY + b"2,1,2,9,0\n1,1,2,3,1\n2,1,2,4,0\n", "recording 1 does not follow recording 2"),
        (MANY + b"7,1,2,9,0\n", "recording 7 does not follow"),
        (MANY + b"0.5,1,2,9,0\n", "recording 0.5 does not follow"),
        (MANY.replace(b",t,p", b",p,t"), "its header is 'recording,x,y,p,t'"),
        (MANY.replace(b"=9", b"=0"), r"sensor is of size \(0, 8\)"),
        (MANY.replace(b"=4", b"=99999999999"), "it claims 99999999999 recordings"),
        (b"# skspike events, nothing\n", "its first line is"),
    ],
)
def test_damage(content, reason, tmp_path):
    with pytest.raises(EventFormatError, match=reason):
        read_events(write(tmp_path, "file.csv", content))


def test_a_file_cut_at_the_end_of_a_line(tmp_path):
    data = encoders.csv(EVENTS).data
    path = write(tmp_path, "file.csv", data[: encoders.csv(EVENTS).spans[-1][0]])
    with pytest.raises(EventFormatError, match="promises 40 events, and it has 39"):
        read_events(path)
    assert np.array_equal(salvage(path)[0], EVENTS[:-1])
