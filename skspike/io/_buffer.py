"""A buffer of events that grows: what a reader fills without knowing how many will come."""

from __future__ import annotations

import numpy as np

from .._event_columns import EVENT_DTYPE

_SMALLEST = 2**12  # events


class EventBuffer:
    """Events and the offsets of recordings, appended block by block."""

    def __init__(self) -> None:
        self._events = np.empty(_SMALLEST, EVENT_DTYPE)
        self._n = 0
        self._offsets = [0]

    def append(self, events: np.ndarray) -> None:
        """Add events to the recording at the end."""
        n = self._n + len(events)
        if n > len(self._events):
            # Memory is moved by remapping pages, and pages never touched cost nothing.
            self._events.resize(max(n, 2 * len(self._events)), refcheck=False)
        self._events[self._n : n] = events
        self._n = n

    def end_recording(self) -> None:
        """Begin another recording."""
        self._offsets.append(self._n)

    @property
    def n_recordings(self) -> int:
        """The number of recordings that are complete."""
        return len(self._offsets) - 1

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the events and the offsets of all complete recordings; the buffer is used up."""
        events = self._events
        events.resize(self._n, refcheck=False)
        return events, np.array(self._offsets, np.int64)
