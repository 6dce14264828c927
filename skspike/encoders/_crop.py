"""Crop: the events in a part of the sensor, and in a window of time."""

from __future__ import annotations

import numpy as np

from .._event_columns import MAX_TIME
from .._events import EventCollection
from .._sklearn import StrOptions
from .._validation import check_number
from ._filters_base import Block, EventFilter


class Crop(EventFilter):
    """Keep the events in a part of the sensor, and in a window of time.

    All events outside are left out. With the defaults there is nothing outside.

    Parameters
    ----------
    x : tuple of int (start, stop), default=None
        Which columns of the sensor are kept: ``start <= x < stop``. By default all.
    y : tuple of int (start, stop), default=None
        Which rows of the sensor are kept: ``start <= y < stop``. By default all.
    t : tuple of int (start, stop), default=None
        Which times are kept, in microseconds: ``start <= t < stop``. By default all.
    clock : {"absolute", "recording"}, default="absolute"
        Whether `t` is compared with the times of the events, or with the time since the first event
        of the recording.
    shift : bool, default=True
        Whether the corner of the part that is kept becomes ``x=0, y=0``, and its size the sensor's.
        Otherwise events stay where they are, on a sensor of the old size.
    shift_time : bool, default=False
        Whether the start of the window becomes ``t=0``; with ``clock="recording"`` and without a
        window, the first event of each recording.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels, before cropping. By default that of the recordings seen in
        fit: an ``EventCollection`` knows it; of other input it is the smallest that holds all
        events, so that recordings seen later may not fit.
    n_jobs : int, default=None
        Number of threads. ``None`` means 1 unless in a :obj:`joblib.parallel_backend` context.
        ``-1`` means all processors.

    Attributes
    ----------
    sensor_size_ : tuple of int (width, height)
        Size of the sensor in pixels, before cropping.

    Raises
    ------
    ValueError
        If an event lies off the sensor, where the message names the recording, or if the part to
        keep does.
    TypeError
        If `X` holds no recordings.

    See Also
    --------
    Resize : Change the resolution instead.

    Notes
    -----
    A recording without an event inside stays, empty. The first event of a recording is its
    earliest, wherever it stands and whether or not it is kept.

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import Crop
    >>> X, y = make_moving_shapes(n_samples=5, sensor_size=(32, 32), random_state=0)
    >>> crop = Crop(x=(8, 24), t=(0, 50_000))
    >>> crop.fit_transform(X).sensor_size
    (16, 32)
    """

    _parameter_constraints: dict = {
        "x": ["array-like", None],
        "y": ["array-like", None],
        "t": ["array-like", None],
        "clock": [StrOptions({"absolute", "recording"})],
        "shift": ["boolean"],
        "shift_time": ["boolean"],
        **EventFilter._parameter_constraints,
    }

    def __init__(
        self,
        *,
        x=None,
        y=None,
        t=None,
        clock="absolute",
        shift=True,
        shift_time=False,
        sensor_size=None,
        n_jobs=None,
    ):
        self.x = x
        self.y = y
        self.t = t
        self.clock = clock
        self.shift = shift
        self.shift_time = shift_time
        self.sensor_size = sensor_size
        self.n_jobs = n_jobs

    def _learn(self, X: EventCollection) -> None:
        width, height = self.sensor_size_
        _check_range("x", self.x, 0, width)
        _check_range("y", self.y, 0, height)
        _check_range("t", self.t, -MAX_TIME, MAX_TIME)

    def _size_out(self) -> tuple[int, int]:
        if not self.shift:
            return self.sensor_size_
        (left, right), (top, bottom) = self._part()
        return right - left, bottom - top

    def _changes(self) -> bool:
        (left, _), (top, _) = self._part()
        return self.shift_time or (self.shift and (left > 0 or top > 0))

    def __event_claims__(self):
        claims = set() if self.shift or self.shift_time else {"subset"}
        since_zero = self.t is not None and self.clock == "absolute"
        return claims if since_zero or self.shift_time else claims | {"time_shift"}

    def _part(self) -> list[tuple[int, int]]:
        """Return the columns and the rows to keep."""
        given = zip((self.x, self.y), self.sensor_size_, strict=True)
        return [(0, side) if part is None else tuple(map(int, part)) for part, side in given]

    def _prepare(self, X: EventCollection) -> np.ndarray | None:
        """Return the time of each recording from which its window is counted; None: from 0."""
        if self.clock == "absolute" or not (self.t is not None or self.shift_time):
            return None
        first = [recording["t"].min() if len(recording) else 0 for recording in X]
        return np.array(first, np.int64)

    def _keep_block(self, events: np.ndarray, recordings: Block, first: np.ndarray | None):
        keep = None
        for name, part in zip("xy", (self.x, self.y), strict=True):
            if part is not None:
                keep = _narrow(keep, events[name], *part)
        if self.t is not None:
            since = 0 if first is None else recordings.spread(first)
            keep = _narrow(keep, events["t"] - since, *self.t)
        return keep

    def _change_block(self, events: np.ndarray, recordings: Block, first: np.ndarray | None):
        if self.shift:
            for name, (start, _) in zip("xy", self._part(), strict=True):
                events[name] -= start
        if self.shift_time:
            events["t"] -= 0 if self.t is None else int(self.t[0])
            events["t"] -= 0 if first is None else recordings.spread(first)


def _narrow(keep: np.ndarray | None, column: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return a mask without what lies outside the half-open range."""
    inside = (column >= start) & (column < stop)
    return inside if keep is None else np.logical_and(keep, inside, out=keep)


def _check_range(name: str, part, low: int, high: int) -> None:
    """Raise unless `part` is None or a range of whole numbers inside a closed one."""
    if part is None:
        return
    if len(part) != 2 or not part[0] < part[1]:
        raise ValueError(
            f"The {name!r} parameter of Crop must be a pair (start, stop) with start < stop. "
            f"Got {part!r} instead."
        )
    for edge in part:
        check_number("Crop", name, edge, low, high, integer=True)
