import numpy as np
import pytest

from skspike._event_columns import EVENT_DTYPE
from skspike.exceptions import EventFormatError
from skspike.io._check import checked_blocks
from skspike.io._format import Block, EventFormat
from skspike.io._log import DecodeLog
from tests.io.common import rows


def events(*times, x=1, y=1):
    return np.array([(x, y, t, 1) for t in times], EVENT_DTYPE)


def check(*blocks, salvage=False, sensor_size=None, stated=None, **options):
    """Check blocks as if they came from a file; event k of block i is at byte 100 * i + k."""

    def decode(path, log, chunk):
        log.sensor_size = stated
        for i, block in enumerate(blocks):
            part, recording = block if isinstance(block, tuple) else (block, 0)
            yield Block(part, lambda k, i=i: 100 * i + k, recording)

    log = DecodeLog("file", salvage)
    source = EventFormat("made up", lambda head, path: True, decode, **options)
    found = list(checked_blocks("file", source, log, sensor_size, 10))
    return [row for block in found for row in rows(block.events)], log


@pytest.mark.parametrize(
    ("blocks", "offset", "said"),
    [
        ([events(1, 5, 4, 6, 5)], 2, "from 5 to 4 µs"),
        ([events(1, 5), events(4, 6)], 100, "from 5 to 4 µs"),
        ([events(5), events(), events(4)], 200, "from 5 to 4 µs"),
        ([events(-3, -4)], 1, "from -3 to -4 µs"),
    ],
)
def test_time_that_runs_backwards_is_a_damage(blocks, offset, said):
    with pytest.raises(EventFormatError, match=rf"time runs backwards, {said}") as caught:
        check(*blocks)
    assert caught.value.offset == offset
    kept, log = check(*blocks, salvage=True)
    assert len(kept) == log.n_events == sum(map(len, blocks))
    times = np.concatenate([block["t"] for block in blocks])
    assert log.n_damages == (np.diff(times) < 0).sum()
    assert len(check(*blocks, ordered=False)[0]) == log.n_events


def test_equal_times_and_another_recording_are_no_step_backwards():
    kept, _ = check((events(5, 5), 0), (events(5, 6), 0), (events(1, 2), 1), (events(0), 2))
    assert [t for _, _, t, _ in kept] == [5, 5, 5, 6, 1, 2, 0]


@pytest.mark.parametrize(("x", "y"), [(4, 0), (0, 3), (-1, 0), (0, -1), (2**15 - 1, 0)])
@pytest.mark.parametrize("sizes", [{"stated": (4, 3)}, {"stated": (9, 9), "sensor_size": (4, 3)}])
def test_events_off_the_sensor_are_damages(x, y, sizes):
    block = np.concatenate([events(1, x=3, y=2), events(2, 3, x=x, y=y), events(4, x=0, y=0)])
    said = rf"an event at x={x}, y={y} lies off the sensor of size \(4, 3\)"
    with pytest.raises(EventFormatError, match=said) as caught:
        check(events(0), block, **sizes)
    assert caught.value.offset == 101
    kept, log = check(events(0), block, salvage=True, **sizes)
    assert kept == [(1, 1, 0, True), (3, 2, 1, True), (0, 0, 4, True)]
    assert (log.n_events, log.n_lost, log.n_damages) == (3, 2, 2)


def test_of_a_sensor_of_unknown_size_every_place_is_right():
    assert len(check(events(1, x=2**15 - 1, y=2**15 - 1))[0]) == 1


def test_a_file_without_events_is_damaged_unless_it_may_be_empty():
    for blocks in ((), (events(),)):
        with pytest.raises(EventFormatError, match=r"is damaged: it holds no event"):
            check(*blocks)
        assert check(*blocks, salvage=True)[1].n_damages == 1
        assert check(*blocks, may_be_empty=True)[1].n_damages == 0
