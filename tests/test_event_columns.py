import re

import numpy as np
import pytest

from skspike import EventCollection
from skspike.exceptions import EventFormatError

GOOD = {"x": [0, 1, 2], "y": [2, 1, 0], "t": [5, 6, 7], "p": [0, 1, 0], "offsets": [0, 1, 1, 3]}


def from_columns(sensor_size=None, **changes):
    return EventCollection.from_columns(**{**GOOD, **changes}, sensor_size=sensor_size)


def recording(n=2, **dtypes):
    return np.zeros(n, [(name, dtypes.get(name, int)) for name in "xytp"])


@pytest.mark.parametrize("p", [[0, 1, 0], [-1, 1, -1], [False, True, False], [-1.0, 1.0, -1.0]])
def test_every_convention_of_polarity_is_understood(p):
    assert from_columns(p=p).events["p"].tolist() == [False, True, False]


@pytest.mark.parametrize("field", ["x", "y", "t", "p"])
@pytest.mark.parametrize("dtype", ["?", "i1", "u1", ">i2", "u4", "i8", "u8", "f4", "f8"])
def test_every_numeric_type_gives_the_same_events(field, dtype):
    column = np.array([0, 1, 1], dtype)
    assert from_columns(**{field: column}) == from_columns(**{field: [0, 1, 1]})


def test_types_may_differ_between_recordings_and_fields_may_stand_in_any_order():
    first = np.array([(7, True, 3, 4)], [("t", "u4"), ("p", "?"), ("x", "u1"), ("y", "f8")])
    second = np.array([(3, 4, 7, 1, 9)], [(name, "i8") for name in "xytpz"])
    X = EventCollection([first, second])
    assert (X[0] == X[1]).all()
    assert X[0].tolist() == [(3, 4, 7, True)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": [0, -1, 2]}, "'x' of recording 2 must hold whole numbers .* Got -1 instead"),
        ({"x": [40_000, 1, 2]}, "'x' of recording 0 .*range \\[0, 32767\\]"),
        ({"y": [0, 0, 0.5]}, "'y' of recording 2 must hold whole numbers .* Got 0.5 instead"),
        ({"t": [0, np.nan, 2]}, "'t' of recording 2 must hold whole microseconds .* Got nan"),
        ({"t": [np.inf, 1, 2]}, "'t' of recording 0 must hold whole microseconds .* Got inf"),
        ({"t": [0, 0.25, 1]}, "'t' of recording 2 must hold whole microseconds .* Got 0.25"),
        ({"t": [0, 1, 2**62]}, "'t' of recording 2 must hold whole microseconds"),
        ({"p": [0, 1, 2]}, "'p' of recording 2 must hold bools, 0 and 1, or -1 and 1. Got 2"),
        ({"p": [0, 1, -1]}, "'p' of recording 0 must hold bools, 0 and 1, or -1 and 1. Got 0"),
        ({"t": [0, 1]}, "Columns x, y, t, p must be one-dimensional and equally long"),
        ({"x": 1, "y": 1, "t": 1, "p": 1}, "Columns x, y, t, p must be one-dimensional"),
        ({"offsets": [0, 2, 1, 3]}, "Recording 1 starts at 2 and ends at 1"),
        ({"offsets": [1, 3]}, "Offsets must start at 0 and end at the number of events, 3. Got 1"),
        ({"offsets": [0, 2]}, "Offsets must start at 0 .* Got 0 and 2"),
        ({"offsets": []}, "Offsets must be a non-empty one-dimensional array of ints"),
        ({"offsets": [0.0, 3.0]}, "Got dtype float64 and shape \\(2,\\) instead"),
    ],
)
def test_malformed_columns_raise(changes, message):
    with pytest.raises(EventFormatError, match=message):
        from_columns(**changes)


def test_events_off_the_sensor_raise():
    assert from_columns(sensor_size=(3, 3)).sensor_size == (3, 3)
    with pytest.raises(EventFormatError, match=r"'x' of recording 2 .*\[0, 1\].* Got 2 instead"):
        from_columns(sensor_size=(2, 3))
    with pytest.raises(EventFormatError, match=r"'y' of recording 0 .*\[0, 1\].* Got 2 instead"):
        from_columns(sensor_size=(3, 2))


@pytest.mark.parametrize("column", [["1", "2", "3"], [1j, 2j, 3j], [None, 1, 2]])
def test_columns_that_are_no_numbers_raise(column):
    with pytest.raises(TypeError, match=r"Field 't' must be numeric. Got dtype"):
        from_columns(t=column)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ([1, 2], TypeError, "Recording 1 must be a structured array .* Got <class 'list'>"),
        (np.ones((3, 4)), TypeError, "Recording 1 must be a structured array .* dtype float64"),
        (np.zeros(3, [("x", int), ("t", int)]), EventFormatError, "Recording 1 .* fields x, t "),
        (recording(4).reshape(2, 2), EventFormatError, "Recording 1 .* shape \\(2, 2\\)"),
        (recording(t="U3"), TypeError, "Field 't' of recording 1 must be numeric. Got dtype <U3"),
    ],
)
def test_wrong_recordings_are_named(wrong, error, message):
    with pytest.raises(error, match=message):
        EventCollection([recording(), wrong])


@pytest.mark.parametrize(
    ("sensor_size", "error", "message"),
    [
        (34, TypeError, "must be a pair (width, height). Got 34 instead"),
        ((34, 34, 2), TypeError, "must be a pair (width, height)"),
        ((0, 34), ValueError, "must be an int in the range [1, 32768]. Got 0 instead"),
        ((3.5, 34), TypeError, "must be an int in the range [1, 32768]. Got 3.5 instead"),
    ],
)
def test_sensor_size_must_be_two_sides(sensor_size, error, message):
    with pytest.raises(error, match=re.escape(message)):
        EventCollection([recording()], sensor_size=sensor_size)
