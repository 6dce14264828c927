import pickle
import warnings

import pytest

from skspike.exceptions import EventFormatError, EventLossWarning
from skspike.io._log import DecodeLog, warn_of_damages


def test_a_damage_raises_with_place_and_reason():
    with pytest.raises(EventFormatError) as caught:
        DecodeLog("a.raw", False).damage(12, "it is broken")
    assert str(caught.value) == "File 'a.raw' is damaged at byte 12: it is broken."
    error = caught.value
    assert (error.path, error.offset, error.reason) == ("a.raw", 12, "it is broken")
    with pytest.raises(
        EventFormatError, match=r"^File 'a.raw' is damaged: it is broken\.$"
    ) as caught:
        DecodeLog("a.raw", False).damage(None, "it is broken")
    assert caught.value.offset is None


def test_an_error_survives_the_way_from_another_process():
    with pytest.raises(EventFormatError) as caught:
        DecodeLog("a.raw", False).damage(12, "it is broken")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert (copy.path, copy.offset, copy.reason) == ("a.raw", 12, "it is broken")


def test_salvaged_damages_are_counted():
    log = DecodeLog("a.raw", True)
    log.damage(12, "it is broken", n_events=3, times=3)
    log.damage(15, "it ends", n_bytes=2)
    log.n_events = 7
    with pytest.warns(EventLossWarning) as caught:
        warn_of_damages([DecodeLog("b.raw", True), log])
    assert [str(warning.message) for warning in caught] == [
        "File 'a.raw' is damaged in 4 places, first at byte 12: it is broken; 7 events read, "
        "3 events and 2 bytes without a readable event left out."
    ]


def test_events_left_out_of_a_whole_file_warn_too():
    log = DecodeLog("a.raw", False)
    log.leave_out(1, "they come early")
    log.leave_out(2, "they come early")
    with pytest.warns(EventLossWarning, match=r"^3 events of file 'a.raw' left out: they come e"):
        warn_of_damages([log])


def test_many_damaged_files_give_one_warning():
    logs = [DecodeLog(f"{i}.raw", True) for i in range(9)]
    for log in logs[1:7]:
        log.damage(0, "it is broken", n_events=1)
    with pytest.warns(EventLossWarning) as caught:
        warn_of_damages(logs)
    (warning,) = caught
    assert str(warning.message).count("is damaged in 1 place,") == 3
    assert str(warning.message).endswith("The same goes for 3 more of 9 files.")


def test_whole_files_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_damages([DecodeLog("a.raw", True)])
