"""HotPixelFilter: leave out pixels that fire without a cause."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np

from .._events import EventCollection
from .._sklearn import Interval
from ._filters_base import Block, EventFilter, blocks

_RANK = 3  # so that a hot pixel is found beside two others, as in a hot column


class HotPixelFilter(EventFilter):
    """Leave out the events of hot pixels, which fire without a cause.

    What a camera sees has edges wider than a pixel, so that a pixel that fires much more often than
    those around it is defective. Hot pixels are learned from all recordings of fit together: a
    pixel is hot if it has more than `ratio` times the events of the third busiest of its eight
    neighbours. All events of hot pixels are left out, and no others.

    Parameters
    ----------
    ratio : float, default=5.0
        How many times as often as those around it a hot pixel fires.
    min_events : int, default=10
        Number of events in the recordings of fit below which no pixel is hot.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels. By default that of the recordings seen in fit: an
        ``EventCollection`` knows it; of other input it is the smallest that holds all events, so
        that recordings seen later may not fit.
    n_jobs : int, default=None
        Number of threads. ``None`` means 1 unless in a :obj:`joblib.parallel_backend` context.
        ``-1`` means all processors.

    Attributes
    ----------
    hot_pixels_ : ndarray of shape (n_hot_pixels, 2)
        The ``(x, y)`` of each hot pixel, from the busiest on.
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
    Denoise : Leave out events that no neighbour supports, of whatever pixel.

    Notes
    -----
    A threshold for the whole sensor, such as a quantile or some deviations above the median, takes
    the middle of a scene for hot: in N-MNIST, pixels under the digits fire 20 deviations above the
    median, more than any that is defective. Against its neighbours, none of them has a ratio above
    1.4, and three pixels have more than 6.

    Of two hot neighbours both are found, of a block of 2 × 2 none. Filtering twice is the same as
    once. The order of the events does not matter.

    Examples
    --------
    >>> import numpy as np
    >>> from skspike import EventCollection
    >>> from skspike.encoders import HotPixelFilter
    >>> x, y = np.r_[np.arange(32) % 8, [5] * 50], np.r_[np.arange(32) // 8, [2] * 50]
    >>> t, p = np.arange(82), np.ones(82, bool)
    >>> X = EventCollection.from_columns(x=x, y=y, t=t, p=p, offsets=[0, 82])
    >>> cleaner = HotPixelFilter().fit(X)
    >>> cleaner.hot_pixels_
    array([[5, 2]])
    >>> cleaner.transform(X).n_events
    31
    """

    _parameter_constraints: dict = {
        "ratio": [Interval(Real, 1, None, closed="left")],
        "min_events": [Interval(Integral, 1, None, closed="left")],
        **EventFilter._parameter_constraints,
    }

    def __init__(self, ratio=5.0, *, min_events=10, sensor_size=None, n_jobs=None):
        self.ratio = ratio
        self.min_events = min_events
        self.sensor_size = sensor_size
        self.n_jobs = n_jobs

    def _learn(self, X: EventCollection) -> None:
        counts = self._count(X)
        hot = (counts >= self.min_events) & (counts > self.ratio * _third_busiest(counts))
        y, x = np.nonzero(hot)
        busiest = np.argsort(-counts[y, x], kind="stable")
        self.hot_pixels_ = np.stack([x, y], axis=1)[busiest]

    def _count(self, X: EventCollection) -> np.ndarray:
        """Return the number of events of each pixel, of shape (height, width)."""
        width, height = self.sensor_size_
        counts = np.zeros(width * height, np.int64)
        for block in blocks(X):
            events = X.events[block.stored]
            self._check_on_sensor(events, block)
            counts += np.bincount(_pixel(events, width), minlength=len(counts))
        return counts.reshape(height, width)

    def _prepare(self, X: EventCollection) -> np.ndarray:
        width, height = self.sensor_size_
        cold = np.ones(width * height, bool)
        cold[self.hot_pixels_ @ (1, width)] = False
        return cold

    def _keep_block(self, events: np.ndarray, recordings: Block, cold: np.ndarray):
        return cold[_pixel(events, self.sensor_size_[0])] if len(self.hot_pixels_) else None


def _pixel(events: np.ndarray, width: int) -> np.ndarray:
    """Return the number of each event's pixel, row by row."""
    return events["y"].astype(np.intp) * width + events["x"]


def _third_busiest(counts: np.ndarray) -> np.ndarray:
    """Return for each pixel the third highest count of its neighbours."""
    height, width = counts.shape
    padded = np.pad(counts, 1)
    around = [
        padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if dx or dy
    ]
    return np.partition(around, -_RANK, axis=0)[-_RANK]
