"""Frames at the speed of memory: the templates that add the events of a bin to an image."""

from __future__ import annotations

import math

import numpy as np

from .._events import EventCollection
from ._bins_numba import fill_bins, find_edges, pixel_numbers
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
    images = frames.reshape(len(X), plan.bins.n, *plan.image_shape)
    edges, _ = find_edges(X, plan.bins, lost, n_threads)
    sign = plan.values == "sign"
    arguments = (
        _ADD[plan.values],
        *pixel_numbers(plan.sensor_size, plan.downsample),
        np.uint64(math.prod(images.shape[3:]) if plan.n_polarities == 2 else 0),
        2**31 - 1 if sign else frames.dtype.type(limit),
    )
    return fill_bins(
        X,
        edges,
        plan.sensor_size,
        images,
        arguments,
        open_bin=_open_sums if sign else _open_image,
        add=_add,
        close_bin=_close_sums if sign else _close_image,
        n_threads=n_threads,
        dtype=np.int32 if sign else frames.dtype.type,
    )


def _open_image(images, i, b, arguments):
    """Return the image of a bin, flattened."""
    return images[b].reshape(-1)


def _close_image(image, images, i, b, arguments):
    """Leave the image as it is."""


def _open_sums(images, i, b, arguments):
    """Return sums that the dtype of the frames may be too narrow for."""
    return np.zeros(images[b].size, np.int32)


def _close_sums(sums, images, i, b, arguments):
    """Write the signs of the sums to the image."""
    image = images[b].reshape(-1)
    for pixel in range(len(sums)):
        image[pixel] = np.sign(sums[pixel])


def _add(events, image, arguments):
    """Add events to an image; return whether it could hold them."""
    how, row, column, brighter, limit = arguments
    x, y, p = events["x"], events["y"], events["p"]
    darker = np.uint64(0)
    if how == _COUNT:
        for k in range(len(events)):
            i = row[np.uint16(y[k])] + column[np.uint16(x[k])] + (brighter if p[k] else darker)
            value = image[i]
            if value == limit:
                return False
            image[i] = value + dtype(1)
    elif how == _SUM:
        for k in range(len(events)):
            i = row[np.uint16(y[k])] + column[np.uint16(x[k])]
            value = image[i]
            if value == (limit if p[k] else -limit):
                return False
            image[i] = value + (dtype(1) if p[k] else dtype(-1))
    else:
        off = dtype(1) if how == _MARK else dtype(-1)
        for k in range(len(events)):
            i = row[np.uint16(y[k])] + column[np.uint16(x[k])] + (brighter if p[k] else darker)
            image[i] = dtype(1) if p[k] else off
    return True
