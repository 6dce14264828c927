"""Filters that walk through time, compiled: one pass, with a time remembered for each pixel.

A recording out of order or off the sensor is declined. Where a filter forgets after a while,
threads share a long recording: a piece of it begins with the events that are still remembered.
"""

from __future__ import annotations

import numpy as np

from .._compile_numba import specialize
from .._event_columns import MAX_TIME
from .._events import EventCollection
from .._threads import CHUNKS_PER_THREAD, parallel_for
from ._bins_numba import by_recording
from ._filters_base import cut_into

never = -2 * MAX_TIME  # further back than any duration reaches; bound by `specialize`
_GRAIN = 50_000  # events; below this a thread costs more than it saves


def mark_collection(
    name: str,
    X: EventCollection,
    keep: np.ndarray,
    sensor_size: tuple[int, int],
    margin: int,
    neighbors: np.ndarray,
    duration: int,
    n_threads: int,
) -> np.ndarray:
    """Fill in the mask of the events of all recordings; return which recordings are done.

    The memory of the pixels has a margin on each side, and `neighbors` are distances in it.
    """
    shown = np.concatenate([[0], np.cumsum(X.lengths)])
    pieces = _cut(X, duration, n_threads if name in _FORGETFUL else 1)
    fits = np.ones(len(pieces[0]), bool)
    kernel = specialize(mark_block, _walk=_WALKS[name], _spot=_spot, never=never)
    size = (*sensor_size, margin)
    arguments = (*pieces, X.events, *X.bounds(), shown, *size, neighbors, duration, keep, fits)
    parallel_for(
        lambda first, last: kernel(first, last, *arguments),
        len(fits),
        grain=1 + _GRAIN * len(fits) // (X.n_events + 1),
        n_threads=n_threads,
    )
    done = np.ones(len(X), bool)
    np.logical_and.at(done, pieces[0], fits)
    return done


def _cut(X: EventCollection, duration: int, n_threads: int) -> tuple[np.ndarray, ...]:
    """Return of each piece its recording, its first event and the one after its last.

    A recording is cut if there are too few for all threads, into pieces that last longer than what
    is remembered.
    """
    n = np.ones(len(X), np.int64)
    if n_threads > 1 and not by_recording(X, n_threads):
        starts, stops = X.bounds()
        t = X.events["t"]
        long = np.flatnonzero(X.lengths >= 2 * _GRAIN)
        lasts = t[stops[long] - 1] - t[starts[long]]
        most = np.minimum(X.lengths[long] // _GRAIN, CHUNKS_PER_THREAD * n_threads)
        n[long] = np.clip(lasts // duration, 1, most)
    return cut_into(n, X.lengths)


def mark_block(
    first, last, owners, begins, ends, events, starts, stops, shown, width, height, margin,
    neighbors, duration, keep, fits,
):  # fmt: skip
    """Mark the events of the pieces from `first` to `last` - 1."""
    row = width + 2 * margin
    memory = np.full((height + 2 * margin) * row, never)
    sensor = (width, height, row, margin * row + margin)
    for piece in range(first, last):
        i, begin, end = owners[piece], begins[piece], ends[piece]
        recording = events[starts[i] : stops[i]]
        t, warm, stop = recording["t"], begin, end
        while 0 < warm < len(t) and t[warm - 1] > t[begin] - duration:
            warm -= 1
        while 0 < stop < len(t) and t[stop] == t[stop - 1]:
            stop += 1
        near = recording[warm:stop]
        marks = keep[shown[i] + begin : shown[i] + end]
        fits[piece] = _walk(near, begin - warm, sensor, neighbors, duration, memory, marks)
        if not fits[piece]:
            marks[:] = True
        if len(near) > len(memory) or not fits[piece]:
            memory[:] = never
        else:
            for k in range(len(near)):
                memory[_spot(near[k], sensor)] = never


def _spot(event, sensor):
    """Return where the memory of an event's pixel is, or -1 if it is off the sensor."""
    width, height, row, origin = sensor
    x, y = event["x"], event["y"]
    return origin + y * row + x if 0 <= x < width and 0 <= y < height else -1


def _denoise(events, begin, sensor, neighbors, duration, memory, keep):
    """Keep an event if a neighbour has fired less than `duration` before it, or with it."""
    t, ahead = events["t"], 0
    nearest = min(8, len(neighbors))
    for k in range(begin, begin + len(keep)):
        # events of one time see each other, whatever their order
        while ahead <= k or (ahead < len(t) and t[ahead] == t[k]):
            spot = _spot(events[ahead], sensor)
            if spot < 0 or t[ahead] < t[max(ahead - 1, 0)]:
                return False
            memory[spot] = t[ahead]
            ahead += 1
        spot, latest = _spot(events[k], sensor), never
        for j in range(nearest):  # without a branch that nobody can predict
            latest = max(latest, memory[spot + neighbors[j]])
        for j in range(nearest, len(neighbors)):
            if t[k] - latest < duration:
                break
            latest = max(latest, memory[spot + neighbors[j]])
        keep[k - begin] = t[k] - latest < duration
    return True


def _refractory(events, begin, sensor, neighbors, duration, memory, keep):
    """Keep an event if its pixel's last kept one is at least `duration` back."""
    t = events["t"]
    for k in range(len(keep)):  # of a whole recording: what was kept depends on all before
        spot = _spot(events[k], sensor)
        if spot < 0 or t[k] < t[max(k - 1, 0)]:
            return False
        keep[k] = t[k] - memory[spot] >= duration
        if keep[k]:
            memory[spot] = t[k]
    return True


_walk = _denoise  # bound by `specialize`
_WALKS = {"denoise": _denoise, "refractory": _refractory}
_FORGETFUL = {"denoise"}  # those that what is long past does not matter to
