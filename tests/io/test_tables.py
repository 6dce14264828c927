"""Names of columns, and times in seconds or microseconds."""

import numpy as np
import pytest

from skspike.io._tables import Clock, canonical, check_columns, find_columns


def test_columns_are_found_under_their_usual_names():
    assert find_columns(["Timestamp", "x", " y", "polarity"]) == {
        "x": "x",
        "y": " y",
        "t": "Timestamp",
        "p": "polarity",
    }
    assert canonical("Label") == "label"


@pytest.mark.parametrize("names", [[], ["x", "y", "t"], ["x", "y", "t", "ts", "p"]])
def test_each_column_must_be_there_once(names):
    assert find_columns(names) is None


def test_columns_of_the_caller():
    assert check_columns("read_events", None) is None
    assert check_columns("read_events", "t, x y pol") == ("t", "x", "y", "p")
    assert check_columns("read_events", ["label", "x", "y", "p", "t"])[0] == "label"
    with pytest.raises(ValueError, match="'columns' parameter of read_events must name x, y, t"):
        check_columns("read_events", "t x y")
    with pytest.raises(TypeError, match=r"must be a str or a list of str. Got 3 instead"):
        check_columns("read_events", 3)


def test_whole_numbers_are_microseconds_and_fractions_seconds():
    t = np.array([5, 7])
    assert Clock().microseconds(t) is t
    assert Clock().microseconds(np.array([5.0, 7.0])).tolist() == [5, 7]
    assert Clock().microseconds(np.array([0.000779999, 1.5])).tolist() == [780, 1_500_000]
    assert np.isnan(Clock().microseconds(np.array([np.nan, 0.5]))[0])


def test_the_first_block_decides():
    clock = Clock()
    clock.microseconds(np.empty(0))
    assert clock.seconds is None
    clock.microseconds(np.array([0.0, 0.25]))
    assert clock.microseconds(np.array([3.0])).tolist() == [3_000_000]
    clock = Clock()
    clock.microseconds(np.array([1.0]))
    assert clock.microseconds(np.array([2.5])).tolist() == [2.5]  # no time: pack_block reports it
