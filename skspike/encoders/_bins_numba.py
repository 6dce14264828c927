"""Bins at the speed of memory: one look at each event, which is checked and added at once.

A recording that this code cannot encode exactly (events out of order or off the sensor, a count
too large for the dtype) is declined. The bins of all recordings are shared among threads, so that
a single long recording has work for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._compile_numba import specialize
from .._events import EVENT_DTYPE, EventCollection
from .._threads import parallel_for
from ._bins import Bins

GRAIN = 100_000  # events and values; below this a thread costs more than it saves
_SIGNS = 0x80008000  # the signs of both coordinates
_COARSE = False  # whether a pixel of an image has several of the sensor; bound by `fill_bins`
IN_PLACE = False  # whether images are the output; bound by `fill_bins`

# Events as compiled code reads them: both coordinates at once.
PACKED = np.dtype(
    {
        "names": ["xy", "x", "y", "t", "p"],
        "formats": ["<u4", "<i2", "<i2", "<i8", "?"],
        "offsets": [0, 0, 2, 4, 12],
        "itemsize": EVENT_DTYPE.itemsize,
    }
)


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
    downsample: int = 1,
    brighter: int = 0,
    blank: float = 0,
    n_phases: int = 1,
    dtype: type,
    **constants: object,
) -> np.ndarray:
    """Show every bin's events to the three templates; return which recordings could be encoded.

    ``open_bin(image, after, i, b, arguments)`` is given the values of a bin and of the one after
    it, and returns what ``add(events, before, sensor, opened, arguments)`` adds to. That returns
    False at an event that is earlier than the one before (`before` is when the one before the first
    was), that `place_of` finds off the `sensor`, or that the image cannot hold. The pixels of
    brighter events are `brighter` further in an image. ``close_bin(opened, image, target, i, b,
    arguments)`` writes to the output, and leaves in the image what a later bin begins with.

    A thread that takes whole recordings fills their bins one after the other, in `n_phases` images
    that stay in the cache. Else images are the output itself (`IN_PLACE`), each bin begins with
    `blank`, and bins that must not be filled at the same time belong to different phases: bin b to
    phase ``b % n_phases``.

    `encoded` has the shape (n, n_bins, ...), and images are flat. The types of `arguments` must
    follow from its dtype; the templates find `dtype` and `constants` under these names.
    """
    encoded = encoded.reshape(*encoded.shape[:2], math.prod(encoded.shape[2:]))
    done = np.ones(len(X), bool)
    n_bins = edges.shape[1] - 1
    common = (X.events.view(PACKED), *X.bounds(), edges)
    blank = encoded.dtype.type(blank)
    sensor = _sensor(sensor_size, downsample, brighter)
    how = (sensor, done, encoded, n_phases, blank, arguments)
    options = {
        "work": X.n_events + encoded.size,
        "n_threads": n_threads,
        "_fill": _fill,
        "_open_bin": open_bin,
        "_add": add,
        "_close_bin": close_bin,
        "place_of": place_of,
        "_COARSE": downsample > 1,
        "dtype": dtype,
        "real": encoded.dtype.type,
        **constants,
    }
    if by_recording(X, n_threads):
        share(_visit_recordings, len(X), (*common, *how), IN_PLACE=False, **options)
        return done
    clear = {"work": encoded.size, "n_threads": n_threads, "real": encoded.dtype.type}
    share(_clear, len(X) * encoded.shape[1], (encoded, blank), **clear)
    for phase in range(min(n_phases, n_bins)):
        bins = np.arange(phase, n_bins, n_phases)
        share(_visit_bins, len(X) * len(bins), (bins, *common, *how), IN_PLACE=True, **options)
    return done


def _sensor(sensor_size: tuple[int, int], downsample: int, brighter: int) -> tuple:
    """Return what the pixels of events are checked and numbered with."""
    portion = -(-(2**32) // downsample)  # times a coordinate, its upper half is the quotient
    row = (sensor_size[0] - 1) // downsample + 1
    return _margins(*sensor_size), np.uint64(portion), np.uint32(row), np.uint32(brighter)


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
        _find_first=_find_first,
        _margins=_margins, _SIGNS=_SIGNS, **constants,
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
            edges[b] = begin
        elif size == 0:
            edges[b] = low + (b * n + n_bins - 1) // n_bins
        elif keep_last:
            edges[b] = low + max(n - (n_bins - b) * size, 0)
        else:
            edges[b] = low + min(b * size, n)
    if by_time:
        _find_first(t, low, high, edges)
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


def _find_first(t, low, high, times):
    """Replace times by the indices of the first events then or later.

    All steps of one width are taken before the next: a processor asks for many places of the memory
    at a time where none of them depends on another.
    """
    found = np.full(len(times), low)
    width = 1
    while width <= high - low:
        width *= 2
    while width > 1:
        width //= 2
        for b in range(len(times)):
            next_ = found[b] + width
            late = next_ <= high and t[min(next_, high) - 1] < times[b]
            found[b] += width if late else 0
    times[:] = found


def _clear(first, last, encoded, blank):
    """Fill the bins number `first` to `last` - 1 with a value."""
    n_bins = encoded.shape[1]
    for item in range(first, last):
        encoded[item // n_bins, item % n_bins] = blank


def _visit_recordings(
    first, last, events, starts, stops, edges, sensor, done, encoded, n_images, blank, arguments
):
    """Fill all bins of the recordings from `first` to `last` - 1."""
    images = np.empty((n_images, encoded.shape[2]), encoded.dtype)
    for i in range(first, last):
        recording = events[starts[i] : stops[i]]
        images[:] = blank
        for b in range(encoded.shape[1]):
            image, after = images[b % n_images], images[(b + 1) % n_images]
            if done[i] and not _fill(
                recording, edges[i], image, after, encoded[i, b], i, b, sensor, arguments
            ):
                done[i] = False


def _visit_bins(
    first, last, bins, events, starts, stops, edges, sensor, done, encoded, n_images, blank,
    arguments,
):  # fmt: skip
    """Fill `bins` of all recordings, from number `first` to `last` - 1."""
    for item in range(first, last):
        i, b = item // len(bins), bins[item % len(bins)]
        image, after = encoded[i, b], encoded[i, min(b + 1, encoded.shape[1] - 1)]
        recording = events[starts[i] : stops[i]]
        if done[i] and not _fill(recording, edges[i], image, after, image, i, b, sensor, arguments):
            done[i] = False


def _fill(recording, edges, image, after, target, i, b, sensor, arguments):
    """Fill a bin; return whether that could be done."""
    n_bins = len(edges) - 1
    begin, end = edges[b], edges[min(b + 1, n_bins)]
    if b == 0 and not ordered(recording, 0, begin):
        return False
    if b == n_bins - 1 and not ordered(recording, end, len(recording)):
        return False
    opened = _open_bin(image, after, i, b, arguments)
    if begin < end:
        before = recording["t"][max(begin - 1, 0)]
        if not _add(recording[begin:end], before, sensor, opened, arguments):
            return False
    _close_bin(opened, image, target, i, b, arguments)
    return True


def place_of(both, brighter, sensor):
    """Return where an event's pixel is in an image, or -1 if it is off the sensor."""
    margins, portion, row, further = sensor
    if (both | (both + margins)) & np.uint32(_SIGNS) != 0:
        return np.int64(-1)
    x, y = both & np.uint32(0xFFFF), both >> np.uint32(16)
    if _COARSE:
        x = np.uint32((np.uint64(x) * portion) >> np.uint64(32))
        y = np.uint32((np.uint64(y) * portion) >> np.uint64(32))
    return np.int64(np.uint32(y * row + x + (further if brighter else np.uint32(0))))


