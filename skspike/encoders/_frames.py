"""FrameEncoder: recordings to stacks of frames."""

from __future__ import annotations

import warnings
from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._config import get_config
from .._event_columns import MAX_TIME, check_sensor_size
from .._events import EventCollection, as_event_collection
from .._sklearn import Interval, StrOptions, fit_context
from .._validation import check_number
from ..exceptions import EventLossWarning
from ._frames_reference import FramePlan, encode_recording

# The largest count that each dtype holds exactly.
_LIMITS = {
    **{name: int(np.iinfo(name).max) for name in ("uint8", "int8", "uint16", "int16")},
    **{name: int(np.iinfo(name).max) for name in ("uint32", "int32", "int64")},
    "float32": 2**24,
    "float64": 2**53,
}


class FrameEncoder(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn recordings into stacks of frames.

    The events of a recording are divided into bins, and the events of a bin are added up pixel by
    pixel. No event is lost silently: with the defaults every event is counted once, and where a
    fixed window or a narrow dtype leaves some out, a warning says how many and why.

    Parameters
    ----------
    n_bins : int, default=10
        Number of frames per recording.
    split : {"count", "time"}, default="count"
        How the events in the window are divided. With "count" into bins of equally many events:
        in order of time, event ``i`` of ``n`` falls in bin ``i * n_bins // n``, so that bin sizes
        differ by one at most. With "time" into bins of equal duration: an event at ``t`` in the
        window ``[start, stop)`` falls in bin ``(t - start) * n_bins // (stop - start)``.
    window : {"recording", "fit"} or tuple of int (start, stop), default="recording"
        Which events are used, in microseconds: those with ``start <= t < stop``. "recording" is
        the window of each recording by itself, from its first event to its last, both included;
        "fit" is the window of all events seen in fit, so that the bins of different recordings
        are aligned.
    values : {"counts", "binary", "signed"}, default="counts"
        What a pixel holds: the number of its events, whether it has any (0 or 1), or the number of
        its brighter events minus that of its darker ones.
    polarity : {"separate", "merged"}, default="separate"
        Whether darker (channel 0) and brighter (channel 1) events have a channel each or share
        one. With ``values="signed"`` there is always one.
    downsample : int, default=1
        Events of blocks of `downsample` × `downsample` pixels are added up. Blocks that reach over
        the sensor's right or lower edge are kept.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels. By default that of the recordings seen in fit: an
        ``EventCollection`` knows it; of other input it is the smallest that holds all events, so
        that recordings seen later may not fit.
    dtype : {"float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", \
            "int64"}, default="float32"
        Type of the frames. Counts too large for it are clipped, with a warning.
    n_jobs : int, default=None
        Number of threads. ``None`` means 1 unless in a :obj:`joblib.parallel_backend` context.
        ``-1`` means all processors.

    Attributes
    ----------
    sensor_size_ : tuple of int (width, height)
        Size of the sensor in pixels.
    window_ : tuple of int (start, stop) or None
        The window in microseconds, or None if each recording has its own.
    output_shape_ : tuple of int (n_bins, n_polarities, height, width)
        Shape of the frames of one recording.

    Raises
    ------
    ValueError
        If an event lies off the sensor; the message names the recording.
    TypeError
        If `X` holds no recordings.

    Warns
    -----
    EventLossWarning
        If events lie outside a fixed window, or counts are too large for the dtype.

    See Also
    --------
    skspike.EventCollection : Many recordings as one ``X``.

    Notes
    -----
    An empty recording gives zeros. A single event, and events of equal times, fall in bins as the
    formulas say. Recordings out of order are put in order of time first (equal times keep their
    order), which takes longer; the input itself is never changed.

    Recordings have no fixed number of features, so that, as with scikit-learn's text vectorizers,
    there is no ``n_features_in_``. The frames have five dimensions and cannot become a table:
    ``set_output`` is accepted and changes nothing.

    Without a warning, the frames of ``values="counts"`` sum up to the number of events.

    The compiled kernel reads every event once and is used unless the configuration asks for
    ``backend="reference"``; both give the same frames.

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import FrameEncoder
    >>> X, y = make_moving_shapes(n_samples=5, sensor_size=(32, 24), random_state=0)
    >>> frames = FrameEncoder(n_bins=4).fit_transform(X)
    >>> frames.shape
    (5, 4, 2, 24, 32)
    >>> bool(frames.sum() == X.n_events)
    True
    """

    _parameter_constraints = {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "split": [StrOptions({"count", "time"})],
        "window": [StrOptions({"recording", "fit"}), "array-like"],
        "values": [StrOptions({"counts", "binary", "signed"})],
        "polarity": [StrOptions({"separate", "merged"})],
        "downsample": [Interval(Integral, 1, None, closed="left")],
        "sensor_size": ["array-like", None],
        "dtype": [str, type, np.dtype],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_bins=10,
        *,
        split="count",
        window="recording",
        values="counts",
        polarity="separate",
        downsample=1,
        sensor_size=None,
        dtype="float32",
        n_jobs=None,
    ):
        self.n_bins = n_bins
        self.split = split
        self.window = window
        self.values = values
        self.polarity = polarity
        self.downsample = downsample
        self.sensor_size = sensor_size
        self.dtype = dtype
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the sensor size, and the window with ``window="fit"``.

        Parameters
        ----------
        X : EventCollection, list or object array of structured arrays
            The recordings, each with the fields ``x``, ``y``, ``t`` (µs) and ``p``.
        y : None
            Ignored.

        Returns
        -------
        self : FrameEncoder
            The fitted encoder.
        """
        X = as_event_collection(X, "FrameEncoder")
        self._check_dtype()
        sensor_size = X.sensor_size if self.sensor_size is None else self.sensor_size
        self.sensor_size_ = check_sensor_size("FrameEncoder", sensor_size)
        self.window_ = self._choose_window(X)
        self.output_shape_ = self._plan().shape
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X, y=None):
        """Fit to recordings and return their frames.

        Parameters
        ----------
        X : EventCollection, list or object array of structured arrays
            The recordings, each with the fields ``x``, ``y``, ``t`` (µs) and ``p``.
        y : None
            Ignored.

        Returns
        -------
        frames : ndarray of shape (n_samples, n_bins, n_polarities, height, width)
            The frames.
        """
        X = as_event_collection(X, "FrameEncoder")
        return self.fit(X).transform(X)

    def transform(self, X):
        """Return the frames of recordings.

        Parameters
        ----------
        X : EventCollection, list or object array of structured arrays
            The recordings, each with the fields ``x``, ``y``, ``t`` (µs) and ``p``.

        Returns
        -------
        frames : ndarray of shape (n_samples, n_bins, n_polarities, height, width)
            The frames.
        """
        check_is_fitted(self)
        X = as_event_collection(X, "FrameEncoder")
        plan = self._plan()
        frames = np.zeros((len(X), *plan.shape), self._check_dtype())
        limit = _LIMITS[frames.dtype.name]
        done, before, after = self._encode_fast(X, plan, frames, limit)
        clipped = 0
        for i in np.flatnonzero(~done):
            _check_on_sensor(X[i], i, plan.sensor_size)
            exact, before[i], after[i] = encode_recording(X[i], plan)
            frames[i] = np.clip(exact, -limit, limit)
            clipped += np.maximum(np.abs(exact) - limit, 0).sum()
        self._warn_of_losses(X, before, after, clipped)
        return frames

    def _encode_fast(self, X: EventCollection, plan: FramePlan, frames: np.ndarray, limit: int):
        """Fill in the frames of what compiled code can encode, and tell which those are."""
        if get_config()["backend"] == "reference":
            return np.zeros(len(X), bool), np.zeros(len(X), int), np.zeros(len(X), int)
        from ._frames_numba import encode_collection

        return encode_collection(X, plan, frames, limit, effective_n_jobs(self.n_jobs))

    def _plan(self) -> FramePlan:
        """Return what decides the frames."""
        return FramePlan(
            n_bins=self.n_bins,
            by_time=self.split == "time",
            window=self.window_,
            values=self.values,
            n_polarities=2 if self.polarity == "separate" and self.values != "signed" else 1,
            downsample=self.downsample,
            sensor_size=self.sensor_size_,
        )

    def _check_dtype(self) -> np.dtype:
        """Return the dtype of the frames, or raise."""
        name = self.dtype if isinstance(self.dtype, str) else np.dtype(self.dtype).name
        choices = [c for c in _LIMITS if self.values != "signed" or not c.startswith("u")]
        if name not in choices:
            raise ValueError(
                f"The 'dtype' parameter of FrameEncoder with values={self.values!r} must be one of "
                f"{choices}. Got {self.dtype!r} instead."
            )
        return np.dtype(name)

    def _choose_window(self, X: EventCollection) -> tuple[int, int] | None:
        """Return the fixed window, or None if each recording has its own."""
        if isinstance(self.window, str):
            return None if self.window == "recording" else _span(X)
        if len(self.window) != 2 or not self.window[0] < self.window[1]:
            raise ValueError(
                "The 'window' parameter of FrameEncoder must be a pair (start, stop) with "
                f"start < stop. Got {self.window!r} instead."
            )
        for edge in self.window:
            check_number("FrameEncoder", "window", edge, -MAX_TIME, MAX_TIME, integer=True)
        return int(self.window[0]), int(self.window[1])

    def _warn_of_losses(self, X: EventCollection, before, after, clipped: int) -> None:
        """Warn of events that the frames do not count."""
        outside = before + after
        if outside.any():
            start, stop = self.window_
            warnings.warn(
                f"FrameEncoder left out {outside.sum()} of {X.n_events} events, in "
                f"{np.count_nonzero(outside)} of {len(X)} recordings: {before.sum()} before and "
                f"{after.sum()} after the window [{start}, {stop}) µs.",
                EventLossWarning,
                stacklevel=3,
            )
        if clipped:
            warnings.warn(
                f"FrameEncoder left out {clipped} of {X.n_events} events: pixels with more events "
                f"than {np.dtype(self.dtype)} can count were clipped; choose a wider dtype.",
                EventLossWarning,
                stacklevel=3,
            )

    def get_feature_names_out(self, input_features=None):
        """Return a name for each value of a recording's frames, flattened.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str objects of shape (n_bins * n_polarities * height * width,)
            Names such as ``t0_p1_y3_x7``, in the order of ``frames.reshape(n_samples, -1)``.
        """
        check_is_fitted(self)
        names = [f"t{b}_p{p}_y{y}_x{x}" for b, p, y, x in np.ndindex(self.output_shape_)]
        return np.array(names, dtype=object)

    def set_output(self, *, transform=None):
        """Change nothing: frames have five dimensions and cannot become a table.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self : FrameEncoder
            The encoder.
        """
        return self

    def __sklearn_tags__(self):
        """Say that the input is no table."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def _span(X: EventCollection) -> tuple[int, int]:
    """Return the window from the first to the last event of all recordings."""
    times = [recording["t"] for recording in X if len(recording)]
    if not times:
        raise ValueError("X of FrameEncoder with window='fit' must hold an event. Got none.")
    return int(min(t.min() for t in times)), int(max(t.max() for t in times)) + 1


def _check_on_sensor(recording: np.ndarray, i: int, sensor_size: tuple[int, int]) -> None:
    """Raise if an event of recording `i` lies off the sensor."""
    x, y = recording["x"], recording["y"]
    off = (x < 0) | (x >= sensor_size[0]) | (y < 0) | (y >= sensor_size[1])
    if off.any():
        k = np.argmax(off)
        raise ValueError(
            f"Events of X of FrameEncoder must lie on the sensor of size {sensor_size}. "
            f"Recording {i} has one at x={x[k]}, y={y[k]} instead."
        )
