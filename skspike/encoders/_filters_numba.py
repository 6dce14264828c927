"""Filters that walk through time, compiled: one pass, with a time remembered for each pixel.

A recording out of order or off the sensor is declined, before any of its events is looked up.
"""

from __future__ import annotations

import numpy as np

from .._compile_numba import specialize
from .._event_columns import MAX_TIME
from .._events import EventCollection
from .._threads import parallel_for

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
    done = np.zeros(len(X), bool)
    shown = np.concatenate([[0], np.cumsum(X.lengths)])
    kernel = specialize(mark_block, _walk=_WALKS[name], never=never)
    size = (*sensor_size, margin)
    arguments = (X.events, *X.bounds(), shown, *size, neighbors, duration, keep, done)
    parallel_for(
        lambda first, last: kernel(first, last, *arguments),
        len(X),
        grain=1 + _GRAIN * len(X) // (X.n_events + 1),
        n_threads=n_threads,
    )
    return done


def mark_block(
    first, last, events, starts, stops, shown, width, height, margin, neighbors, duration,
    keep, done,
):  # fmt: skip
    """Mark the events of the recordings from `first` to `last` - 1."""
    row = width + 2 * margin
    memory = np.full((height + 2 * margin) * row, never)
    origin = margin * row + margin
    for i in range(first, last):
        t = events["t"][starts[i] : stops[i]]
        x = events["x"][starts[i] : stops[i]]
        y = events["y"][starts[i] : stops[i]]
        fits = True
        for k in range(len(t)):
            late = k == 0 or t[k] >= t[k - 1]
            fits = fits and late and 0 <= x[k] < width and 0 <= y[k] < height
        done[i] = fits
        if not fits:
            continue
        _walk(x, y, t, row, origin, neighbors, duration, memory, keep[shown[i] : shown[i + 1]])
        if len(t) > len(memory):
            memory[:] = never
        else:
            for k in range(len(t)):
                memory[origin + y[k] * row + x[k]] = never


def _denoise(x, y, t, row, origin, neighbors, duration, memory, keep):
    """Keep an event if a neighbour has fired less than `duration` before it, or with it."""
    ahead = 0
    nearest = min(8, len(neighbors))
    for k in range(len(t)):
        if ahead == k:  # events of one time see each other, whatever their order
            while ahead < len(t) and t[ahead] == t[k]:
                memory[origin + y[ahead] * row + x[ahead]] = t[ahead]
                ahead += 1
        place = origin + y[k] * row + x[k]
        latest = never
        for j in range(nearest):  # without a branch that nobody can predict
            latest = max(latest, memory[place + neighbors[j]])
        for j in range(nearest, len(neighbors)):
            if t[k] - latest < duration:
                break
            latest = max(latest, memory[place + neighbors[j]])
        keep[k] = t[k] - latest < duration


def _refractory(x, y, t, row, origin, neighbors, duration, memory, keep):
    """Keep an event if its pixel's last kept one is at least `duration` back."""
    for k in range(len(t)):
        place = origin + y[k] * row + x[k]
        keep[k] = t[k] - memory[place] >= duration
        if keep[k]:
            memory[place] = t[k]


_walk = _denoise  # bound by `specialize`
_WALKS = {"denoise": _denoise, "refractory": _refractory}
