"""What all encoders of recordings have in common: sensor, window, dtype, losses, scikit-learn."""

from __future__ import annotations

import math
import warnings

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._buffers import aligned
from .._config import get_config
from .._event_columns import MAX_TIME, check_sensor_size
from .._events import EventCollection, as_event_collection
from .._sklearn import fit_context
from .._validation import check_number
from ..exceptions import EventLossWarning

FLOATS = ("float32", "float64")

# The largest count that each dtype holds exactly.
LIMITS = {
    **{name: int(np.iinfo(name).max) for name in ("uint8", "int8", "uint16", "int16")},
    **{name: int(np.iinfo(name).max) for name in ("uint32", "int32", "int64")},
    "float32": 2**24,
    "float64": 2**53,
}


class EventEncoder(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Base of the transformers from recordings to arrays of five dimensions.

    A subclass has the parameters ``window``, ``sensor_size``, ``dtype`` and ``n_jobs`` and says
    what is its own: a plan of the output (:meth:`_plan`), its specification (:meth:`_encode`), its
    compiled twin (:meth:`_encode_fast`), and which dtypes it can fill (:meth:`_dtypes`).
    """

    _counts = True  # whether the values are counts, to be clipped where the dtype ends

    def _plan(self):
        """Return what decides the output; it has a `shape`, that of one recording's output."""
        raise NotImplementedError

    def _encode(self, events, plan):
        """Return one recording's output, and its events before, after and beyond the bins."""
        raise NotImplementedError

    def _encode_fast(self, X, plan, out, lost, limit, n_threads):
        """Fill in the output and the losses; return which recordings could be encoded."""
        raise NotImplementedError

    def _dtypes(self) -> tuple[list[str], str]:
        """Return the names of the dtypes that the output may have, and when that holds."""
        return list(LIMITS), ""

    def _capacity(self) -> str:
        """Say how much the bins hold, of an encoder whose bins can be too small for a window."""
        raise NotImplementedError

    def _channel_names(self) -> list[str]:
        """Return a name for each channel of the output."""
        return [f"p{channel}" for channel in range(self.output_shape_[1])]

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
        self : object
            The fitted encoder.
        """
        name = type(self).__name__
        X = as_event_collection(X, name)
        self._check_dtype()
        sensor_size = X.sensor_size if self.sensor_size is None else self.sensor_size
        self.sensor_size_ = check_sensor_size(name, sensor_size)
        self.window_ = self._choose_window(X)
        self.output_shape_ = self._plan().shape
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X, y=None):
        """Fit to recordings and encode them.

        Parameters
        ----------
        X : EventCollection, list or object array of structured arrays
            The recordings, each with the fields ``x``, ``y``, ``t`` (µs) and ``p``.
        y : None
            Ignored.

        Returns
        -------
        encoded : ndarray of shape (n_samples, n_bins, n_channels, height, width)
            The encoded recordings.
        """
        X = as_event_collection(X, type(self).__name__)
        return self.fit(X).transform(X)

    def transform(self, X):
        """Encode recordings.

        Parameters
        ----------
        X : EventCollection, list or object array of structured arrays
            The recordings, each with the fields ``x``, ``y``, ``t`` (µs) and ``p``.

        Returns
        -------
        encoded : ndarray of shape (n_samples, n_bins, n_channels, height, width)
            The encoded recordings.
        """
        check_is_fitted(self)
        X = as_event_collection(X, type(self).__name__)
        plan, dtype = self._plan(), self._check_dtype()
        encoded = aligned(math.prod((len(X), *plan.shape)), dtype).reshape(len(X), *plan.shape)
        lost = np.zeros((len(X), 3), np.int64)
        done = self._try_fast(X, plan, encoded, lost)
        clipped = sum(self._encode_one(X, i, plan, encoded, lost) for i in np.flatnonzero(~done))
        self._warn_of_losses(X, lost, int(clipped))
        return encoded

    def _try_fast(self, X: EventCollection, plan, encoded, lost) -> np.ndarray:
        """Encode with compiled code, unless the configuration says no; return what is done."""
        if get_config()["backend"] == "reference":
            return np.zeros(len(X), bool)
        options = LIMITS[encoded.dtype.name], effective_n_jobs(self.n_jobs)
        done = [
            self._encode_fast(X[part], plan, encoded[part], lost[part], *options)
            for part in X._parts()  # of a mapped file, some events at a time are in memory
        ]
        return np.concatenate(done)

    def _encode_one(self, X: EventCollection, i: int, plan, encoded, lost) -> float:
        """Encode a recording that compiled code declined; return by how much counts were clipped.

        Most such recordings are out of order: sorted, compiled code takes them. What remains has
        a count too large for the dtype.
        """
        self._check_on_sensor(X[i], i)
        events = X[i][np.argsort(X[i]["t"], kind="stable")]
        alone = EventCollection._from_parts(
            events, np.array([0, len(events)]), np.array([0]), X.sensor_size
        )
        encoded[i], lost[i] = 0, 0
        if self._try_fast(alone, plan, encoded[i : i + 1], lost[i : i + 1])[0]:
            return 0
        exact, lost[i] = self._encode(events, plan)
        if not self._counts:
            encoded[i] = exact
            return 0
        limit = LIMITS[encoded.dtype.name]
        encoded[i] = np.clip(exact, -limit, limit)
        return np.maximum(np.abs(exact) - limit, 0).sum()

    def _check_dtype(self) -> np.dtype:
        """Return the dtype of the output, or raise."""
        name = self.dtype if isinstance(self.dtype, str) else np.dtype(self.dtype).name
        choices, when = self._dtypes()
        if name not in choices:
            raise ValueError(
                f"The 'dtype' parameter of {type(self).__name__}{when} must be one of "
                f"{choices}. Got {self.dtype!r} instead."
            )
        return np.dtype(name)

    def _choose_window(self, X: EventCollection) -> tuple[int, int] | None:
        """Return the fixed window, or None if each recording has its own."""
        name = type(self).__name__
        if isinstance(self.window, str):
            return None if self.window == "recording" else _span(X, name)
        if len(self.window) != 2 or not self.window[0] < self.window[1]:
            raise ValueError(
                f"The 'window' parameter of {name} must be a pair (start, stop) with "
                f"start < stop. Got {self.window!r} instead."
            )
        for edge in self.window:
            check_number(name, "window", edge, -MAX_TIME, MAX_TIME, integer=True)
        return int(self.window[0]), int(self.window[1])

    def _check_on_sensor(self, recording: np.ndarray, i: int) -> None:
        """Raise if an event of recording `i` lies off the sensor."""
        x, y = recording["x"], recording["y"]
        width, height = self.sensor_size_
        off = (x < 0) | (x >= width) | (y < 0) | (y >= height)
        if off.any():
            k = np.argmax(off)
            raise ValueError(
                f"Events of X of {type(self).__name__} must lie on the sensor of size "
                f"{self.sensor_size_}. Recording {i} has one at x={x[k]}, y={y[k]} instead."
            )

    def _warn_of_losses(self, X: EventCollection, lost: np.ndarray, clipped: int) -> None:
        """Warn of events that the output does not count."""
        outside, beyond = lost[:, :2], lost[:, 2]
        if outside.any():
            start, stop = self.window_
            (before, after), n_recordings = outside.sum(axis=0), outside.any(axis=1).sum()
            self._warn(
                f"{before + after} of {X.n_events} events, in {n_recordings} of "
                f"{len(X)} recordings: {before} before and {after} after the window "
                f"[{start}, {stop}) µs.",
            )
        if beyond.any():
            self._warn(
                f"{beyond.sum()} of {X.n_events} events, in {np.count_nonzero(beyond)} of "
                f"{len(X)} recordings: {self._capacity()}",
            )
        if clipped:
            self._warn(
                f"{clipped} of {X.n_events} events: pixels with more events than "
                f"{np.dtype(self.dtype)} can count were clipped; choose a wider dtype.",
            )

    def _warn(self, what: str) -> None:
        """Warn in the name of the encoder, at the line that called transform."""
        text = f"{type(self).__name__} left out {what}"
        warnings.warn(text, EventLossWarning, stacklevel=4)

    def get_feature_names_out(self, input_features=None):
        """Return a name for each value of an encoded recording, flattened.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str objects of shape (n_bins * n_channels * height * width,)
            Names such as ``t0_p1_y3_x7``, in the order of ``encoded.reshape(n_samples, -1)``.
        """
        check_is_fitted(self)
        n_bins, _, height, width = self.output_shape_
        pixels = [f"y{y}_x{x}" for y, x in np.ndindex(height, width)]
        channels = [f"t{b}_{channel}" for b in range(n_bins) for channel in self._channel_names()]
        names = [f"{channel}_{pixel}" for channel in channels for pixel in pixels]
        return np.array(names, dtype=object)

    def set_output(self, *, transform=None):
        """Change nothing: the output has five dimensions and cannot become a table.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self : object
            The encoder.
        """
        return self

    def __event_claims__(self):
        """Say what the output can be held to; see `skspike.utils.estimator_checks`."""
        own_window = isinstance(self.window, str) and self.window == "recording"
        return {"time_shift"} if own_window else set()

    def __sklearn_tags__(self):
        """Say that the input is no table."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def _span(X: EventCollection, owner: str) -> tuple[int, int]:
    """Return the window from the first to the last event of all recordings."""
    times = (recording["t"] for recording in X if len(recording))
    spans = [(int(t.min()), int(t.max()) + 1) for t in times]
    if not spans:
        raise ValueError(f"X of {owner} with window='fit' must hold an event. Got none.")
    starts, stops = zip(*spans, strict=True)
    return min(starts), max(stops)
