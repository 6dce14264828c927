"""Bins at the speed of memory: one pass over the events, each bin straight into the output.

A recording that this code cannot encode exactly (events out of order or off the sensor, a count
too large for the dtype) is declined. The bins of all recordings are shared among threads, so that
a single long recording has work for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._compile_numba import specialize
from .._events import EventCollection
from .._threads import parallel_for
from ._bins import Bins

GRAIN = 100_000  # events and values; below this a thread costs more than it saves
_BLOCK = 2048  # events that are checked, and then added while they are in the cache
_SCRATCH = 2**18  # bytes of output that stay in the cache while events are added all over it


class Edges(NamedTuple):
    """Where the bins of all recordings lie."""

    edges: np.ndarray  # (n, n_bins + 1): bin b of a recording is its events [b] to [b + 1]
    limits: np.ndarray  # (n, 2): the window [start, stop) of each recording in µs


def find_edges(X: EventCollection, bins: Bins, lost: np.ndarray, n_threads: int) -> Edges:
    """Divide all recordings, taking them to be in order of time; fill in the events lost."""
    edges = np.empty((len(X), bins.n + 1), np.int64)
    limits = np.empty((len(X), 2), np.int64)
    limits[:] = bins.window or (0, 1)
    how = (bins.by_time, bins.window is not None, bins.closed, bins.size or 0, bins.keep_last)
    share(
        _find_all,
        len(X),
        (X.events, *X.bounds(), *how, edges, limits, lost),
        work=100 * edges.size,  # each is looked for in memory that is not in the cache
        n_threads=n_threads,
    )
    return Edges(edges, limits)


def pixel_numbers(sensor_size: tuple[int, int], downsample: int = 1) -> tuple:
    """Return what a row and a column of the sensor add to the number of a pixel of an image.

    They are unsigned, because compiled code asks of every signed index whether it is negative.
    """
    row, column = (np.arange(side, dtype=np.uint64) // downsample for side in sensor_size[::-1])
    return row * (column[-1] + 1), column


def by_recording(X: EventCollection, n_threads: int) -> bool:
    """Tell whether there are recordings enough that a thread takes whole ones."""
    return len(X) >= 4 * n_threads


def fill_bins(
    X: EventCollection,
    edges: np.ndarray,
    sensor_size: tuple[int, int],
    encoded: np.ndarray,
    arguments: tuple,
    *,
    open_bin: Callable,
    add: Callable,
    close_bin: Callable,
    n_threads: int,
    n_phases: int = 1,
    dtype: type,
    **constants: object,
) -> np.ndarray:
    """Show every bin's events to the three templates; return which recordings could be encoded.

    ``open_bin(output, i, b, arguments)`` returns what ``add(events, opened, arguments)`` adds to, a
    block of events at a time, until it returns False; ``close_bin(opened, output, i, b,
    arguments)`` ends a bin. `output` has the shape of ``encoded[i]``: it is that, or memory that is
    in the cache and copied there. Bins that must not be filled at the same time belong to different
    phases: bin b to phase ``b % n_phases``. A thread that takes whole recordings fills their bins
    one after the other. The types of `arguments` must follow from the dtype of `encoded`; the
    templates find `dtype` and `constants` under these names.
    """
    done = np.ones(len(X), bool)
    n_bins = edges.shape[1] - 1
    whole = by_recording(X, n_threads)
    in_cache = whole and encoded.nbytes <= _SCRATCH * len(X)
    if not whole:
        encoded[:] = 0
    phases = [np.arange(phase, n_bins, n_phases) for phase in range(min(n_phases, n_bins))]
    for bins in [np.concatenate(phases)] if whole else phases:
        unit = len(bins) if whole else 1
        share(
            _visit,
            len(X) * len(bins) // max(unit, 1),
            (bins, unit, X.events, *X.bounds(), edges, *sensor_size, done, encoded, whole, in_cache,
             arguments),
            work=X.n_events + encoded.size,
            n_threads=n_threads,
            _fill=_fill,
            _open_bin=open_bin,
            _add=add,
            _close_bin=close_bin,
            dtype=dtype,
            real=encoded.dtype.type,
            **constants,
        )  # fmt: skip
    return done


def share(
    template: Callable,
    n_items: int,
    arguments: tuple,
    *,
    work: int,
    n_threads: int,
    **constants: object,
) -> None:
    """Run ``template(first, last, *arguments)`` on all items, in threads if there is work enough.

    `work` is the number of events and values; the types of `arguments` must follow from
    `constants`.
    """
    kernel = specialize(
        template, ordered=ordered, on_sensor=on_sensor, _first_at=_first_at, _find=_find,
        _BLOCK=_BLOCK, **constants,
    )  # fmt: skip
    parallel_for(
        lambda first, last: kernel(first, last, *arguments),
        n_items,
        grain=1 + GRAIN * n_items // (work + 1),
        n_threads=n_threads,
    )


def _find_all(
    first, last, events, starts, stops, by_time, fixed, closed, size, keep_last,
    edges, limits, lost,
):  # fmt: skip
    """Find the edges of the recordings from `first` to `last` - 1."""
    for i in range(first, last):
        t = events[starts[i] : stops[i]]["t"]
        _find(t, by_time, fixed, closed, size, keep_last, edges[i], limits[i], lost[i])


def _find(t, by_time, fixed, closed, size, keep_last, edges, limits, lost):
    """Find the edges of one recording."""
    n_bins = len(edges) - 1
    if not fixed and len(t) > 0:
        limits[0], limits[1] = t[0], t[-1] + 1
    start, stop = limits[0], limits[1]
    low = _first_at(t, start, 0, len(t)) if fixed else 0
    high = _first_at(t, stop, low, len(t)) if fixed else len(t)
    n = high - low
    span = max(stop - start - (1 if closed else 0), 1)
    quotient, remainder = span // n_bins, span % n_bins  # b * span may overflow
    edge = low
    for b in range(n_bins + 1):
        if by_time:
            if size == 0:
                begin = start + b * quotient + (b * remainder + n_bins - 1) // n_bins
                if b == n_bins:
                    begin = stop
            elif keep_last:
                begin = stop - (n_bins - b) * size
            else:
                begin = start + b * size
            edge = _first_at(t, begin, edge, high)
        elif size == 0:
            edge = low + (b * n + n_bins - 1) // n_bins
        elif keep_last:
            edge = low + max(n - (n_bins - b) * size, 0)
        else:
            edge = low + min(b * size, n)
        edges[b] = edge
    lost[0], lost[1], lost[2] = low, len(t) - high, n - (edges[n_bins] - edges[0])


def _first_at(t, time, low, high):
    """Return the index of the first event at `time` or later, by halving."""
    while low < high:
        middle = (low + high) // 2
        if t[middle] < time:
            low = middle + 1
        else:
            high = middle
    return low


def _visit(
    first, last, bins, unit, events, starts, stops, edges, width, height, done, encoded, whole,
    in_cache, arguments,
):  # fmt: skip
    """Fill `bins` of all recordings, counted in units, from number `first` to `last` - 1."""
    scratch = np.zeros_like(encoded[0]) if in_cache else encoded[0]
    for item in range(first, last):
        i = item * unit // len(bins)
        recording = events[starts[i] : stops[i]]
        output = scratch if in_cache else encoded[i]
        if whole and not in_cache:
            output[:] = 0
        for number in range(item * unit, (item + 1) * unit):
            b = bins[number % len(bins)]
            if done[i] and not _fill(recording, edges[i], output, i, b, width, height, arguments):
                done[i] = False
        if in_cache:
            values, target = output.reshape(-1), encoded[i].reshape(-1)
            for k in range(len(values)):
                target[k] = values[k]
                values[k] = 0


def _fill(recording, edges, output, i, b, width, height, arguments):
    """Fill a bin; return whether that could be done."""
    begin, end = edges[b], edges[b + 1]
    if b == 0 and not ordered(recording, 0, begin):
        return False
    if b == len(edges) - 2 and not ordered(recording, end, len(recording)):
        return False
    opened = _open_bin(output, i, b, arguments)
    while begin < end:
        until = min(begin + _BLOCK, end)
        if not ordered(recording, begin, until):
            return False
        if not on_sensor(recording[begin:until], width, height):
            return False
        if not _add(recording[begin:until], opened, arguments):
            return False
        begin = until
    _close_bin(opened, output, i, b, arguments)
    return True


def ordered(events, begin, end):
    """Tell whether no event from `begin` to `end` - 1 is earlier than the one before it."""
    t = events[max(begin - 1, 0) : end]["t"]
    falls = 0
    for k in range(1, len(t)):
        falls |= t[k] < t[k - 1]
    return falls == 0


def on_sensor(events, width, height):
    """Tell whether all events lie on the sensor."""
    x, y = events["x"], events["y"]
    last_x, last_y = np.uint16(width - 1), np.uint16(height - 1)
    off = 0
    for k in range(len(events)):  # as an unsigned number, one below 0 is large
        off |= (np.uint16(x[k]) > last_x) | (np.uint16(y[k]) > last_y)
    return off == 0


def _open_bin(output, i, b, arguments):  # bound by `fill_bins`
    raise NotImplementedError


def _add(events, opened, arguments):  # bound by `fill_bins`
    raise NotImplementedError


def _close_bin(opened, output, i, b, arguments):  # bound by `fill_bins`
    raise NotImplementedError
