"""Voxel grids at the speed of memory: the templates that share events between two bins.

The events of an interval belong to the bins at both its ends, so that neighbouring intervals must
not be filled at the same time: first the even ones, then the odd ones.
"""

from __future__ import annotations

import math

import numpy as np

from .._events import EventCollection
from ._bins_numba import fill_bins, find_edges, hand_over, place_of
from ._voxel_reference import VoxelPlan

dtype = np.float32  # of the grids; bound by `fill_bins`


def encode_collection(
    X: EventCollection, plan: VoxelPlan, grids: np.ndarray, lost: np.ndarray, n_threads: int
) -> np.ndarray:
    """Fill in grids and the losses; return which recordings are done."""
    edges, limits = find_edges(X, plan.intervals, lost, n_threads)
    scale = (plan.n_bins - 1) / np.maximum(limits[:, 1] - 1 - limits[:, 0], 1)
    return fill_bins(
        X,
        edges,
        plan.sensor_size,
        grids,
        (limits, scale, -1.0 if plan.polarity == "signed" else 1.0),
        open_bin=_open_interval,
        add=_add,
        close_bin=hand_over,
        n_threads=n_threads,
        downsample=plan.downsample,
        brighter=math.prod(grids.shape[3:]) if plan.polarity == "separate" else 0,
        n_phases=2,
        dtype=plan.dtype.type,
    )


def _open_interval(image, after, i, b, arguments):
    """Return the images at both ends, and what gives the position in between."""
    limits, scale = arguments[:2]
    return image, after, limits[i, 0], scale[i], b


def _add(events, before, sensor, opened, arguments):
    """Share events between two images."""
    left, right, start, scale, b = opened
    darker = arguments[2]
    xy, t, p = events["xy"], events["t"], events["p"]
    for k in range(len(events)):
        place = place_of(xy[k], p[k], sensor)
        if place < 0 or t[k] < before:
            return False
        before = t[k]
        share = min(max((t[k] - start) * scale - b, 0.0), 1.0)
        sign = 1.0 if p[k] else darker
        left[place] += dtype(sign * (1.0 - share))
        right[place] += dtype(sign * share)
    return True
