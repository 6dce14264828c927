"""What is checked of the events of every file: order in time, place on the sensor, their number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ._format import Block, EventFormat
from ._log import DecodeLog


def checked_blocks(
    path: Path, format: EventFormat, log: DecodeLog, sensor_size: tuple[int, int] | None, chunk: int
) -> Iterator[Block]:
    """Decode a file and yield its blocks less the events off the sensor, which is a damage.

    So are times that run backwards (the events are kept) and a file that holds no event.
    """
    recording, last = 0, None
    for block in format.decode(path, log, chunk):
        if block.recording != recording:
            recording, last = block.recording, None
        if len(block.events):
            if format.ordered:
                last = _check_order(block, log, last)
            block = _on_sensor(block, log, sensor_size or log.sensor_size)
        log.n_events += len(block.events)
        yield block
    if not log.n_events and not format.may_be_empty:
        log.damage(None, "it holds no event")


def _check_order(block: Block, log: DecodeLog, last: int | None) -> int:
    """Report times that run backwards; return the last time, with which the next block goes on."""
    t = np.ascontiguousarray(block.events["t"])
    is_fall = t[1:] < t[:-1]
    before = t[0] if last is None else last
    if t[0] < before or is_fall.any():
        falls = np.flatnonzero([t[0] < before, *is_fall])
        k = int(falls[0])
        reason = f"time runs backwards, from {t[k - 1] if k else before} to {t[k]} µs"
        log.damage(block.locate(k), reason, times=len(falls))
    return int(t[-1])


def _on_sensor(block: Block, log: DecodeLog, sensor_size: tuple[int, int] | None) -> Block:
    """Return the block less the events off the sensor, where its size is known."""
    if sensor_size is None:
        return block
    # Seen as unsigned, a negative coordinate is too large: one comparison finds both.
    x, y = (np.ascontiguousarray(block.events[name]).view(np.uint16) for name in "xy")
    if x.max() < sensor_size[0] and y.max() < sensor_size[1]:
        return block
    off = (x >= sensor_size[0]) | (y >= sensor_size[1])
    k, n = int(np.argmax(off)), int(off.sum())
    event = block.events[k]
    reason = f"an event at x={event['x']}, y={event['y']} lies off the sensor of size {sensor_size}"
    log.damage(block.locate(k), reason, n_events=n, times=n)
    return block._replace(events=block.events[~off])
