"""LatencyEncoder: levels to the times of single spikes."""

from __future__ import annotations

from numbers import Real

import numpy as np

from .._sklearn import Interval, StrOptions
from ._signal_base import ScaledSignalEncoder, one_spike

__all__ = ["LatencyEncoder"]


class LatencyEncoder(ScaledSignalEncoder):
    """Turn each feature into a single spike, the sooner the larger it is.

    A feature of level ``x``, between 0 and 1, fires once in the ``n`` steps for which a sample is
    shown. With ``code="linear"`` at the step ``(n - 1) * (1 - x)``, with ``code="log"`` at
    ``(n - 1) - tau * log(1 + x * (exp((n - 1) / tau) - 1))``, rounded, halves to even.

    Parameters
    ----------
    n_steps : int, default=10
        Number of steps for which a sample is shown. Series are shown step by step, each for so
        many steps.
    code : {"linear", "log"}, default="linear"
        How the time of the spike follows from the level. "log" tells small levels apart, and fires
        soon for most others.
    tau : float, default=1.0
        How strongly ``code="log"`` is bent, in steps; the larger, the nearer it is to "linear".
    threshold : float, default=0.0
        Features whose level is below it do not fire.
    limits : {"fit"} or pair (low, high) of float or array-like of shape (n_features,), \
            default="fit"
        Between which values the level of a feature goes from 0 to 1; by default the smallest and
        the largest seen in fit.
    quantile : float, default=0.0
        Share of values that ``limits="fit"`` leaves outside at either end, so that an outlier does
        not set the scale.
    clip : bool, default=True
        Whether values outside the limits count as the nearest limit; otherwise they raise.
    dtype : {"float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", \
            "int64"}, default="float32"
        Type of the spikes, which are 0 and 1.

    Attributes
    ----------
    limits_ : ndarray of shape (2, n_features)
        Lower and upper limit of each feature.
    sample_shape_ : tuple of int
        Shape of a sample, without the first axis.
    n_features_in_ : int
        Number of features, of each step where samples are series.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `X` had names.

    Raises
    ------
    ValueError
        If `X` is no finite table or series, or lies outside the limits with ``clip=False``.

    See Also
    --------
    PopulationEncoder : Several neurons for each feature, each with a value that it fires first for.

    Notes
    -----
    A feature that was constant in fit has level 0: it fires at the last step, or never with a
    positive threshold.

    "linear" is the linear code of spikingjelly, and that of snnTorch with ``normalize=True`` and,
    for a positive threshold, ``clip=True``. "log" with ``tau=1`` is that of spikingjelly.
    snnTorch's other code is the time in which a leaky neuron charges, stretched until the last
    spike of the batch meets the last step; as it depends on the batch, there is none like it here.

    References
    ----------
    .. [1] Thorpe, S., Delorme, A., & Van Rullen, R. (2001). "Spike-based strategies for rapid
       processing." Neural Networks 14, 715-725.

    Examples
    --------
    >>> import numpy as np
    >>> from skspike.encoders import LatencyEncoder
    >>> X = np.array([[0.0], [0.5], [1.0]])
    >>> LatencyEncoder(n_steps=5, dtype="uint8").fit_transform(X)[..., 0]
    array([[0, 0, 0, 0, 1],
           [0, 0, 1, 0, 0],
           [1, 0, 0, 0, 0]], dtype=uint8)
    """

    _parameter_constraints: dict = {
        **ScaledSignalEncoder._parameter_constraints,
        "code": [StrOptions({"linear", "log"})],
        "tau": [Interval(Real, 0, None, closed="neither")],
        "threshold": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        n_steps=10,
        *,
        code="linear",
        tau=1.0,
        threshold=0.0,
        limits="fit",
        quantile=0.0,
        clip=True,
        dtype="float32",
    ):
        self.n_steps = n_steps
        self.code = code
        self.tau = tau
        self.threshold = threshold
        self.limits = limits
        self.quantile = quantile
        self.clip = clip
        self.dtype = dtype

    def _encode_levels(self, levels: np.ndarray, series: np.ndarray) -> np.ndarray:
        last = self.n_steps - 1
        if self.code == "linear":
            times = last * (1.0 - levels)
        else:
            times = last - self.tau * _log_gain(levels, last / self.tau)
        steps = np.clip(np.rint(times), 0, last)
        return one_spike(steps, levels < self.threshold, self.n_steps)


def _log_gain(x: np.ndarray, a: float) -> np.ndarray:
    """Return ``log(1 + x * (exp(a) - 1))``, whatever the size of `a`."""
    with np.errstate(divide="ignore"):  # log(0) = -inf is what is meant
        return np.logaddexp(0.0, np.log(x) + a + np.log(-np.expm1(-a)))
