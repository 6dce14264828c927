"""Text: columns, headers, separators, damaged lines."""

import numpy as np
import pytest

from skspike.exceptions import EventFormatError
from skspike.io import iter_events, read_events
from tests.io import encoders
from tests.io.common import rows, salvage, sample, write

EVENTS = encoders.some_events()


def test_real_files():
    path = sample("txt/slider_depth_events_chunk.txt")
    X = read_events(path)
    t, x, y, p = np.loadtxt(path).T
    assert X.n_events == 50_000
    assert np.array_equal(X[0]["t"], np.rint(t * 1e6))
    assert np.array_equal(X[0]["x"], x)
    assert np.array_equal(X[0]["y"], y)
    assert np.array_equal(X[0]["p"], p > 0)
    assert read_events(sample("event_vision_library/event.txt")).n_events == 17


@pytest.mark.parametrize("seconds", [True, False])
def test_events_come_back(seconds, tmp_path):
    path = write(tmp_path, "file.dump", encoders.text(EVENTS, seconds=seconds).data)
    assert np.array_equal(read_events(path)[0], EVENTS)
    assert np.array_equal(np.concatenate(list(iter_events(path, 7))), EVENTS)


@pytest.mark.parametrize(
    "text",
    [
        "5 1 2 0\n7 3 4 1",
        "5\t1\t2\t0\r\n7\t3\t4\t1\r\n",
        "5,1,2,-1\n7,3,4,1\n",
        "\ufeffx,y,t,p\n1,2,5,False\n3,4,7,True\n",
        "# t x y p\n\n5 1 2 0\n# a remark\n7 3 4 1\n",
        "label;p;y;x;timestamp\n9;0;2;1;5\n9;1;4;3;7\n",
        "4 5\n5 1 2 0\n7 3 4 1\n",
        "0.000005 1 2 0\n7e-6 3 4 1\n",
        "5.0 1.0 2.0 0.0\n7.0 3.0 4.0 1.0\n",
    ],
)
def test_what_people_write(text, tmp_path):
    path = write(tmp_path, "file.txt", text.encode())
    assert rows(read_events(path)[0]) == [(1, 2, 5, False), (3, 4, 7, True)]


def test_columns_of_the_caller(tmp_path):
    path = write(tmp_path, "file.txt", b"1 2 0 5 99\n3 4 1 7 99\n")
    expected = [(1, 2, 5, False), (3, 4, 7, True)]
    assert rows(read_events(path, columns="x y p t label")[0]) == expected
    assert rows(next(iter_events(path, columns=["x", "y", "p", "t", "label"]))) == expected
    with pytest.raises(
        EventFormatError, match="its lines have 5 columns, and no header names them"
    ):
        read_events(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("7 3 4", "a line has 3 columns instead of 4"),
        ("7 3 4 1 1", "a line has 5 columns instead of 4"),
        ("7 3 four 1", "'7 3 four 1' is not a line of numbers"),
        ("7 3,,1", "a line has 3 columns instead of 4"),
        ("nan 3 4 1", "nan is not a time"),
        ("7 inf 4 1", "inf is not a column"),
        ("7 3 4 0.5", "0.5 is not a polarity"),
        ("7 -3 4 1", "-3.0 is not a column"),
    ],
)
def test_a_damaged_line_is_named_and_left_out(line, reason, tmp_path):
    path = write(tmp_path, "file.txt", f"5 1 2 0\n{line}\n9 3 4 1\n".encode())
    with pytest.raises(EventFormatError, match=rf"at byte 8 \(line 2\): {reason}") as caught:
        read_events(path)
    assert caught.value.offset == 8
    events, message = salvage(path)
    assert events["t"].tolist() == [5, 9]
    assert "(line 2)" in message


def test_time_runs_backwards(tmp_path):
    path = write(tmp_path, "file.txt", b"5 1 2 0\n4 1 2 0\n")
    with pytest.raises(EventFormatError, match=r"at byte 8 \(line 2\): time runs backwards"):
        read_events(path)


def test_a_header_of_other_things(tmp_path):
    path = write(tmp_path, "file.csv", b"a,b,c,d\n1,2,3,4\n")
    with pytest.raises(EventFormatError, match=r"\(line 1\): its header names a, b, c, d, not x"):
        read_events(path)


def test_a_line_without_end_takes_no_memory(tmp_path):
    path = write(tmp_path, "file.txt", b"5 1 2 0\n" + b"1" * 3_000_000)
    with pytest.raises(EventFormatError, match=r"a line has|not a line of numbers"):
        read_events(path)


def test_nothing_at_all(tmp_path):
    with pytest.raises(EventFormatError, match="is empty"):
        read_events(write(tmp_path, "file.txt", b""))
    with pytest.raises(EventFormatError, match="it holds no event"):
        read_events(write(tmp_path, "file.txt", b"# t x y p\n"))
