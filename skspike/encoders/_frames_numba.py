"""Frames at the speed of memory: the templates that add the events of a bin to an image."""

from __future__ import annotations

import math

import numpy as np

from .._events import EventCollection
from ._bins_numba import fill_bins, find_edges, hand_over, place_of
from ._frames_reference import FramePlan

dtype = np.float32  # of the frames; bound by `fill_bins`
_COUNT, _SUM, _MARK, _KEEP_LAST = range(4)
_ADD = {"counts": _COUNT, "signed": _SUM, "sign": _SUM, "binary": _MARK, "last": _KEEP_LAST}


def encode_collection(
    X: EventCollection,
    plan: FramePlan,
    frames: np.ndarray,
    lost: np.ndarray,
    limit: int,
    n_threads: int,
) -> np.ndarray:
    """Fill in frames and the losses; return which recordings are done.

    `limit` is the largest count that the dtype of the frames holds exactly.
    """
    edges, _ = find_edges(X, plan.bins, lost, n_threads)
    sign = plan.values == "sign"
    return fill_bins(
        X,
        edges,
        plan.sensor_size,
        frames.reshape(len(X), plan.bins.n, *plan.image_shape),
        (_ADD[plan.values], 2**31 - 1 if sign else frames.dtype.type(limit)),
        open_bin=_open_sums if sign else _open_image,
        add=_add,
        close_bin=_close_sums if sign else hand_over,
        n_threads=n_threads,
        downsample=plan.downsample,
        brighter=math.prod(plan.image_shape[1:]) if plan.n_polarities == 2 else 0,
        dtype=np.int32 if sign else frames.dtype.type,
    )


def _open_image(image, after, i, b, arguments):
    """Return the image of a bin."""
    return image


def _open_sums(image, after, i, b, arguments):
    """Return sums that the dtype of the frames may be too narrow for."""
    return np.zeros(len(image), np.int32)


def _close_sums(sums, image, target, i, b, arguments):
    """Write the signs of the sums."""
    for pixel in range(len(sums)):
        target[pixel] = np.sign(sums[pixel])


def _add(events, before, sensor, image, arguments):
    """Add events to an image; return whether it could hold them."""
    how, limit = arguments
    xy, t, p = events["xy"], events["t"], events["p"]
    if how == _COUNT:
        for k in range(len(events)):
            place = place_of(xy[k], p[k], sensor)
            if place < 0 or t[k] < before or image[place] == limit:
                return False
            before = t[k]
            image[place] += dtype(1)
    elif how == _SUM:
        for k in range(len(events)):
            place = place_of(xy[k], p[k], sensor)
            if place < 0 or t[k] < before or image[place] == (limit if p[k] else -limit):
                return False
            before = t[k]
            image[place] += dtype(1) if p[k] else dtype(-1)
    else:
        off = dtype(1) if how == _MARK else dtype(-1)
        for k in range(len(events)):
            place = place_of(xy[k], p[k], sensor)
            if place < 0 or t[k] < before:
                return False
            before = t[k]
            image[place] = dtype(1) if p[k] else off
    return True
