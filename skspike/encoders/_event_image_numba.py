"""Event images at the speed of memory: the templates that update all channels with an event."""

from __future__ import annotations

import numpy as np

from .._events import EventCollection
from ._bins_numba import Edges, fill_bins, find_edges, hand_over, place_of
from ._event_image_reference import CHANNELS, ImagePlan

dtype = np.float32  # of the images; bound by `fill_bins`
_TIME = 2  # an effect beside 1 and -1, which are added, and 0


def encode_collection(
    X: EventCollection,
    plan: ImagePlan,
    images: np.ndarray,
    lost: np.ndarray,
    limit: int,
    n_threads: int,
) -> np.ndarray:
    """Fill in images and the losses; return which recordings are done."""
    found = find_edges(X, plan.bins, lost, n_threads)
    effects = np.array(
        [[_TIME if what == "time" else what for what in CHANNELS[name]] for name in plan.channels]
    )
    return fill_bins(
        X,
        found.edges,
        plan.sensor_size,
        images,
        (_spans(X, plan, found), effects, images.dtype.type(limit)),
        open_bin=_open_image,
        add=_add,
        close_bin=hand_over,
        n_threads=n_threads,
        downsample=plan.downsample,
        dtype=images.dtype.type,
    )


def _spans(X: EventCollection, plan: ImagePlan, found: Edges) -> np.ndarray:
    """Return the first microsecond of each bin and the one after its last; (n, n_bins, 2)."""
    edges, limits = found
    n_bins = plan.bins.n
    if plan.bins.by_time:
        quotient, remainder = np.divmod(np.diff(limits), n_bins)  # b * span may overflow
        b = np.arange(n_bins + 1)
        begins = limits[:, :1] + b * quotient + -(-b * remainder // n_bins)
        return np.stack([begins[:, :-1], begins[:, 1:]], axis=-1)
    spans = np.zeros((len(X), n_bins, 2), np.int64)
    i, b = np.nonzero(np.diff(edges))
    starts, t = X.bounds()[0][i], X.events["t"]
    spans[i, b, 0] = t[starts + edges[i, b]]
    spans[i, b, 1] = t[starts + edges[i, b + 1] - 1] + 1
    return spans


def _open_image(image, after, i, b, arguments):
    """Return the image of a bin, of shape (n_channels, n_pixels), and its span of time."""
    spans, effects = arguments[:2]
    return image.reshape(len(effects), -1), spans[i, b, 0], spans[i, b, 1]


def _add(events, before, sensor, opened, arguments):
    """Add events to an image; return whether it could hold them."""
    image, begin, end = opened
    _, effects, limit = arguments
    xy, t, p = events["xy"], events["t"], events["p"]
    for k in range(len(events)):
        place = place_of(xy[k], p[k], sensor)
        if place < 0 or t[k] < before:
            return False
        before = t[k]
        for channel in range(len(effects)):
            effect = effects[channel, 1 if p[k] else 0]
            value = image[channel, place]
            if effect == _TIME:
                image[channel, place] = dtype((t[k] - begin + 1) / (end - begin))
            elif effect == 1:
                if value == limit:
                    return False
                image[channel, place] = value + dtype(1)
            elif effect == -1:
                if value == -limit:
                    return False
                image[channel, place] = value - dtype(1)
    return True
