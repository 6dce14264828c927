"""Voxel grids at the speed of memory: the templates that share events between two bins.

The events of an interval belong to the bins at both its ends, so that neighbouring intervals must
not be filled at the same time: first the even ones, then the odd ones.
"""

from __future__ import annotations

import math

import numpy as np

from .._events import EventCollection
from ._bins_numba import fill_bins, find_edges, pixel_numbers
from ._voxel_reference import VoxelPlan

dtype = np.float32  # of the grids; bound by `fill_bins`


def encode_collection(
    X: EventCollection, plan: VoxelPlan, grids: np.ndarray, lost: np.ndarray, n_threads: int
) -> np.ndarray:
    """Fill in grids and the losses; return which recordings are done."""
    edges, limits = find_edges(X, plan.intervals, lost, n_threads)
    scale = (plan.n_bins - 1) / np.maximum(limits[:, 1] - 1 - limits[:, 0], 1)
    pixels = pixel_numbers(plan.sensor_size, plan.downsample)
    brighter = np.uint64(math.prod(grids.shape[3:]) if plan.polarity == "separate" else 0)
    darker = -1.0 if plan.polarity == "signed" else 1.0
    return fill_bins(
        X,
        edges,
        plan.sensor_size,
        grids,
        (limits, scale, *pixels, brighter, darker),
        open_bin=_open_interval,
        add=_add,
        close_bin=_close_interval,
        n_threads=n_threads,
        n_phases=2,
        dtype=plan.dtype.type,
    )


def _open_interval(grid, i, b, arguments):
    """Return the images at both ends, flattened, and what gives the position in between."""
    limits, scale = arguments[:2]
    after = min(b + 1, len(grid) - 1)
    return grid[b].reshape(-1), grid[after].reshape(-1), limits[i, 0], scale[i], b


def _close_interval(opened, grid, i, b, arguments):
    """Leave the images as they are."""


def _add(events, opened, arguments):
    """Share events between two images."""
    left, right, start, scale, b = opened
    _, _, row, column, brighter, darker = arguments
    x, y, t, p = events["x"], events["y"], events["t"], events["p"]
    for k in range(len(events)):
        share = min(max((t[k] - start) * scale - b, 0.0), 1.0)
        sign = 1.0 if p[k] else darker
        i = row[np.uint16(y[k])] + column[np.uint16(x[k])] + (brighter if p[k] else np.uint64(0))
        left[i] += dtype(sign * (1.0 - share))
        right[i] += dtype(sign * share)
    return True
