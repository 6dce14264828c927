"""From columns of any numeric type, as containers hold them, to a block of events."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._event_columns import EVENT_DTYPE, MAX_TIME
from ._format import Block
from ._log import DecodeLog

_MAX_SIDE = 2**15  # x and y are int16
_EXACT = 2**53  # beyond it a float is no longer the whole number that somebody wrote
_WHAT = {
    "x": "a column of the sensor",
    "y": "a row of the sensor",
    "t": "a time in whole microseconds",
    "p": "a polarity",
}


def pack_block(
    log: DecodeLog,
    columns: dict[str, np.ndarray],
    locate: Callable[[int], int | None],
    recording: int = 0,
) -> Block:
    """Return the block of columns x, y, t (µs) and p (bools, 0 and 1, -1 and 1) of any dtype.

    Events with a value that no event can have (NaN, a fraction, out of range) are a damage, and
    left out.
    """
    good = np.ones(len(columns["t"]), bool)
    for name, column in columns.items():
        wrong = good & ~_valid(name, column)
        if wrong.any():
            k, n = int(np.argmax(wrong)), int(wrong.sum())
            reason = f"{column[k].item()!r} is not {_WHAT[name]}"
            log.damage(locate(k), reason, n_events=n, times=n)
            good &= ~wrong
    kept = None if good.all() else np.flatnonzero(good)
    events = np.empty(len(good) if kept is None else len(kept), EVENT_DTYPE)
    for name in ("x", "y", "t"):
        events[name] = columns[name] if kept is None else columns[name][kept]
    events["p"] = (columns["p"] if kept is None else columns["p"][kept]) > 0
    if kept is None:
        return Block(events, locate, recording)
    return Block(events, lambda k: locate(int(kept[k])), recording)


def _valid(name: str, column: np.ndarray) -> np.ndarray:
    """Tell which values can be those of an event; NaN fails every comparison."""
    if name == "p":
        return (column == 0) | (column == 1) | (column == -1)
    low, high = (-MAX_TIME, MAX_TIME) if name == "t" else (0, _MAX_SIDE - 1)
    # A column is compared in its own type: an int64 bound would make uint64 a float.
    if column.dtype.kind == "u":
        return column <= np.array(min(high, np.iinfo(column.dtype).max), column.dtype)
    if column.dtype.kind == "f":
        low, high = max(low, -_EXACT), min(high, _EXACT)
        return (column >= low) & (column <= high) & (column == np.trunc(column))
    return (column >= low) & (column <= high)
