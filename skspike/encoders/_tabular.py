"""ToTabular: arrays of any number of axes as tables with named columns."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._events import is_events
from .._sklearn import check_feature_names_in, validate_data

_AXES = {2: "tf", 3: "pyx", 4: "tpyx"}  # of one sample: series, images, frames
_LAYOUTS = (
    "(n_samples, n_features), (n_samples, n_steps, n_features), "
    "(n_samples, n_channels, height, width) or (n_samples, n_steps, n_channels, height, width)"
)


class ToTabular(TransformerMixin, BaseEstimator):
    """Turn frames, images or series into a table with named columns.

    The step between an encoder and a model that reads tables, such as
    :class:`~sklearn.decomposition.PCA` or a random forest. Every number of a sample becomes a
    column; tables pass through.

    Attributes
    ----------
    sample_shape_ : tuple of int
        Shape of a sample in fit.
    n_features_in_ : int
        Length of a sample's last axis; of tables the number of columns.
    feature_names_in_ : ndarray of str objects of shape (`n_features_in_`,)
        Names of the columns of tables whose columns have names.

    Raises
    ------
    TypeError
        If `X` holds recordings, which need an encoder first.
    ValueError
        If `X` has less than two axes or more than five, if it holds NaN or infinity, or if samples
        have another shape than in fit.

    See Also
    --------
    FrameEncoder : Turns recordings into frames.

    Notes
    -----
    The table shares its memory with `X` where that is contiguous. Numbers keep their dtype.

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import FrameEncoder, ToTabular
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = make_moving_shapes(n_samples=30, sensor_size=(8, 8), random_state=0)
    >>> model = make_pipeline(FrameEncoder(n_bins=2), ToTabular(), RandomForestClassifier())
    >>> model.fit(X, y).predict(X).shape
    (30,)
    >>> model[1].get_feature_names_out()[[0, 1, 8, 255]].tolist()
    ['t0_p0_y0_x0', 't0_p0_y0_x1', 't0_p0_y1_x0', 't1_p1_y7_x7']
    """

    def fit(self, X, y=None):
        """Learn the shape of a sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Frames of shape (n_samples, n_steps, n_channels, height, width), images without
            `n_steps`, series of shape (n_samples, n_steps, n_features), or a table.
        y : None
            Ignored.

        Returns
        -------
        self : ToTabular
            The fitted step.
        """
        self._check_X(X, reset=True)
        return self

    def transform(self, X):
        """Return a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape seen in fit.

        Returns
        -------
        table : ndarray of shape (n_samples, n_columns)
            A row for each sample. After ``set_output(transform="pandas")``, a data frame.
        """
        check_is_fitted(self)
        array = self._check_X(X, reset=False)
        return array.reshape(len(array), -1)

    def inverse_transform(self, X):
        """Return the samples that a table was made of.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            A table such as `transform` returns.

        Returns
        -------
        samples : ndarray of shape (n_samples, ...)
            Samples of the shape seen in fit.
        """
        check_is_fitted(self)
        array = check_array(X, ensure_min_samples=0, estimator=self, input_name="X")
        n_columns = int(np.prod(self.sample_shape_))
        if array.shape[1] != n_columns:
            raise ValueError(
                f"X of ToTabular.inverse_transform must have {n_columns} columns, as many as "
                f"transform returns. Got {array.shape[1]} instead."
            )
        return array.reshape(len(array), *self.sample_shape_)

    def _check_X(self, X, *, reset: bool) -> np.ndarray:
        """Return X as a finite array of 2 to 5 axes."""
        if is_events(X):
            raise TypeError(
                "X of ToTabular must be an array: encode recordings first, for instance with "
                f"FrameEncoder. Got {type(X)} instead."
            )
        array = check_array(X, allow_nd=True, estimator=self, input_name="X")
        if array.ndim > 5 or 0 in array.shape[1:]:
            raise ValueError(
                f"X of ToTabular must have one of the shapes {_LAYOUTS}, without an empty axis. "
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
                f"X of ToTabular must have shape ({expected}), as in fit. "
                f"Got shape ({got}) instead."
            )

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns.

        Parameters
        ----------
        input_features : array-like of str objects, default=None
            Names of the columns of a table, or of the numbers of a flattened sample if there are as
            many; otherwise ignored.

        Returns
        -------
        names : ndarray of str objects of shape (n_columns,)
            Those of a table: as they were. Of frames names such as ``t0_p1_y3_x7``, of images
            ``p1_y3_x7``, of series ``t0_f3``; or the `input_features`, as encoders name them.
        """
        check_is_fitted(self)
        if len(self.sample_shape_) == 1:
            return check_feature_names_in(self, input_features)
        n_columns = int(np.prod(self.sample_shape_))
        if input_features is not None and len(input_features) == n_columns:
            return np.asarray(input_features, dtype=object)
        return name_values(self.sample_shape_)

    def __sklearn_tags__(self):
        """Say that series are taken too, and that numbers keep their dtype."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def name_values(shape: tuple[int, ...]) -> np.ndarray:
    """Name the numbers of a flattened sample by their places, such as ``t0_p1_y3_x7``."""
    axes = _AXES.get(len(shape), [f"a{axis}_" for axis in range(len(shape))])
    names = [""]
    for axis, size in zip(axes, shape, strict=True):
        names = [f"{name}_{axis}{i}" for name in names for i in range(size)]
    return np.array([name[1:] for name in names], dtype=object)
