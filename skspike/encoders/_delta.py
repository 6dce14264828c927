"""DeltaEncoder: changes of a signal to spikes up and down, and back."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._sklearn import Interval, check_feature_names_in
from ._signal_base import FLOATS, ScaledSignalEncoder

__all__ = ["DeltaEncoder"]


class DeltaEncoder(ScaledSignalEncoder):
    """Turn a signal into spikes wherever it has moved by a threshold.

    The encoder follows each feature with a reference that moves in multiples of the threshold. As
    often as the level has risen by the threshold above the reference, the feature's ON channel
    fires and the reference steps up; as often as it has fallen by it, the OFF channel fires and the
    reference steps down. A signal that stays where it is costs no spike. An event camera does the
    same in each pixel.

    Parameters
    ----------
    threshold : float, default=0.1
        Change that makes a spike, as a share of the distance between the limits.
    start : float or None, default=0.0
        Level of the reference before the first step, from 0 to 1: by default the lower limit, so
        that the first step tells where the signal begins. None takes the first value of each
        signal, whose first step is silent; then :meth:`inverse_transform` is not available.
    max_spikes : int, default=None
        Largest number of spikes of a channel in one step; where there would be more, the reference
        is behind the signal and makes up for it later. None is as many as needed.
    limits : {"fit"} or pair (low, high) of float or array-like of shape (n_features,), \
            default="fit"
        Between which values the level of a feature goes from 0 to 1; by default the smallest and
        the largest seen in fit, at any step.
    quantile : float, default=0.0
        Share of values that ``limits="fit"`` leaves outside at either end, so that an outlier does
        not set the scale.
    clip : bool, default=True
        Whether values outside the limits count as the nearest limit; otherwise they raise.
    dtype : {"float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", \
            "int64"}, default="float32"
        Type of the spikes: counts from 0 to at most ``1 / threshold``, which must fit.

    Attributes
    ----------
    limits_ : ndarray of shape (2, n_features)
        Lower and upper limit of each feature.
    sample_shape_ : tuple of int
        Shape of a sample, without the first axis.
    n_features_in_ : int
        Number of features of each step where samples are series, number of columns of a table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where `X` had names.

    Raises
    ------
    ValueError
        If `X` is no finite table or series, lies outside the limits with ``clip=False``, or may
        need more spikes in a step than `dtype` can hold.

    See Also
    --------
    RepeatEncoder : Shows a series as currents.

    Notes
    -----
    Here a row of a table is a signal in time, one feature whose steps are the columns, with one
    pair of limits for all of them; in the other encoders the columns are features without an order.

    Feature ``f`` has the channels ``2 * f`` (OFF) and ``2 * f + 1`` (ON). A change equal to the
    threshold fires.

    With ``max_spikes=None`` the level and the reference differ by less than the threshold at every
    step, and so do, multiplied by the distance of the limits, a signal and its reconstruction.

    snnTorch's ``spikegen.delta`` compares each step with the step before instead. Both agree where
    all levels are multiples of the threshold; a slow drift, which fires here at last, never does
    there.

    References
    ----------
    .. [1] Lichtsteiner, P., Posch, C., & Delbruck, T. (2008). "A 128 × 128 120 dB 15 µs latency
       asynchronous temporal contrast vision sensor." IEEE Journal of Solid-State Circuits 43,
       566-576.
    .. [2] Miskowicz, M. (2006). "Send-on-delta concept: an event-based data reporting strategy."
       Sensors 6, 49-63.

    Examples
    --------
    >>> import numpy as np
    >>> from skspike.encoders import DeltaEncoder
    >>> X = np.array([[0.0, 1.0, 3.0, 3.0, 2.0, 4.0]])  # one signal of six steps
    >>> encoder = DeltaEncoder(threshold=0.25, dtype="uint8").fit(X)
    >>> spikes = encoder.transform(X)
    >>> spikes[0].T
    array([[0, 0, 0, 0, 1, 0],
           [0, 1, 2, 0, 0, 2]], dtype=uint8)
    >>> encoder.inverse_transform(spikes)
    array([[0., 1., 3., 3., 2., 4.]])
    """

    _parameter_constraints: dict = {
        **ScaledSignalEncoder._parameter_constraints,
        "threshold": [Interval(Real, 0, 1, closed="right")],
        "start": [Interval(Real, 0, 1, closed="both"), None],
        "max_spikes": [Interval(Integral, 1, None, closed="left"), None],
    }
    _parameter_constraints.pop("n_steps")

    def __init__(
        self,
        threshold=0.1,
        *,
        start=0.0,
        max_spikes=None,
        limits="fit",
        quantile=0.0,
        clip=True,
        dtype="float32",
    ):
        self.threshold = threshold
        self.start = start
        self.max_spikes = max_spikes
        self.limits = limits
        self.quantile = quantile
        self.clip = clip
        self.dtype = dtype

    def _learn(self, series: np.ndarray) -> None:
        super()._learn(series)
        dtype = self._check_dtype()
        most = min(int(1 / self.threshold) + 1, self.max_spikes or np.inf)
        if dtype.name not in FLOATS and most > np.iinfo(dtype).max:
            raise ValueError(
                f"The 'dtype' parameter of DeltaEncoder must hold {most}, the largest number of "
                f"spikes in a step with threshold={self.threshold!r}. Got {self.dtype!r} instead."
            )

    def _as_series(self, array: np.ndarray) -> np.ndarray:
        """Return `(n, t, f)`: a row of a table is a signal of one feature."""
        return array[..., None] if array.ndim == 2 else array

    def _encode_levels(self, levels: np.ndarray, series: np.ndarray) -> np.ndarray:
        start = levels[:, :1] if self.start is None else self.start
        units = (levels - start) / self.threshold
        n, t, f = units.shape
        spikes = np.empty((n, t, f, 2), self._check_dtype())
        reference = np.zeros((n, f))  # in whole thresholds, so that rounding does not add up
        for step in range(t):
            change = np.trunc(units[:, step] - reference)
            if self.max_spikes is not None:
                change = np.clip(change, -self.max_spikes, self.max_spikes)
            reference += change
            spikes[:, step, :, 0] = np.maximum(-change, 0)
            spikes[:, step, :, 1] = np.maximum(change, 0)
        return spikes.reshape(n, t, 2 * f)

    def inverse_transform(self, X):
        """Reconstruct signals from their spikes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps, n_features_out)
            Spikes, as :meth:`transform` returns them.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features) or (n_samples, n_steps, n_features)
            The reference at each step, of the shape seen in fit, in float64.
        """
        check_is_fitted(self)
        if self.start is None:
            raise ValueError(
                "The 'start' parameter of DeltaEncoder must be a number for inverse_transform: "
                "spikes tell changes. Got None instead."
            )
        spikes = check_array(X, dtype=np.float64, allow_nd=True, estimator=self, input_name="X")
        low, high = self.limits_
        shape = (self._n_steps_out(), 2 * len(low))
        if spikes.shape[1:] != shape:
            raise ValueError(
                "X of DeltaEncoder.inverse_transform must have shape "
                f"(n_samples, {shape[0]}, {shape[1]}). Got shape {spikes.shape} instead."
            )
        change = spikes[..., 1::2] - spikes[..., ::2]
        level = self.start + self.threshold * change.cumsum(axis=1)
        signals = low * (1 - level) + high * level  # no overflow where high - low does
        return signals.reshape(len(spikes), *self.sample_shape_)

    def _n_steps_out(self) -> int:
        return self.sample_shape_[0]

    def get_feature_names_out(self, input_features=None):
        """Return a name for each value of an encoded sample, flattened.

        Parameters
        ----------
        input_features : array-like of str objects of shape (n_features,), default=None
            Names of the input features. By default those seen in fit, else ``x0``, ``x1``, ...

        Returns
        -------
        names : ndarray of str objects of shape (n_steps * n_features_out,)
            Names such as ``t0_x1_on``, in the order of ``encoded.reshape(n_samples, -1)``; the
            columns of a table are its steps, ``x1_on``.
        """
        if len(getattr(self, "sample_shape_", ())) == 1:
            names = self._channels(list(check_feature_names_in(self, input_features)))
            return np.array(names, dtype=object)
        return super().get_feature_names_out(input_features)

    def _channels(self, names: list[str]) -> list[str]:
        return [f"{name}_{side}" for name in names for side in ("off", "on")]
