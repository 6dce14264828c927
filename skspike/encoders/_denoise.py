"""Denoise: leave out events that no neighbour supports."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from .._event_columns import MAX_TIME
from .._sklearn import Interval, StrOptions
from ._filters_base import EventFilter
from ._filters_time import TimeFilter


class Denoise(TimeFilter):
    """Leave out background activity: events that no neighbouring pixel supports.

    Edges that move make neighbouring pixels fire shortly after each other; noise fires anywhere.
    An event is kept if a neighbouring pixel has fired less than `window` before it, or at the same
    time. All other events are left out, also those of a pixel that fires alone, however often.

    Parameters
    ----------
    window : int, default=10_000
        Time in which a neighbour supports an event, in microseconds.
    radius : int, default=1
        How far away neighbours are, in pixels.
    neighborhood : {"square", "diamond"}, default="square"
        Which pixels count as neighbours: those with ``max(|dx|, |dy|) <= radius`` (8 pixels for a
        radius of 1) or those with ``|dx| + |dy| <= radius`` (4 pixels), without the pixel itself.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels. By default that of the recordings seen in fit: an
        ``EventCollection`` knows it; of other input it is the smallest that holds all events, so
        that recordings seen later may not fit.
    n_jobs : int, default=None
        Number of threads, which share the recordings. ``None`` means 1 unless in a
        :obj:`joblib.parallel_backend` context. ``-1`` means all processors.

    Attributes
    ----------
    sensor_size_ : tuple of int (width, height)
        Size of the sensor in pixels.

    Raises
    ------
    ValueError
        If an event lies off the sensor; the message names the recording.
    TypeError
        If `X` holds no recordings.

    See Also
    --------
    RefractoryFilter : Thin out the events of single pixels.
    HotPixelFilter : Leave out pixels that fire all the time.

    Notes
    -----
    This is the background activity filter of [1]_. Each recording is judged by itself, polarities
    alike. An event that was left out supports others too, so that filtering twice can leave out
    more. Recordings out of order are judged in order of time, and the output keeps their order; the
    events of one time support each other in any order.

    ``Denoise(window, neighborhood="diamond")`` agrees with ``tonic.transforms.Denoise(window)``
    where all times differ and none comes before `window`; tonic takes every pixel to have fired at
    time 0, lets events of equal times support only those that follow in the array, and takes events
    in the order of the array where they are not sorted.

    Every event costs a look at its neighbours: with a large radius, many looks.

    References
    ----------
    .. [1] T. Delbruck, "Frame-free dynamic digital vision", Proceedings of the International
       Symposium on Secure-Life Electronics, Tokyo, 2008.

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import Denoise
    >>> X, y = make_moving_shapes(n_samples=5, noise=20.0, random_state=0)
    >>> cleaned = Denoise(window=5000).fit_transform(X)
    >>> len(cleaned), bool(cleaned.n_events < X.n_events)
    (5, True)
    """

    _parameter_constraints: dict = {
        "window": [Interval(Integral, 1, MAX_TIME, closed="both")],
        "radius": [Interval(Integral, 1, 1000, closed="both")],
        "neighborhood": [StrOptions({"square", "diamond"})],
        **EventFilter._parameter_constraints,
    }
    _walk = "denoise"

    def __init__(
        self, window=10_000, *, radius=1, neighborhood="square", sensor_size=None, n_jobs=None
    ):
        self.window = window
        self.radius = radius
        self.neighborhood = neighborhood
        self.sensor_size = sensor_size
        self.n_jobs = n_jobs

    def _keep_recording(self, events: np.ndarray) -> np.ndarray:
        return supported(events, self.sensor_size_, self._neighbors(), int(self.window))

    def _reach(self) -> tuple[int, np.ndarray, int]:
        return int(self.radius), self._neighbors(), int(self.window)

    def _neighbors(self) -> np.ndarray:
        """Return (dx, dy) of each neighbour, the closest first: they are the likeliest to fire."""
        side = np.arange(-self.radius, self.radius + 1)
        dx, dy = (d.ravel() for d in np.meshgrid(side, side))
        distance = np.abs(dx) + np.abs(dy)
        near = distance > 0
        if self.neighborhood == "diamond":
            near &= distance <= self.radius
        order = np.flatnonzero(near)[np.argsort(distance[near], kind="stable")]
        return np.stack([dx, dy], axis=1)[order]


def supported(
    events: np.ndarray, sensor_size: tuple[int, int], neighbors: np.ndarray, window: int
) -> np.ndarray:
    """Return which events of a recording have a neighbour that fired in (t - window, t]."""
    width, height = sensor_size
    x, y = events["x"].astype(np.int64), events["y"].astype(np.int64)
    times, rank = np.unique(events["t"], return_inverse=True)
    n = max(len(times), 1)
    # Sorted by pixel, then time: a search finds a pixel's last event up to a given time.
    keys = np.sort((y * width + x) * n + rank)
    found = np.zeros(len(events), bool)
    for dx, dy in neighbors:
        nx, ny = x + dx, y + dy
        inside = (nx >= 0) & (nx < width) & (ny >= 0) & (ny < height)
        pixel = ny * width + nx
        last = np.searchsorted(keys, pixel * n + rank, side="right") - 1
        pixel_of_last, rank_of_last = np.divmod(keys[np.maximum(last, 0)], n)
        same = inside & (last >= 0) & (pixel_of_last == pixel)
        found |= same & (events["t"] - times[rank_of_last] < window)
    return found
