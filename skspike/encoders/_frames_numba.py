"""Frames at the speed of memory: one pass over the events, straight into the output array.

A recording that this code cannot encode exactly (events out of order or off the sensor, a count
too large for the dtype) is declined, and left to the specification in ``_frames_reference``.
"""

from __future__ import annotations

import numpy as np

from .._compile_numba import specialize
from .._event_columns import MAX_TIME
from .._events import EventCollection
from .._threads import parallel_for
from ._frames_reference import FramePlan

_ALL_TIME = (-MAX_TIME, MAX_TIME + 1)
dtype = np.float32  # of the frames; bound by `specialize`
_GRAIN = 100_000  # events and pixels; below this a thread costs more than it saves


def encode_collection(
    X: EventCollection, plan: FramePlan, frames: np.ndarray, limit: int, n_threads: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fill zeroed frames; return which recordings are done, and their events outside the window.

    `limit` is the largest count that the dtype of the frames holds exactly.
    """
    done = np.zeros(len(X), bool)
    outside = np.zeros((len(X), 2), np.int64)
    row, column = (np.arange(side) // plan.downsample for side in reversed(plan.sensor_size))
    t_start, t_stop = plan.window or _ALL_TIME
    options = (plan.by_time, plan.window is not None, plan.values == "signed")
    kernel = specialize(
        encode_block, _encode=_encode, _add=_add, _bin_end=_bin_end, dtype=frames.dtype.type
    )
    arguments = (X.events, *X.bounds(), t_start, t_stop, *options, plan.values == "binary")
    arguments += (row, column, frames.dtype.type(limit), frames, done, outside)
    parallel_for(
        lambda first, last: kernel(first, last, *arguments),
        len(X),
        grain=1 + _GRAIN * len(X) // (X.n_events + frames.size + 1),
        n_threads=n_threads,
    )
    return done, outside[:, 0], outside[:, 1]


def encode_block(
    first, last, events, starts, stops, t_start, t_stop, by_time, fixed, signed, binary,
    row, column, limit, frames, done, outside,
):  # fmt: skip
    """Encode the recordings from `first` to `last` - 1."""
    for i in range(first, last):
        done[i] = _encode(
            events[starts[i] : stops[i]], t_start, t_stop, by_time, fixed, signed, binary,
            row, column, limit, frames[i], outside[i],
        )  # fmt: skip


def _encode(
    events, t_start, t_stop, by_time, fixed, signed, binary, row, column, limit, frame, outside
):
    """Encode one recording; return whether that was possible."""
    t = events["t"]
    for k in range(1, len(t)):
        if t[k] < t[k - 1]:
            return False
    low, high = 0, len(t)
    while low < high and t[low] < t_start:
        low += 1
    while low < high and t[high - 1] >= t_stop:
        high -= 1
    outside[0], outside[1] = low, len(t) - high
    if low == high:
        return True
    if not fixed:
        t_start, t_stop = t[low], t[high - 1] + 1
    begin = low
    for b in range(len(frame)):
        end = _bin_end(t, b + 1, len(frame), low, high, begin, t_start, t_stop, by_time)
        if not _add(events[begin:end], signed, binary, row, column, limit, frame[b]):
            return False
        begin = end
    return True


def _bin_end(t, b, n_bins, low, high, begin, t_start, t_stop, by_time):
    """Return the index of the first event after the first `b` bins."""
    if not by_time:
        return low + (b * (high - low) + n_bins - 1) // n_bins
    quotient, remainder = (t_stop - t_start) // n_bins, (t_stop - t_start) % n_bins
    edge = t_start + b * quotient + (b * remainder + n_bins - 1) // n_bins  # b * span may overflow
    end = begin
    while end < high and t[end] < edge:
        end += 1
    return end


def _add(events, signed, binary, row, column, limit, image):
    """Add events to the image of one bin, of shape (n_polarities, height, width)."""
    x, y, p = events["x"], events["y"], events["p"]
    for k in range(len(events)):
        if not (0 <= x[k] < len(column) and 0 <= y[k] < len(row)):
            return False
        channel = 1 if p[k] and len(image) == 2 else 0
        r, c = row[y[k]], column[x[k]]
        value = image[channel, r, c]
        if binary:
            image[channel, r, c] = dtype(1)
        elif signed and not p[k]:
            if value == -limit:
                return False
            image[channel, r, c] = value - dtype(1)
        else:
            if value == limit:
                return False
            image[channel, r, c] = value + dtype(1)
    return True
