"""What the encoders of tables, series and sound share: input, limits, dtype, names."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._sklearn import Interval, StrOptions, check_feature_names_in, fit_context, validate_data

__all__ = ["ScaledSignalEncoder", "SignalEncoder"]

FLOATS = ("float32", "float64")
DTYPES = (*FLOATS, "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64")
_LAYOUTS = "(n_samples, n_features) or (n_samples, n_steps, n_features)"


class SignalEncoder(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Base of the encoders of signals: tables and series in, spikes or currents out.

    A subclass names its parameters in `__init__`, among them `dtype`, and writes `_encode`.
    """

    _parameter_constraints: dict = {
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "dtype": [str, type, np.dtype],
    }
    _dtypes = DTYPES

    def _encode(self, series: np.ndarray) -> np.ndarray:
        """Turn series `(n, t, f)` in float64 into `(n, n_steps, n_features_out)`."""
        raise NotImplementedError

    def _learn(self, series: np.ndarray) -> None:
        """Learn from series `(n, t, f)` in float64."""

    def _channels(self, names: list[str]) -> list[str]:
        """Name the output features of a step, given the names of its input features."""
        return names

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the shape of a sample, and what else the encoder says it learns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_steps_in, n_features)
            A table, or series.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted encoder.
        """
        self._check_dtype()
        array = self._check_X(X, reset=True)
        self._learn(self._as_series(array))
        return self

    def transform(self, X):
        """Encode samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_steps_in, n_features)
            A table or series, of the shape seen in fit.

        Returns
        -------
        encoded : ndarray of shape (n_samples, n_steps, n_features_out)
            Spikes or currents.
        """
        check_is_fitted(self)
        series = self._as_series(self._check_X(X, reset=False))
        return self._encode(series).astype(self._check_dtype(), order="C", copy=False)

    def _as_series(self, array: np.ndarray) -> np.ndarray:
        """Return `(n, t, f)`: a row of a table is a single step."""
        return array[:, None] if array.ndim == 2 else array

    def _check_X(self, X, *, reset: bool) -> np.ndarray:
        """Return X as a finite array of float64 with two or three axes."""
        array = check_array(X, dtype=np.float64, allow_nd=True, estimator=self, input_name="X")
        if array.ndim > 3 or 0 in array.shape:
            raise ValueError(
                f"X of {type(self).__name__} must have shape {_LAYOUTS}, without an empty axis. "
                f"Got shape {array.shape} instead."
            )
        if not reset:
            self._check_same_shape(array.shape[1:])
        validate_data(self, X, skip_check_array=True, ensure_2d=array.ndim == 2, reset=reset)
        if reset:
            self.sample_shape_ = array.shape[1:]
            self.n_features_in_ = array.shape[-1]
        return array

    def _check_same_shape(self, shape: tuple[int, ...]) -> None:
        """Raise unless samples have the shape of `fit`; for tables scikit-learn has words."""
        if shape != self.sample_shape_ and not len(shape) == len(self.sample_shape_) == 1:
            expected = ", ".join(map(str, ("n_samples", *self.sample_shape_)))
            got = ", ".join(map(str, ("n_samples", *shape)))
            raise ValueError(
                f"X of {type(self).__name__} must have shape ({expected}), as in fit. "
                f"Got shape ({got}) instead."
            )

    def _check_dtype(self) -> np.dtype:
        """Return the dtype of the output, or raise."""
        name = self.dtype if isinstance(self.dtype, str) else np.dtype(self.dtype).name
        if name not in self._dtypes:
            raise ValueError(
                f"The 'dtype' parameter of {type(self).__name__} must be one of "
                f"{list(self._dtypes)}. Got {self.dtype!r} instead."
            )
        return np.dtype(name)

    def _n_steps_out(self) -> int:
        """Return the number of steps of an encoded sample."""
        n_steps_in = self.sample_shape_[0] if len(self.sample_shape_) == 2 else 1
        return n_steps_in * self.n_steps

    def get_feature_names_out(self, input_features=None):
        """Return a name for each value of an encoded sample, flattened.

        Parameters
        ----------
        input_features : array-like of str objects of shape (n_features,), default=None
            Names of the input features. By default those seen in fit, else ``x0``, ``x1``, ...

        Returns
        -------
        names : ndarray of str objects of shape (n_steps * n_features_out,)
            Names such as ``t0_x1``, in the order of ``encoded.reshape(n_samples, -1)``.
        """
        check_is_fitted(self)
        channels = self._channels(list(check_feature_names_in(self, input_features)))
        names = [f"t{t}_{channel}" for t in range(self._n_steps_out()) for channel in channels]
        return np.array(names, dtype=object)

    def set_output(self, *, transform=None):
        """Change nothing: encoded samples have three dimensions and cannot become a table.

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

    def __sklearn_tags__(self):
        """Say that series are taken too, and that the dtype is a parameter."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


class ScaledSignalEncoder(SignalEncoder):
    """Base of the encoders that see each feature as a level between 0 and 1.

    A subclass has the parameters `limits`, `quantile` and `clip`, and writes `_encode_levels`.
    """

    _parameter_constraints: dict = {
        **SignalEncoder._parameter_constraints,
        "limits": [StrOptions({"fit"}), "array-like"],
        "quantile": [Interval(Real, 0, 0.5, closed="left")],
        "clip": ["boolean"],
    }

    def _encode_levels(self, levels: np.ndarray, series: np.ndarray) -> np.ndarray:
        """Turn levels in [0, 1] (of `series`), both `(n, t, f)`, into spikes or currents."""
        raise NotImplementedError

    def _learn(self, series: np.ndarray) -> None:
        """Learn the limits of each feature."""
        if isinstance(self.limits, str):
            # Values that occur, without interpolation: no overflow, and outliers stay outside.
            values = series.reshape(-1, series.shape[-1])
            low = np.quantile(values, self.quantile, axis=0, method="lower")
            high = np.quantile(values, 1 - self.quantile, axis=0, method="higher")
            self.limits_ = np.stack([low, high])
        else:
            self.limits_ = self._given_limits(series.shape[-1])

    def _given_limits(self, n_features: int) -> np.ndarray:
        """Return the limits that were given, one pair for each feature."""
        try:
            limits = np.stack(
                [np.broadcast_to(np.asarray(edge, float), n_features) for edge in self.limits]
            )
        except (TypeError, ValueError):
            limits = np.empty((0, n_features))
        if len(limits) != 2 or not np.isfinite(limits).all() or not (limits[0] < limits[1]).all():
            raise ValueError(
                f"The 'limits' parameter of {type(self).__name__} must be 'fit' or a pair "
                f"(low, high) of finite numbers, or of arrays of {n_features} numbers, with "
                f"low < high. Got {self.limits!r} instead."
            )
        return limits

    def _encode(self, series: np.ndarray) -> np.ndarray:
        return self._encode_levels(self._levels(series), series)

    def _levels(self, series: np.ndarray) -> np.ndarray:
        """Map each feature's limits to 0 and 1."""
        low, high = self.limits_
        if not self.clip:
            self._check_inside(series)
        # the widest ranges overflow, unless halved
        half = np.where(high / 2 - low / 2 > np.finfo(float).max / 4, 0.5, 1.0)
        width = np.where(high > low, high * half - low * half, 1.0)
        return (np.clip(series, low, high) * half - low * half) / width

    def _check_inside(self, series: np.ndarray) -> None:
        """Raise if a value lies outside the limits."""
        low, high = self.limits_
        outside = (series < low) | (series > high)
        if outside.any():
            i, t, f = np.unravel_index(np.argmax(outside), outside.shape)
            raise ValueError(
                f"X of {type(self).__name__} with clip=False must lie within limits_, "
                f"[{low[f]}, {high[f]}] for feature {f}. "
                f"Got {series[i, t, f]} in sample {i} instead."
            )


def one_spike(steps: np.ndarray, silent: np.ndarray, n_steps: int) -> np.ndarray:
    """Return `(n, t * n_steps, f)` with a spike at the step named by `steps`, `(n, t, f)`."""
    spikes = steps[:, :, None, :] == np.arange(n_steps)[:, None]
    spikes &= ~silent[:, :, None, :]
    return spikes.reshape(len(steps), -1, steps.shape[-1])
