"""Frames at the speed of memory: the templates that add the events of a bin to an image."""

from __future__ import annotations

import numpy as np

from .._events import EventCollection
from ._bins_numba import fill_bins, find_edges
from ._frames_reference import FramePlan

dtype = np.float32  # of the frames; bound by `fill_bins`
_ADD = {"binary": 0, "counts": 1, "signed": 2, "sign": 2, "last": 3}


def encode_collection(
    X: EventCollection,
    plan: FramePlan,
    frames: np.ndarray,
    lost: np.ndarray,
    limit: int,
    n_threads: int,
) -> np.ndarray:
    """Fill zeroed frames and the losses; return which recordings are done.

    `limit` is the largest count that the dtype of the frames holds exactly.
    """
    images = frames.reshape(len(X), plan.bins.n, *plan.image_shape)
    edges, _ = find_edges(X, plan.bins, lost, n_threads)
    row, column = (np.arange(side) // plan.downsample for side in reversed(plan.sensor_size))
    sign = plan.values == "sign"
    return fill_bins(
        X,
        edges,
        plan.sensor_size,
        images,
        (_ADD[plan.values], row, column, 2**31 - 1 if sign else frames.dtype.type(limit), images),
        open_bin=_open_sums if sign else _open_image,
        add=_add,
        close_bin=_close_sums if sign else _close_image,
        n_threads=n_threads,
        dtype=np.int32 if sign else frames.dtype.type,
    )


def _open_image(i, b, arguments):
    """Return the image of a bin, of shape (n_polarities, height, width)."""
    return arguments[4][i, b]


def _close_image(image, i, b, arguments):
    """Leave the image as it is."""


def _open_sums(i, b, arguments):
    """Return sums that the dtype of the frames may be too narrow for."""
    return np.zeros(arguments[4].shape[2:], np.int32)


def _close_sums(sums, i, b, arguments):
    """Write the signs of the sums to the image."""
    image = arguments[4][i, b]
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            image[0, y, x] = np.sign(sums[0, y, x])


def _add(events, image, arguments):
    """Add events to an image; return whether it could hold them."""
    how, row, column, limit, _ = arguments
    x, y, p = events["x"], events["y"], events["p"]
    for k in range(len(events)):
        channel = 1 if p[k] and len(image) == 2 else 0
        r, c = row[y[k]], column[x[k]]
        value = image[channel, r, c]
        if how == 0:
            image[channel, r, c] = dtype(1)
        elif how == 3:
            image[channel, r, c] = dtype(1) if p[k] else dtype(-1)
        elif how == 2 and not p[k]:
            if value == -limit:
                return False
            image[channel, r, c] = value - dtype(1)
        else:
            if value == limit:
                return False
            image[channel, r, c] = value + dtype(1)
    return True
