import numpy as np
import pytest

from skspike.exceptions import EventFormatError
from skspike.io._columns import pack_block
from skspike.io._log import DecodeLog
from tests.io.common import rows


def columns(dtype=np.int64, **changed):
    good = {"x": [1, 2, 3], "y": [4, 5, 6], "t": [7, 8, 9], "p": [0, 1, 1]}
    return {name: np.array(values, dtype) for name, values in {**good, **changed}.items()}


def locate(k):
    return 100 + 10 * k


@pytest.mark.parametrize("dtype", ["u1", "i1", ">u2", "<i2", "u8", "i8", "f4", "f8"])
def test_columns_of_any_type_become_events(dtype):
    block = pack_block(DecodeLog("file", False), columns(dtype), locate, 3)
    assert rows(block.events) == [(1, 4, 7, False), (2, 5, 8, True), (3, 6, 9, True)]
    assert (block.recording, block.locate(2)) == (3, 120)


@pytest.mark.parametrize(("polarity", "dtype"), [([-1, 1, 1], "i1"), ([False, True, True], "?")])
def test_polarity_may_be_signed_or_a_bool(polarity, dtype):
    given = {**columns(), "p": np.array(polarity, dtype)}
    events = pack_block(DecodeLog("file", False), given, locate).events
    assert events["p"].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("name", "value", "dtype", "said"),
    [
        ("x", -1, "i8", r"-1 is not a column of the sensor"),
        ("x", 2**15, "u2", r"32768 is not a column of the sensor"),
        ("y", 2**63, "u8", r"9223372036854775808 is not a row of the sensor"),
        ("t", 2**63, "u8", r"9223372036854775808 is not a time in whole microseconds"),
        ("t", -(2**62), "i8", r"is not a time in whole microseconds"),
        ("t", 1.5, "f8", r"1.5 is not a time in whole microseconds"),
        ("y", np.nan, "f8", r"nan is not a row of the sensor"),
        ("t", np.inf, "f4", r"inf is not a time"),
        ("t", 2.0**54, "f8", r"is not a time in whole microseconds"),
        ("p", 2, "i8", r"2 is not a polarity"),
        ("p", 255, "u1", r"255 is not a polarity"),
        ("p", np.nan, "f8", r"nan is not a polarity"),
    ],
)
def test_values_that_no_event_has_are_damages(name, value, dtype, said):
    given = columns()
    given[name] = given[name].astype(dtype)
    given[name][1] = value
    with pytest.raises(EventFormatError, match=said) as caught:
        pack_block(DecodeLog("file", False), given, locate)
    assert caught.value.offset == 110
    log = DecodeLog("file", True)
    block = pack_block(log, given, locate)
    assert rows(block.events) == [(1, 4, 7, False), (3, 6, 9, True)]
    assert (block.locate(1), log.n_lost, log.n_damages) == (120, 1, 1)


def test_no_columns_give_no_events():
    empty = {name: np.empty(0) for name in "xytp"}
    assert len(pack_block(DecodeLog("file", False), empty, locate).events) == 0
