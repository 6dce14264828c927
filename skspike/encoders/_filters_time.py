"""Filters that look at the time since an earlier event of a pixel: specification or compiled."""

from __future__ import annotations

import numpy as np
from joblib import effective_n_jobs

from .._config import get_config
from .._events import EventCollection
from ._filters_base import Block, EventFilter, blocks


class TimeFilter(EventFilter):
    """Base of the filters that walk through time.

    A subclass writes `_keep_recording`, the specification, and names its compiled `_walk`.
    """

    _walk: str
    _whole = True

    def _keep_recording(self, events: np.ndarray) -> np.ndarray:
        """Return a mask of the events of one recording, in any order."""
        raise NotImplementedError

    def _reach(self) -> tuple[int, np.ndarray, int]:
        """Return the margin around the sensor, the (dx, dy) of neighbours, and the duration."""
        raise NotImplementedError

    def _keep_block(self, events: np.ndarray, recordings: Block, context) -> np.ndarray:
        ends = np.cumsum(recordings.lengths)
        return np.concatenate([self._keep_recording(r) for r in np.split(events, ends[:-1])])

    def _mark(self, X: EventCollection, keep: np.ndarray, context) -> None:
        if get_config()["backend"] == "reference":
            super()._mark(X, keep, context)
            return
        declined = np.flatnonzero(~self._mark_compiled(X, keep))
        if declined.size:
            shown = np.concatenate([[0], np.cumsum(X.lengths)])
            self._mark_sorted(X[declined], declined, keep, shown)

    def _mark_compiled(self, X: EventCollection, keep: np.ndarray) -> np.ndarray:
        """Fill in the mask where recordings are in order; return which ones are."""
        from ._filters_numba import mark_collection

        margin, neighbors, duration = self._reach()
        distances = neighbors @ np.array([1, self.sensor_size_[0] + 2 * margin])
        size, n_threads = self.sensor_size_, effective_n_jobs(self.n_jobs)
        return mark_collection(self._walk, X, keep, size, margin, distances, duration, n_threads)

    def _mark_sorted(self, X: EventCollection, numbers, keep: np.ndarray, shown) -> None:
        """Fill in the mask of recordings that are out of order or off the sensor."""
        for block in blocks(X):
            self._check_on_sensor(X.events[block.stored], block, numbers)
        orders = [np.argsort(recording["t"], kind="stable") for recording in X]
        events = np.concatenate(
            [recording[order] for recording, order in zip(X, orders, strict=True)]
        )
        offsets = np.concatenate([[0], np.cumsum(X.lengths)])
        mask = np.ones(len(events), bool)
        self._mark_compiled(X._from_parts(events, offsets, np.arange(len(X)), X.sensor_size), mask)
        for i, order, start, stop in zip(numbers, orders, offsets[:-1], offsets[1:], strict=True):
            keep[shown[i] : shown[i + 1]][order] = mask[start:stop]
