"""Time surfaces at the speed of memory: the templates of a bin, and what later bins inherit.

Each bin is filled by itself, with one exponential for each pixel. Then a pixel without an event
takes the value of the bin before, decayed: at once where a thread has whole recordings, else when
all bins are filled.
"""

from __future__ import annotations

import math

import numpy as np

from .._events import EventCollection
from ._bins_numba import Edges, by_recording, fill_bins, find_edges, pixel_numbers, share
from ._time_surface_reference import SurfacePlan

dtype, _exp = np.float32, None  # of the surfaces; bound by `fill_bins`


def encode_collection(
    X: EventCollection, plan: SurfacePlan, surfaces: np.ndarray, lost: np.ndarray, n_threads: int
) -> np.ndarray:
    """Fill in surfaces and the losses; return which recordings are done."""
    found = find_edges(X, plan.bins, lost, n_threads)
    readings = _readings(X, plan, found)
    decay = np.exp(-np.diff(readings, axis=1) / plan.tau, dtype=np.float64).astype(surfaces.dtype)
    in_turn = by_recording(X, n_threads)
    single = surfaces.dtype == np.float32
    done = fill_bins(
        X,
        found.edges,
        plan.sensor_size,
        surfaces,
        (
            readings, found.limits, surfaces.dtype.type(-1 / plan.tau),
            *pixel_numbers(plan.sensor_size), decay, in_turn,
        ),
        open_bin=_open_surface,
        add=_add,
        close_bin=_close_surface,
        n_threads=n_threads,
        dtype=surfaces.dtype.type,
        _exp=_exp_single if single else _exp_double,
    )  # fmt: skip
    if in_turn:
        return done
    rows = surfaces.reshape(len(X), plan.bins.n, -1, plan.sensor_size[0])
    share(
        _inherit,
        len(X) * rows.shape[2],
        (rows, decay),
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


def _open_surface(surfaces, i, b, arguments):
    """Return the surface of a bin, flattened, and when ages are below 1."""
    readings, limits = arguments[:2]
    return surfaces[b].reshape(-1), readings[i, b] + 1.0, limits[i, 0]


def _add(events, opened, arguments):
    """Write how long before the reading each event is, plus 1 so that 0 is a pixel without any."""
    surface, until, start = opened
    row, column = arguments[3], arguments[4]
    x, y, t, p = events["x"], events["y"], events["t"], events["p"]
    brighter, darker = np.uint64(len(surface) // 2), np.uint64(0)
    for k in range(len(events)):
        i = row[np.uint16(y[k])] + column[np.uint16(x[k])] + (brighter if p[k] else darker)
        surface[i] = dtype(until - (t[k] - start))
    return True


def _close_surface(opened, surfaces, i, b, arguments):
    """Turn ages into the values of the surface, and take over what is left of the bin before."""
    rate, decay, in_turn = arguments[2], arguments[5], arguments[6]
    surface = opened[0]
    before = surfaces[max(b - 1, 0)].reshape(-1)
    left = decay[i, b - 1] if in_turn and b > 0 else dtype(0)
    for pixel in range(len(surface)):
        age = surface[pixel]
        own = _exp((age - dtype(1)) * rate) if age > dtype(0) else dtype(0)
        inherited = before[pixel] * left
        surface[pixel] = own if own > inherited else inherited


def _exp_double(x):
    """Return the exponential."""
    return math.exp(x)


def _exp_single(x):
    """Return the exponential of a number of at most 0, in a form that vectorises.

    With x = (n + f) log 2 and f in [-1/2, 1/2], it is 2^n times a polynomial in f.
    """
    y = max(x, np.float32(-87.0)) * np.float32(1.4426950408889634)
    n = np.floor(y + np.float32(0.5))
    f = y - n
    value = np.float32(1.5403530393381609e-4)
    value = value * f + np.float32(1.3333558146428443e-3)
    value = value * f + np.float32(9.6181291076284772e-3)
    value = value * f + np.float32(5.5504108664821580e-2)
    value = value * f + np.float32(2.4022650695910071e-1)
    value = value * f + np.float32(6.9314718055994531e-1)
    value = value * f + np.float32(1.0)
    return value * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


def _inherit(first, last, surfaces, decay):
    """Give untouched pixels what is left of the bin before; of rows `first` to `last` - 1."""
    n_rows = surfaces.shape[2]
    for item in range(first, last):
        i, row = item // n_rows, item % n_rows
        for b in range(1, surfaces.shape[1]):
            left = decay[i, b - 1]
            for x in range(surfaces.shape[3]):
                inherited = surfaces[i, b - 1, row, x] * left
                own = surfaces[i, b, row, x]  # at least as much, or 0
                surfaces[i, b, row, x] = own if own > inherited else inherited
