"""What a reader fills without knowing how many events will come."""

from __future__ import annotations

import numpy as np

from .._event_columns import EVENT_DTYPE

_SMALLEST, _LARGEST = 2**12, 2**22  # events of a segment


def copy_events(source: np.ndarray, target: np.ndarray) -> None:
    """Copy events as bytes: field by field, as numpy does it, takes ten times as long."""
    target.view(np.uint8)[:] = np.ascontiguousarray(source).view(np.uint8)


class EventBuffer:
    """Events and the offsets of recordings, appended block by block.

    The events lie in segments until the end. Large segments go back to the system one by one while
    they are joined, so that there is never much more than one copy of the events.
    """

    def __init__(self, room: int = _SMALLEST) -> None:
        self._full: list[np.ndarray] = []
        self._last = np.empty(min(room, _LARGEST), EVENT_DTYPE)
        self._n_last = 0
        self._n = 0  # events in all segments
        self._offsets = [0]

    def append(self, events: np.ndarray) -> None:
        """Add events to the recording at the end."""
        self._n += len(events)
        while len(events):
            if self._n_last == len(self._last):
                self._grow()
            taken = events[: len(self._last) - self._n_last]
            copy_events(taken, self._last[self._n_last : self._n_last + len(taken)])
            self._n_last += len(taken)
            events = events[len(taken) :]

    def _grow(self) -> None:
        """Make room: double a small segment, begin another after a large one."""
        if self._n_last < _LARGEST:
            grown = np.empty(2 * len(self._last), EVENT_DTYPE)
            copy_events(self._last, grown[: self._n_last])
            self._last = grown
        else:
            self._full.append(self._last)
            self._last, self._n_last = np.empty(_LARGEST, EVENT_DTYPE), 0

    def __len__(self) -> int:
        """Return the number of events."""
        return self._n

    def end_recording(self) -> None:
        """Begin another recording."""
        self._offsets.append(self._n)

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the events and the offsets of all complete recordings; the buffer is used up."""
        offsets = np.array(self._offsets, np.int64)
        segments = [*self._full, self._last[: self._n_last]]
        del self._full, self._last
        if len(segments) == 1:
            return segments[0], offsets
        events = np.empty(self._n, EVENT_DTYPE)
        start = 0
        for i, segment in enumerate(segments):
            copy_events(segment, events[start : start + len(segment)])
            start += len(segment)
            segments[i] = None
        return events, offsets
