"""The specification of EVT 2.0, 2.1 and 3.0 in plain Python: word after word, event after event.

Each function reads `words` from number `first` on, until the next word might not find room in
`events`; it returns the number of the word to go on with, and how many events were found. `state`
goes from call to call; `faults` counts what cannot be decoded.
"""

from __future__ import annotations

import numpy as np

# What a decoder remembers from word to word, as positions in an int64 array; -1: not yet known.
HIGH, LOW, WRAPS, ROW, BASE, ON = range(6)
# What it reports: words of a type that is reserved and events that reach over the last column,
# with the first word of each, and events that come before their time or row is known.
RESERVED, FIRST_RESERVED, BEYOND, FIRST_BEYOND, EARLY = range(5)

N_COLUMNS = 2048  # what 11 bits of an address can tell apart


def new_state() -> np.ndarray:
    """Return what is known before the first word: nothing."""
    return np.array([-1, 0, 0, -1, -1, 0], np.int64)


def new_faults() -> np.ndarray:
    """Return a report without faults."""
    return np.zeros(5, np.int64)


class _Stream:
    """The events found so far, and what has been learnt for the next ones."""

    def __init__(self, first: int, state: np.ndarray, events: np.ndarray, faults: np.ndarray):
        self.word, self.n = first, 0
        self.state, self.events, self.faults = state, events, faults

    def set_time_high(self, high: int, bits: int) -> None:
        """Take the upper part of the time; a fall by more than half its range is a wrap-around."""
        known = int(self.state[HIGH])
        if known >= high + 2 ** (bits - 1):
            self.state[WRAPS] += 1
        if known != high:
            self.state[LOW] = 0
        self.state[HIGH] = high

    def time(self, high_bits: int, low_bits: int, low: int) -> int:
        """Return the time in µs from its three parts."""
        turns = (int(self.state[WRAPS]) << high_bits) + int(self.state[HIGH])
        return (turns << low_bits) + low

    def emit(self, x: int, y: int, t: int, on: int) -> None:
        """Add an event if the sensor can have its column, and if its time and row are known."""
        if self.state[HIGH] < 0 or x < 0 or y < 0:
            self.faults[EARLY] += 1
        elif x >= N_COLUMNS:
            self.fault(BEYOND, FIRST_BEYOND)
        else:
            self.events[self.n] = (x, y, t, on)
            self.n += 1

    def fault(self, count: int, first: int) -> None:
        """Count a fault, and remember the word of the first."""
        if not self.faults[count]:
            self.faults[first] = self.word
        self.faults[count] += 1


def decode_evt3(words, first, state, events, faults):
    """Decode 16-bit words: four bits of type, twelve of content; 12 + 12 bits of time."""
    stream = _Stream(first, state, events, faults)
    while stream.word < len(words) and stream.n + 12 <= len(events):
        word = int(words[stream.word])
        kind, content = word >> 12, word & 0xFFF
        time = stream.time(12, 12, int(state[LOW]))
        if kind == 0x0:  # row
            state[ROW] = content & 0x7FF
        elif kind == 0x2:  # one event
            stream.emit(content & 0x7FF, int(state[ROW]), time, content >> 11)
        elif kind == 0x3:  # column and polarity of the events that follow
            state[BASE], state[ON] = content & 0x7FF, content >> 11
        elif kind in (0x4, 0x5):  # a mask of 12 or 8 neighbours in a row
            width = 12 if kind == 0x4 else 8
            for j in range(width):
                if content >> j & 1:
                    x = state[BASE] + j if state[BASE] >= 0 else -1
                    stream.emit(int(x), int(state[ROW]), time, int(state[ON]))
            if state[BASE] >= 0:
                state[BASE] = min(state[BASE] + width, N_COLUMNS)
        elif kind == 0x6:
            state[LOW] = content
        elif kind == 0x8:
            stream.set_time_high(content, 12)
        elif kind not in (0x7, 0xA, 0xE, 0xF):  # triggers, monitoring and what continues them
            stream.fault(RESERVED, FIRST_RESERVED)
        stream.word += 1
    return stream.word, stream.n


def decode_evt2(words, first, state, events, faults):
    """Decode 32-bit words: four bits of type, six of time, 11 of column, 11 of row."""
    stream = _Stream(first, state, events, faults)
    while stream.word < len(words) and stream.n + 1 <= len(events):
        word = int(words[stream.word])
        kind = word >> 28
        if kind in (0x0, 0x1):
            time = stream.time(28, 6, word >> 22 & 0x3F)
            stream.emit(word >> 11 & 0x7FF, word & 0x7FF, time, kind)
        elif kind == 0x8:
            stream.set_time_high(word & 0xFFFFFFF, 28)
        elif kind not in (0xA, 0xD, 0xE, 0xF):  # triggers, motion, monitoring, what continues them
            stream.fault(RESERVED, FIRST_RESERVED)
        stream.word += 1
    return stream.word, stream.n


def decode_evt21(words, first, state, events, faults):
    """Decode 64-bit words: as in EVT 2.0, over 32 bits that say which neighbours have an event."""
    stream = _Stream(first, state, events, faults)
    while stream.word < len(words) and stream.n + 32 <= len(events):
        word = int(words[stream.word])
        kind = word >> 60
        if kind in (0x0, 0x1):
            time = stream.time(28, 6, word >> 54 & 0x3F)
            for j in range(32):
                if word >> j & 1:
                    stream.emit((word >> 43 & 0x7FF) + j, word >> 32 & 0x7FF, time, kind)
        elif kind == 0x8:
            stream.set_time_high(word >> 32 & 0xFFFFFFF, 28)
        elif kind not in (0xA, 0xE, 0xF):
            stream.fault(RESERVED, FIRST_RESERVED)
        stream.word += 1
    return stream.word, stream.n
