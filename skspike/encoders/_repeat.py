"""RepeatEncoder: values as constant currents."""

from __future__ import annotations

import numpy as np

from ._signal_base import FLOATS, SignalEncoder

__all__ = ["RepeatEncoder"]


class RepeatEncoder(SignalEncoder):
    """Show each value as a constant current for a number of steps.

    The first layer of the network turns currents into spikes: direct coding.

    Parameters
    ----------
    n_steps : int, default=10
        Number of steps for which a sample is shown. Series are shown step by step, each for so
        many steps: a slow signal for a fast network.
    dtype : {"float32", "float64"}, default="float32"
        Type of the currents.

    Attributes
    ----------
    sample_shape_ : tuple of int
        Shape of a sample, without the first axis.
    n_features_in_ : int
        Number of features, of each step where samples are series.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `X` had names.

    Raises
    ------
    ValueError
        If `X` is no finite table or series, or too large for the dtype.

    Notes
    -----
    Values are passed on as they are. Scale them first, for instance with scikit-learn's
    ``StandardScaler``: neurons have a threshold.

    References
    ----------
    .. [1] Rueckauer, B., Lungu, I.-A., Hu, Y., Pfeiffer, M., & Liu, S.-C. (2017). "Conversion of
       continuous-valued deep networks to efficient event-driven networks for image classification."
       Frontiers in Neuroscience 11, 682.

    Examples
    --------
    >>> from skspike.encoders import RepeatEncoder
    >>> RepeatEncoder(n_steps=3).fit_transform([[1.0, 2.5]])
    array([[[1. , 2.5],
            [1. , 2.5],
            [1. , 2.5]]], dtype=float32)
    """

    _dtypes = FLOATS

    def __init__(self, n_steps=10, *, dtype="float32"):
        self.n_steps = n_steps
        self.dtype = dtype

    def _encode(self, series: np.ndarray) -> np.ndarray:
        dtype = self._check_dtype()
        largest = np.abs(series).max()
        if largest > np.finfo(dtype).max:
            raise ValueError(
                f"X of RepeatEncoder with dtype={self.dtype!r} must hold numbers of {dtype}. "
                f"Got one of size {largest} instead."
            )
        return np.repeat(series.astype(dtype), self.n_steps, axis=1)
