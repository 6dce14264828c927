"""The text that write_events writes: a first line about the file, a header, rows of integers.

Any order of events is right here, and so are recordings without events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .._event_columns import EVENT_DTYPE
from ._columns import pack_block
from ._format import Block, EventFormat
from ._log import DecodeLog
from ._text import Layout, read_rows

_MARK = b"# skspike events,"
_COLUMNS = ("x", "y", "t", "p")
_MANY = 2**20  # empty recordings, of which a file holds nothing but their number
_FACTS = re.compile(r"# skspike events, width=(\d+), height=(\d+), recordings=(\d+), events=(\d+)")


def _sniff(head: bytes, path: Path) -> bool:
    return head.startswith(_MARK)


def _decode(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode recordings, and compare their number and that of events with the first line."""
    log.has_lines = True
    with open(path, "rb") as file:
        first, second = (file.readline(256).decode("latin-1").rstrip() for _ in range(2))
        facts = _FACTS.fullmatch(first)
        if facts is None:
            log.damage(0, f"its first line is {first!r}", n_bytes=path.stat().st_size)
            return
        width, height, n_recordings, n_events = map(int, facts.groups())
        if not (1 <= width <= 2**15 and 1 <= height <= 2**15):
            log.damage(0, f"its sensor is of size {(width, height)}")
        else:
            log.sensor_size = (width, height)
        if n_recordings > _MANY + path.stat().st_size:
            log.damage(0, f"it claims {n_recordings} recordings", n_bytes=path.stat().st_size)
            return
        single = n_recordings == 1
        names = _COLUMNS if single else ("recording", *_COLUMNS)
        if tuple(second.split(",")) != names:
            log.damage(len(first) + 1, f"its header is {second!r}, not {','.join(names)!r}")
        layout = Layout(file.tell(), names)
        n, recording = 0, 0
        for rows, places in read_rows(file, layout, log, chunk):
            n += len(rows)
            numbers = np.zeros(len(rows)) if single else rows[:, 0]
            columns = rows[:, len(names) - 4 :]
            for i, j in _runs(numbers):
                number = numbers[i]
                if not recording <= number < n_recordings or number != int(number):
                    reason = f"recording {number:g} does not follow recording {recording}"
                    log.damage(int(places[i]), reason, n_events=j - i)
                    continue
                recording = int(number)
                part = dict(zip(_COLUMNS, columns[i:j].T, strict=True))
                yield pack_block(log, part, lambda k, at=places[i:]: int(at[k]), recording)
        if n != n_events:
            reason = f"its first line promises {n_events} events, and it has {n}"
            log.damage(None, reason, n_events=max(n_events - n, 0))
    if n_recordings:
        yield Block(np.empty(0, EVENT_DTYPE), lambda k: None, n_recordings - 1)


def _runs(numbers: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the bounds of runs of equal numbers."""
    if len(numbers):
        cuts = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
        yield from zip([0, *cuts.tolist()], [*cuts.tolist(), len(numbers)], strict=True)


FORMAT = EventFormat("csv", _sniff, _decode, ordered=False, may_be_empty=True)
