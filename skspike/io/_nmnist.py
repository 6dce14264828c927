"""N-MNIST and N-Caltech101: 40 bits an event and no header (Orchard et al., 2015)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .._event_columns import EVENT_DTYPE
from ._format import Block, EventFormat, read_records
from ._log import DecodeLog

_SIZE = 5
_OVERFLOW_ROW = 240  # no event: time goes on by _OVERFLOW
_OVERFLOW = 2**13  # µs


def _sniff(head: bytes, path: Path) -> bool:
    """Go by the name: the format has no mark."""
    return path.suffix.lower() == ".bin"


def _decode(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode byte x, byte y, then polarity in the highest of 24 bits and µs in the others."""
    overflows = 0
    for offset, data in read_records(path, 0, _SIZE, log, chunk):
        x, y, high, middle, low = data.T
        events = np.empty(len(data), EVENT_DTYPE)
        events["x"], events["y"], events["p"] = x, y, high >> 7
        events["t"] = (high & 0x7F).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
        is_overflow = y == _OVERFLOW_ROW
        if not overflows and not is_overflow.any():
            yield Block(events, lambda k, offset=offset: offset + _SIZE * k)
            continue
        events["t"] += (overflows + np.cumsum(is_overflow)) * _OVERFLOW
        overflows += int(is_overflow.sum())
        kept = np.flatnonzero(~is_overflow)
        yield Block(events[kept], lambda k, offset=offset, kept=kept: offset + _SIZE * int(kept[k]))


FORMAT = EventFormat("nmnist", _sniff, _decode)
