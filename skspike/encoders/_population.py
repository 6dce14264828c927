"""PopulationEncoder: levels to the answers of several neurons with overlapping receptive fields."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np

from .._sklearn import Interval, StrOptions
from ._signal_base import FLOATS, ScaledSignalEncoder, one_spike

__all__ = ["PopulationEncoder"]


class PopulationEncoder(ScaledSignalEncoder):
    """Turn each feature into several neurons that answer to different values of it.

    The receptive fields of the ``m`` neurons of a feature are Gaussians that cover its limits. Of
    the level between 0 and 1, the centre of the field of neuron ``i`` of ``0 ... m - 1`` is at
    ``(2 * i - 1) / (2 * (m - 2))``, and its width is ``1 / (beta * (m - 2))``.

    Parameters
    ----------
    n_neurons : int, default=8
        Number of neurons of each feature, 3 at least.
    n_steps : int, default=10
        Number of steps for which a sample is shown. Series are shown step by step, each for so
        many steps.
    code : {"latency", "current"}, default="latency"
        What a neuron makes of its response ``r``, which is 1 at the centre of its field: a single
        spike at step ``(n_steps - 1) * (1 - r)``, rounded, halves to even, or a constant current.
    beta : float, default=1.5
        Sharpness of the receptive fields; between 1 and 2 in the paper.
    threshold : float, default=0.1
        Neurons whose response is below it do not answer.
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
        Type of the spikes, which are 0 and 1; currents are "float32" or "float64".

    Attributes
    ----------
    limits_ : ndarray of shape (2, n_features)
        Lower and upper limit of each feature.
    centers_ : ndarray of shape (n_neurons,)
        Centres of the receptive fields, as levels.
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
    LatencyEncoder : A single neuron for each feature.

    Notes
    -----
    The neurons of a feature lie side by side: column ``f * n_neurons + i`` is neuron ``i`` of
    feature ``f``, and its name ends in ``_n{i}``. A feature that was constant in fit has level 0.

    The fields are those of spikingjelly's ``GaussianTuning``; its spike times are not rounded.

    References
    ----------
    .. [1] Bohte, S. M., Kok, J. N., & La Poutré, H. (2002). "Error-backpropagation in temporally
       encoded networks of spiking neurons." Neurocomputing 48, 17-37.

    Examples
    --------
    >>> import numpy as np
    >>> from skspike.encoders import PopulationEncoder
    >>> X = np.array([[0.0], [0.5], [1.0]])
    >>> spikes = PopulationEncoder(n_neurons=5, n_steps=4, dtype="uint8").fit_transform(X)
    >>> spikes.shape
    (3, 4, 5)
    >>> spikes[1]
    array([[0, 0, 1, 0, 0],
           [0, 0, 0, 0, 0],
           [0, 1, 0, 1, 0],
           [0, 0, 0, 0, 0]], dtype=uint8)
    """

    _parameter_constraints: dict = {
        **ScaledSignalEncoder._parameter_constraints,
        "n_neurons": [Interval(Integral, 3, None, closed="left")],
        "code": [StrOptions({"latency", "current"})],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "threshold": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        n_neurons=8,
        *,
        n_steps=10,
        code="latency",
        beta=1.5,
        threshold=0.1,
        limits="fit",
        quantile=0.0,
        clip=True,
        dtype="float32",
    ):
        self.n_neurons = n_neurons
        self.n_steps = n_steps
        self.code = code
        self.beta = beta
        self.threshold = threshold
        self.limits = limits
        self.quantile = quantile
        self.clip = clip
        self.dtype = dtype

    def _learn(self, series: np.ndarray) -> None:
        super()._learn(series)
        m = self.n_neurons
        self.centers_ = (2 * np.arange(m) - 1) / (2 * (m - 2))

    def _encode_levels(self, levels: np.ndarray, series: np.ndarray) -> np.ndarray:
        width = 1 / (self.beta * (self.n_neurons - 2))
        distance = (levels[..., None] - self.centers_) / width
        responses = np.exp(-0.5 * distance**2).reshape(*levels.shape[:2], -1)
        silent = responses < self.threshold
        if self.code == "current":
            return np.repeat(np.where(silent, 0.0, responses), self.n_steps, axis=1)
        steps = np.rint((self.n_steps - 1) * (1.0 - responses))
        return one_spike(steps, silent, self.n_steps)

    @property
    def _dtypes(self) -> tuple[str, ...]:
        """The dtypes that the code allows."""
        return FLOATS if self.code == "current" else super()._dtypes

    def _channels(self, names: list[str]) -> list[str]:
        return [f"{name}_n{i}" for name in names for i in range(self.n_neurons)]
