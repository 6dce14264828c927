"""TonicTransformer: the transforms of tonic as scikit-learn steps."""

from __future__ import annotations

import copy
import inspect
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._event_columns import EVENT_DTYPE, FIELDS, check_sensor_size
from .._events import EventCollection, as_event_collection
from .._sklearn import fit_context
from ._tabular import name_values

# What tonic's own data sets yield.
_TONIC_DTYPE = np.dtype([(name, np.int64) for name in FIELDS])


class TonicTransformer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Use a transform of tonic as a scikit-learn step.

    Every recording is passed through the transform. Where it returns events the output is an
    ``EventCollection``, and where it returns arrays, such as frames, an array of them. Which events
    are left out is up to the transform, and nothing warns of it.

    Parameters
    ----------
    tonic_transform : str or callable, default="Denoise"
        The name of a class in ``tonic.transforms``, or an object: a transform or a
        ``tonic.transforms.Compose`` of several, or anything else that takes a structured array with
        the fields ``x, y, t, p`` and returns one, or an array.
    params : dict, default=None
        Arguments for the class that `tonic_transform` names. If it takes a ``sensor_size`` and none
        is given here, it gets ``(width, height, 2)``.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels, on which returned events lie. By default that of the
        recordings seen in fit.
    random_state : int, RandomState instance or None, default=None
        Determines what a random transform draws. With an int a recording is transformed in the same
        way in every call, whatever recordings are around it.

    Attributes
    ----------
    tonic_transform_ : callable
        The transform.
    returns_events_ : bool
        Whether it returns events, as it does for the first recording of fit that has any.
    output_shape_ : tuple of int or None
        Shape of the array that it returns for a recording, or None if it returns events.
    sensor_size_ : tuple of int (width, height)
        Size of the sensor in pixels, on which returned events lie.

    Raises
    ------
    ImportError
        If a transform is named and tonic is not installed.
    EventFormatError
        If returned events are none, for instance because they lie off the sensor.
    ValueError
        If the transform fails, where the message names the recording, if recordings give arrays of
        different shapes, or if there is no such transform.

    See Also
    --------
    FrameEncoder : Frames without a lost event.
    Denoise : The filter of the same name, many times as fast.

    Notes
    -----
    tonic is an optional dependency under the GNU General Public License 3.0, which also governs
    what you distribute together with it; skspike neither contains nor needs it. Install it with
    ``pip install "skspike[tonic]"``.

    A transform sees a copy of each recording in order of time (equal times keep their order), with
    fields of int64, as from tonic's data sets: where events are out of order, tonic loses some or
    mixes them up. Times that it returns as fractions are rounded to microseconds. Recordings
    without events do not go through the transform, since many fail on them: they stay empty, or
    give zeros.

    tonic draws from numpy's global generator. It is seeded for each recording and put back
    afterwards, so that other threads that draw from it meanwhile see it change. Equal recordings
    draw equally. Transforms that draw from elsewhere are not made repeatable.

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import TonicTransformer
    >>> X, y = make_moving_shapes(n_samples=3, random_state=0)
    >>> TonicTransformer(lambda events: events[::2]).fit_transform(X).n_events < X.n_events
    True
    >>> frames = TonicTransformer("ToFrame", params={"n_time_bins": 4})  # with tonic
    >>> frames.fit_transform(X).shape  # doctest: +SKIP
    (3, 4, 2, 32, 32)
    """

    _parameter_constraints: dict = {
        "tonic_transform": [str, callable],
        "params": [dict, None],
        "sensor_size": ["array-like", None],
        "random_state": ["random_state"],
    }

    def __init__(
        self, tonic_transform="Denoise", *, params=None, sensor_size=None, random_state=None
    ):
        self.tonic_transform = tonic_transform
        self.params = params
        self.sensor_size = sensor_size
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the sensor size, and what the transform returns.

        Parameters
        ----------
        X : EventCollection, list or object array of structured arrays
            The recordings, each with the fields ``x``, ``y``, ``t`` (µs) and ``p``.
        y : None
            Ignored.

        Returns
        -------
        self : TonicTransformer
            The fitted step.
        """
        X = as_event_collection(X, "TonicTransformer")
        size = X.sensor_size if self.sensor_size is None else self.sensor_size
        self.sensor_size_ = check_sensor_size("TonicTransformer", size)
        self.tonic_transform_ = self._make_transform(X.sensor_size)
        self._seed = None
        if self.random_state is not None:
            self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        first = next(iter(np.flatnonzero(X.lengths)), None)
        example = None if first is None else self._apply(X[first], first)
        self.returns_events_ = example is None or example.dtype.names is not None
        self.output_shape_ = None if self.returns_events_ else example.shape
        self._dtype = None if self.returns_events_ else example.dtype
        return self

    def transform(self, X):
        """Pass recordings through the transform.

        Parameters
        ----------
        X : EventCollection, list or object array of structured arrays
            The recordings, each with the fields ``x``, ``y``, ``t`` (µs) and ``p``.

        Returns
        -------
        transformed : EventCollection of n_samples recordings, or ndarray of shape (n_samples, ...)
            What the transform returns for each.
        """
        check_is_fitted(self)
        X = as_event_collection(X, "TonicTransformer")
        results = [self._apply(events, i) if len(events) else None for i, events in enumerate(X)]
        if self.returns_events_:
            nothing = np.empty(0, EVENT_DTYPE)
            recordings = [nothing if result is None else _whole(result) for result in results]
            return EventCollection(recordings, sensor_size=self.sensor_size_)
        return self._stack(results)

    def _stack(self, results: list) -> np.ndarray:
        """Return the arrays of all recordings as one, with zeros where there were no events."""
        arrays = [result for result in results if result is not None]
        dtype = np.result_type(self._dtype, *arrays)
        stacked = np.zeros((len(results), *self.output_shape_), dtype)
        for i, result in enumerate(results):
            if result is None:
                continue
            if result.shape != self.output_shape_:
                raise ValueError(
                    "The transform of TonicTransformer must return arrays of one shape, "
                    f"{self.output_shape_} as in fit. Got {result.shape} for recording {i} instead."
                )
            stacked[i] = result
        return stacked

    def _make_transform(self, sensor_size: tuple[int, int]):
        """Return the transform, made of its name or copied."""
        if not isinstance(self.tonic_transform, str):
            if self.params is not None:
                raise ValueError(
                    "The 'params' parameter of TonicTransformer must be None if 'tonic_transform' "
                    f"is an object. Got {self.params!r} instead."
                )
            return copy.deepcopy(
                self.tonic_transform
            )  # some of tonic's change themselves when called
        cls = _find(self.tonic_transform)
        params = dict(self.params or {})
        if "sensor_size" in inspect.signature(cls).parameters:
            params.setdefault("sensor_size", (*sensor_size, 2))
        return cls(**params)

    def _apply(self, events: np.ndarray, i: int) -> np.ndarray:
        """Return what the transform makes of recording `i`, or raise in its name."""
        # In order of time, which tonic takes for granted.
        events = events[np.argsort(events["t"], kind="stable")].astype(_TONIC_DTYPE)
        seed = None if self._seed is None else self._seed ^ zlib.crc32(events)
        try:
            with _seeded(seed):
                result = np.asarray(self.tonic_transform_(events))
        except Exception as error:
            raise ValueError(
                f"Recording {i} of X of TonicTransformer must suit {self.tonic_transform!r}. "
                f"Got {type(error).__name__}: {error}"
            ) from error
        if result.dtype.names is None and result.dtype.kind not in "buif":
            raise TypeError(
                "The transform of TonicTransformer must return events or an array of numbers. "
                f"Got an array of dtype {result.dtype} for recording {i} instead."
            )
        return result

    def get_feature_names_out(self, input_features=None):
        """Return the names of the fields of an event, or of the numbers of an array, flattened.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str objects
            ``x``, ``y``, ``t`` and ``p``, or names such as ``t0_p1_y3_x7``.
        """
        check_is_fitted(self)
        if self.returns_events_:
            return np.array(FIELDS, dtype=object)
        return name_values(self.output_shape_)

    def set_output(self, *, transform=None):
        """Change nothing: neither recordings nor arrays of many axes are tables.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self : TonicTransformer
            The step.
        """
        return self

    def __sklearn_tags__(self):
        """Say that the input is no table."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.non_deterministic = self.random_state is None
        return tags


def _find(name: str) -> type:
    """Return a class of tonic.transforms, or say what is wrong with its name."""
    try:
        from tonic import transforms
    except ImportError as error:
        raise ImportError(
            "TonicTransformer finds a transform by name in tonic, which is not installed: "
            'pip install "skspike[tonic]".'
        ) from error
    found = getattr(transforms, name, None)
    if not inspect.isclass(found):
        raise ValueError(
            "The 'tonic_transform' parameter of TonicTransformer must be the name of a class in "
            f"tonic.transforms, or an object. Got {name!r} instead."
        )
    return found


def _whole(events: np.ndarray) -> np.ndarray:
    """Return events with times rounded to microseconds."""
    if "t" in events.dtype.names and events.dtype["t"].kind == "f":
        events = events.copy()
        events["t"] = np.rint(events["t"])
    return events


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed numpy's global generator, and put it back; None leaves it alone."""
    if seed is None:
        yield
        return
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
