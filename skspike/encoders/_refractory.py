"""RefractoryFilter: a dead time for every pixel."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from .._event_columns import MAX_TIME
from .._sklearn import Interval
from ._filters_base import EventFilter
from ._filters_time import TimeFilter


class RefractoryFilter(TimeFilter):
    """Leave out the events of a pixel that come too soon after another.

    After an event that is kept, a pixel is silent for a dead time: its events that come less than
    `period` later are left out, of either polarity, and the next one is kept.

    Parameters
    ----------
    period : int, default=1000
        The dead time of a pixel, in microseconds. 0 keeps every event.
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
    Denoise : Leave out events that no neighbour supports.

    Notes
    -----
    A pixel's first event is always kept, and of events at one pixel and time the first. Recordings
    out of order are judged in order of time, and the output keeps their order. Filtering twice is
    the same as once.

    In ``tonic.transforms.RefractoryPeriod`` an event that is left out prolongs the dead time, and
    an event exactly one period later is left out too; here it is the events that are kept which
    have at least `period` between them.

    Examples
    --------
    >>> from skspike import EventCollection
    >>> from skspike.encoders import RefractoryFilter
    >>> X = EventCollection.from_columns(
    ...     x=[3, 3, 3, 3], y=[0, 0, 0, 0], t=[0, 600, 1100, 1300], p=[1, 1, 0, 1], offsets=[0, 4]
    ... )
    >>> RefractoryFilter(period=1000).fit_transform(X)[0]["t"]
    array([   0, 1100])
    """

    _parameter_constraints: dict = {
        "period": [Interval(Integral, 0, MAX_TIME, closed="both")],
        **EventFilter._parameter_constraints,
    }
    _walk = "refractory"

    def __init__(self, period=1000, *, sensor_size=None, n_jobs=None):
        self.period = period
        self.sensor_size = sensor_size
        self.n_jobs = n_jobs

    def _keep_recording(self, events: np.ndarray) -> np.ndarray:
        return spaced(events, int(self.period))

    def _reach(self) -> tuple[int, np.ndarray, int]:
        return 0, np.empty((0, 2), np.int64), int(self.period)


def spaced(events: np.ndarray, period: int) -> np.ndarray:
    """Return which events of a recording are a period after the last one kept of their pixel."""
    keep = np.zeros(len(events), bool)
    order = np.lexsort((events["t"], events["x"], events["y"]))  # stable: equal times keep order
    x, y = events["x"][order], events["y"][order]
    new_pixel = np.flatnonzero((np.diff(x) != 0) | (np.diff(y) != 0)) + 1
    for pixel in np.split(order, new_pixel):
        t = events["t"][pixel]
        k = 0
        while k < len(t):
            keep[pixel[k]] = True
            k = max(k + 1, int(np.searchsorted(t, t[k] + period)))
    return keep
