"""EVT words to events at the speed of memory; ``_evt_reference`` is the specification.

What a word means depends on those before it, so that there is one pass with all the state in
registers. The bits of a mask are visited one by one, from the lowest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._compile_numba import specialize
from ._evt_reference import (
    BASE,
    BEYOND,
    EARLY,
    FIRST_BEYOND,
    FIRST_RESERVED,
    HIGH,
    LOW,
    N_COLUMNS,
    ON,
    RESERVED,
    ROW,
    WRAPS,
)

# Number of the only bit of a 32-bit word, by the upper five bits of its product with _DE_BRUIJN.
_DE_BRUIJN = 0x077CB531
_BIT = np.zeros(32, np.uint8)
for _j in range(32):
    _BIT[((1 << _j) * _DE_BRUIJN & 0xFFFFFFFF) >> 27] = _j


def compiled(template: Callable) -> Callable:
    """Compile a decoder of this module."""
    return specialize(template, _write_mask=_write_mask)


def _write_mask(mask, base, row, t, on, x, y, times, p, n, k, faults):
    """Write an event for each bit of a mask; return the number of events then."""
    while mask:
        lowest = mask & -mask
        mask ^= lowest
        column = base + _BIT[(lowest * _DE_BRUIJN & 0xFFFFFFFF) >> 27]
        if column < N_COLUMNS:
            x[n], y[n], times[n], p[n] = column, row, t, on
            n += 1
        else:
            if faults[BEYOND] == 0:
                faults[FIRST_BEYOND] = k
            faults[BEYOND] += 1
    return n


def decode_evt3(words, first, state, events, faults):
    """Decode 16-bit words: four bits of type, twelve of content; 12 + 12 bits of time."""
    x, y, times, p = events["x"], events["y"], events["t"], events["p"]
    high, low, wraps = state[HIGH], state[LOW], state[WRAPS]
    row, base, on = state[ROW], state[BASE], state[ON]
    t = (((wraps << 12) + high) << 12) + low
    room = len(events) - 12
    n, k = 0, first
    while k < len(words) and n <= room:
        word = np.int64(words[k])
        kind, content = word >> 12, word & 0xFFF
        if kind == 0x2:
            if row >= 0 and high >= 0:
                x[n], y[n], times[n], p[n] = content & 0x7FF, row, t, content >> 11
                n += 1
            else:
                faults[EARLY] += 1
        elif kind == 0x0:
            row = content & 0x7FF
        elif kind == 0x4 or kind == 0x5:
            mask = content if kind == 0x4 else content & 0xFF
            if base >= 0 and row >= 0 and high >= 0:
                n = _write_mask(mask, base, row, t, on, x, y, times, p, n, k, faults)
            else:
                while mask:
                    mask &= mask - 1
                    faults[EARLY] += 1
            if base >= 0:
                base = min(base + (12 if kind == 0x4 else 8), N_COLUMNS)
        elif kind == 0x3:
            base, on = content & 0x7FF, content >> 11
        elif kind == 0x6:
            low = content
            t = (((wraps << 12) + high) << 12) + low
        elif kind == 0x8:
            if high >= content + 2048:
                wraps += 1
            if high != content:
                low = np.int64(0)
            high = content
            t = (((wraps << 12) + high) << 12) + low
        elif kind != 0x7 and kind != 0xA and kind != 0xE and kind != 0xF:
            if faults[RESERVED] == 0:
                faults[FIRST_RESERVED] = k
            faults[RESERVED] += 1
        k += 1
    state[HIGH], state[LOW], state[WRAPS] = high, low, wraps
    state[ROW], state[BASE], state[ON] = row, base, on
    return k, n


def decode_evt2(words, first, state, events, faults):
    """Decode 32-bit words: four bits of type, six of time, 11 of column, 11 of row."""
    x, y, times, p = events["x"], events["y"], events["t"], events["p"]
    high, wraps = state[HIGH], state[WRAPS]
    t = ((wraps << 28) + high) << 6
    room = len(events) - 1
    n, k = 0, first
    while k < len(words) and n <= room:
        word = np.int64(words[k])
        kind = word >> 28
        if kind <= 0x1:
            if high >= 0:
                x[n], y[n] = word >> 11 & 0x7FF, word & 0x7FF
                times[n], p[n] = t + (word >> 22 & 0x3F), kind
                n += 1
            else:
                faults[EARLY] += 1
        elif kind == 0x8:
            content = word & 0xFFFFFFF
            if high >= content + 2**27:
                wraps += 1
            high = content
            t = ((wraps << 28) + high) << 6
        elif kind != 0xA and kind != 0xD and kind != 0xE and kind != 0xF:
            if faults[RESERVED] == 0:
                faults[FIRST_RESERVED] = k
            faults[RESERVED] += 1
        k += 1
    state[HIGH], state[WRAPS] = high, wraps
    return k, n


def decode_evt21(words, first, state, events, faults):
    """Decode 64-bit words: as in EVT 2.0, over 32 bits that say which neighbours have an event."""
    x, y, times, p = events["x"], events["y"], events["t"], events["p"]
    high, wraps = state[HIGH], state[WRAPS]
    t = ((wraps << 28) + high) << 6
    room = len(events) - 32
    n, k = 0, first
    while k < len(words) and n <= room:
        word = np.int64(words[k])  # the shift of a negative one fills in ones, which masks remove
        kind = word >> 60 & 0xF
        if kind <= 0x1:
            mask, low = word & 0xFFFFFFFF, word >> 54 & 0x3F
            column, row = word >> 43 & 0x7FF, word >> 32 & 0x7FF
            if high >= 0:
                n = _write_mask(mask, column, row, t + low, kind, x, y, times, p, n, k, faults)
            else:
                while mask:
                    mask &= mask - 1
                    faults[EARLY] += 1
        elif kind == 0x8:
            content = word >> 32 & 0xFFFFFFF
            if high >= content + 2**27:
                wraps += 1
            high = content
            t = ((wraps << 28) + high) << 6
        elif kind != 0xA and kind != 0xE and kind != 0xF:
            if faults[RESERVED] == 0:
                faults[FIRST_RESERVED] = k
            faults[RESERVED] += 1
        k += 1
    state[HIGH], state[WRAPS] = high, wraps
    return k, n
