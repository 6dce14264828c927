"""Time surfaces at the speed of memory: the templates of a bin, and what later bins inherit.

An image holds how long before the reading the last event of each pixel was, and grows older from
bin to bin where a thread has whole recordings. Else each bin is filled by itself, and a pixel
without an event takes the value of the bin before, decayed, when all bins are filled.
"""

from __future__ import annotations

import math

import numpy as np

from .._events import EventCollection
from .._floats_numba import multiply_add
from ._bins_numba import Edges, by_recording, fill_bins, find_edges, place_of, share
from ._time_surface_reference import SurfacePlan

dtype, _power, IN_PLACE = np.float32, None, False  # bound by `fill_bins`


def encode_collection(
    X: EventCollection, plan: SurfacePlan, surfaces: np.ndarray, lost: np.ndarray, n_threads: int
) -> np.ndarray:
    """Fill in surfaces and the losses; return which recordings are done."""
    found = find_edges(X, plan.bins, lost, n_threads)
    readings = _readings(X, plan, found)
    single = surfaces.dtype == np.float32
    done = fill_bins(
        X,
        found.edges,
        plan.sensor_size,
        surfaces,
        (readings, found.limits, surfaces.dtype.type(-1 / (math.log(2.0) * plan.tau))),
        open_bin=_open_surface,
        add=_add,
        close_bin=_close_surface,
        n_threads=n_threads,
        brighter=math.prod(plan.sensor_size),
        blank=np.inf,
        dtype=surfaces.dtype.type,
        _power=_power_single if single else _power_double,
    )
    if not by_recording(X, n_threads):
        rows = surfaces.reshape(len(X), plan.bins.n, -1, plan.sensor_size[0])
        left = np.exp(-np.diff(readings, axis=1) / plan.tau, dtype=np.float64)
        share(
            _inherit,
            len(X) * rows.shape[2],
            (rows, left.astype(surfaces.dtype)),
            work=rows.size,
            n_threads=n_threads,
            real=surfaces.dtype.type,
        )
    return done


def _readings(X: EventCollection, plan: SurfacePlan, found: Edges) -> np.ndarray:
    """Return the times at which the surfaces are read, in µs from the start of the window."""
    edges, limits = found
    if plan.bins.by_time:
        return np.diff(limits) * np.arange(1, plan.bins.n + 1) / plan.bins.n
    if len(X.events) == 0:
        return np.zeros((len(X), plan.bins.n))
    starts, stops = X.bounds()
    last = starts[:, None] + np.maximum(edges[:, 1:] - 1, edges[:, :1])
    last = np.minimum(last, np.maximum(stops - 1, 0)[:, None])
    return (X.events["t"][last] - limits[:, :1]).astype(np.float64)


def _open_surface(image, after, i, b, arguments):
    """Return the image of a bin, and the last whole microsecond up to the reading."""
    readings, limits = arguments[:2]
    return image, limits[i, 0] + np.int64(math.floor(readings[i, b]))


def _add(events, before, sensor, opened, arguments):
    """Write how long before the reading events are."""
    image, reading = opened
    xy, t, p = events["xy"], events["t"], events["p"]
    for k in range(len(events)):
        place, time = place_of(xy[k], p[k], sensor), t[k]
        if place < 0 or time < before:
            return False
        before = time
        image[place] = dtype(reading - time)
    return True


def _close_surface(opened, image, surface, i, b, arguments):
    """Write the values of the surface, and let the image grow older."""
    readings, rate = arguments[0], arguments[2]
    reading, next_ = readings[i, b], readings[i, min(b + 1, readings.shape[1] - 1)]
    whole = math.floor(reading)
    rest, passes = dtype(reading - whole), dtype(math.floor(next_) - whole)
    if IN_PLACE:  # a loop over two names of one array would not vectorise
        for pixel in range(len(surface)):
            surface[pixel] = _power((surface[pixel] + rest) * rate)
    else:
        for pixel in range(len(surface)):
            age = image[pixel]
            image[pixel] = age + passes
            surface[pixel] = _power((age + rest) * rate)


def _power_double(x):
    """Return 2 to the power of a number."""
    return math.exp(x * math.log(2.0))


def _power_single(x):
    """Return 2 to the power of a number of at most 0, in a form that vectorises.

    With x = n + f and f in [-1/2, 1/2], it is 2^n times a polynomial in f, whose largest relative
    error is as small as that of any of its degree with the right value at 0: 9.1e-08. Below the
    smallest numbers n has the bits of a zero.
    """
    x = max(x, np.float32(-127.0))
    n = np.floor(x + np.float32(0.5))
    f = x - n
    value = np.float32(0.001326472614891827)
    value = multiply_add(value, f, np.float32(0.009671512991189957))
    value = multiply_add(value, f, np.float32(0.05550733581185341))
    value = multiply_add(value, f, np.float32(0.24022242426872253))
    value = multiply_add(value, f, np.float32(0.6931470036506653))
    value = multiply_add(value, f, np.float32(1.0))
    return value * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


def _inherit(first, last, surfaces, left):
    """Give untouched pixels what is left of the bin before; of rows `first` to `last` - 1."""
    n_rows = surfaces.shape[2]
    for item in range(first, last):
        i, row = item // n_rows, item % n_rows
        for b in range(1, surfaces.shape[1]):
            part = left[i, b - 1]
            for x in range(surfaces.shape[3]):
                inherited = surfaces[i, b - 1, row, x] * part
                own = surfaces[i, b, row, x]  # at least as much, or 0
                surfaces[i, b, row, x] = own if own > inherited else inherited
