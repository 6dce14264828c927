"""Resize: recordings on a sensor of another resolution."""

from __future__ import annotations

from numbers import Real

import numpy as np

from .._event_columns import check_sensor_size
from .._events import EventCollection
from .._sklearn import Interval, StrOptions
from ._filters_base import Block, EventFilter


class Resize(EventFilter):
    """Show recordings on a sensor of another resolution.

    An event in column ``x`` of ``old`` goes to column ``floor(x * new / old)`` of ``new``, and
    likewise for rows. By default every event is kept.

    Parameters
    ----------
    size : float or tuple of int (width, height), default=0.5
        The new size of the sensor in pixels, or the factor by which both sides are multiplied and
        rounded up.
    keep : {"all", "rate"}, default="all"
        Which events are kept. With "all" pixels fire more often on a smaller sensor, since each
        takes the events of several. With "rate" they fire as often as before: of the events of a
        new pixel and polarity, in order of time, every ``m``-th is kept and the rest are left out,
        where ``m`` is the number of old pixels to a new one, rounded.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels, before resizing. By default that of the recordings seen in
        fit: an ``EventCollection`` knows it; of other input it is the smallest that holds all
        events, so that recordings seen later may not fit.
    n_jobs : int, default=None
        Number of threads. ``None`` means 1 unless in a :obj:`joblib.parallel_backend` context.
        ``-1`` means all processors.

    Attributes
    ----------
    sensor_size_ : tuple of int (width, height)
        Size of the sensor in pixels, before resizing.
    new_size_ : tuple of int (width, height)
        Size of the sensor in pixels, afterwards.

    Raises
    ------
    ValueError
        If an event lies off the sensor; the message names the recording.
    TypeError
        If `X` holds no recordings.

    See Also
    --------
    Crop : Keep the resolution, and a part of the sensor.
    FrameEncoder : Its `downsample` adds up blocks of pixels.

    Notes
    -----
    On a larger sensor some pixels never fire. Times and polarities stay as they are, and so does
    the order of the events.

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import Resize
    >>> X, y = make_moving_shapes(n_samples=5, sensor_size=(32, 24), random_state=0)
    >>> Resize(0.5).fit_transform(X).sensor_size
    (16, 12)
    >>> bool(Resize((20, 20)).fit_transform(X).n_events == X.n_events)
    True
    """

    _parameter_constraints: dict = {
        "size": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "keep": [StrOptions({"all", "rate"})],
        **EventFilter._parameter_constraints,
    }
    _whole = True

    def __init__(self, size=0.5, *, keep="all", sensor_size=None, n_jobs=None):
        self.size = size
        self.keep = keep
        self.sensor_size = sensor_size
        self.n_jobs = n_jobs

    def _learn(self, X: EventCollection) -> None:
        size = self.size
        if isinstance(size, Real):
            # Rounded first: 100 * 1.1 is a little more than 110.
            size = [int(np.ceil(round(side * size, 6))) or 1 for side in self.sensor_size_]
        self.new_size_ = check_sensor_size("Resize", size, name="size")

    def _size_out(self) -> tuple[int, int]:
        return self.new_size_

    def _changes(self) -> bool:
        return self.new_size_ != self.sensor_size_

    def __event_claims__(self):
        return {"time_shift"}

    def _keep_block(self, events: np.ndarray, recordings: Block, context) -> np.ndarray | None:
        n_old, n_new = (width * height for width, height in (self.sensor_size_, self.new_size_))
        every = round(n_old / n_new)
        if self.keep == "all" or every < 2:
            return None
        x, y = self._places(events)
        recording = np.repeat(np.arange(len(recordings.lengths)), recordings.lengths)
        pixel = ((recording * self.new_size_[1] + y) * self.new_size_[0] + x) * 2 + events["p"]
        order = np.lexsort((events["t"], pixel))  # stable: equal times keep their order
        begins = np.flatnonzero(np.diff(pixel[order], prepend=-1))
        rank = np.arange(len(events)) - np.repeat(begins, np.diff(begins, append=len(events)))
        keep = np.empty(len(events), bool)
        keep[order] = rank % every == every - 1
        return keep

    def _change_block(self, events: np.ndarray, recordings: Block, context) -> None:
        events["x"], events["y"] = self._places(events)

    def _places(self, events: np.ndarray) -> list[np.ndarray]:
        """Return the new columns and rows of events."""
        sides = zip("xy", self.sensor_size_, self.new_size_, strict=True)
        return [events[name].astype(np.int64) * new // old for name, old, new in sides]
