"""Time surfaces at the speed of memory: the templates of a bin, and what later bins inherit.

Each bin is filled by itself, with one exponential for each pixel that it touches. Then a pixel
without an event takes the value of the bin before, decayed, from the first bin to the last.
"""

from __future__ import annotations

import math

import numpy as np

from .._events import EventCollection
from ._bins_numba import Edges, fill_bins, find_edges, pixel_numbers, share
from ._time_surface_reference import SurfacePlan

dtype = np.float32  # of the surfaces; bound by `fill_bins`


def encode_collection(
    X: EventCollection, plan: SurfacePlan, surfaces: np.ndarray, lost: np.ndarray, n_threads: int
) -> np.ndarray:
    """Fill zeroed surfaces and the losses; return which recordings are done."""
    found = find_edges(X, plan.bins, lost, n_threads)
    readings = _readings(X, plan, found)
    done = fill_bins(
        X,
        found.edges,
        plan.sensor_size,
        surfaces,
        (surfaces, readings, found.limits, plan.tau, *pixel_numbers(plan.sensor_size)),
        open_bin=_open_surface,
        add=_add,
        close_bin=_close_surface,
        n_threads=n_threads,
        dtype=surfaces.dtype.type,
    )
    decay = np.exp(-np.diff(readings, axis=1) / plan.tau).astype(surfaces.dtype)
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


def _open_surface(i, b, arguments):
    """Return the surface of a bin, flattened, and when ages are below 1."""
    surfaces, readings, limits = arguments[:3]
    return surfaces[i, b].reshape(-1), readings[i, b] + 1.0, limits[i, 0]


def _add(events, opened, arguments):
    """Write how long before the reading each event is, plus 1 so that 0 is a pixel without any."""
    surface, until, start = opened
    row, column = arguments[4:]
    x, y, t, p = events["x"], events["y"], events["t"], events["p"]
    brighter, darker = np.uint64(len(surface) // 2), np.uint64(0)
    for k in range(len(events)):
        i = row[np.uint16(y[k])] + column[np.uint16(x[k])] + (brighter if p[k] else darker)
        surface[i] = dtype(until - (t[k] - start))
    return True


def _close_surface(opened, i, b, arguments):
    """Turn ages into the values of the surface."""
    surface, tau = opened[0], arguments[3]
    for i in range(len(surface)):
        age = surface[i]
        if age > 0:
            surface[i] = dtype(math.exp((1.0 - age) / tau))


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