def ordered(events, begin, end):
    """Tell whether no event from `begin` to `end` - 1 is earlier than the one before it."""
    t = events[max(begin - 1, 0) : end]["t"]
    falls = 0
    for k in range(1, len(t)):
        falls |= t[k] < t[k - 1]
    return falls == 0


def _margins(width, height):
    """Return what added to both coordinates reaches their signs where these are off the sensor."""
    return np.uint32((0x8000 - height) << 16 | (0x8000 - width))


def on_sensor(events, width, height):
    """Tell whether all events lie on the sensor."""
    xy, margins = events["xy"], _margins(width, height)
    off = np.uint32(0)
    for k in range(len(events)):
        off |= xy[k] | (xy[k] + margins)
    return (off & np.uint32(_SIGNS)) == 0


def hand_over(opened, image, target, i, b, arguments):
    """Move the values of a bin to the output."""
    if not IN_PLACE:
        for k in range(len(target)):
            target[k] = image[k]
            image[k] = 0


def _open_bin(image, after, i, b, arguments):  # bound by `fill_bins`
    raise NotImplementedError


def _add(events, before, sensor, opened, arguments):  # bound by `fill_bins`
    raise NotImplementedError


def _close_bin(opened, image, target, i, b, arguments):  # bound by `fill_bins`
    raise NotImplementedError
