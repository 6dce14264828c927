"""PoissonEncoder: levels to rates of random spikes."""

from __future__ import annotations

import hashlib
from numbers import Real

import numpy as np
from sklearn.utils import check_random_state

from .._sklearn import Interval
from ._signal_base import ScaledSignalEncoder

__all__ = ["PoissonEncoder"]


class PoissonEncoder(ScaledSignalEncoder):
    """Turn each feature into spikes at random, the more the larger it is.

    At every step a feature fires with a probability proportional to its level, independently of
    all other steps and features: rate coding.

    Parameters
    ----------
    n_steps : int, default=10
        Number of steps for which a sample is shown. Series are shown step by step, each for so
        many steps; 1 keeps their length.
    max_rate : float, default=1.0
        Probability of a spike in a step at the upper limit of a feature, in (0, 1]; at the lower
        limit it is 0.
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
    random_state : int, RandomState instance or None, default=None
        Seeds the spikes, in :meth:`fit`.

    Attributes
    ----------
    limits_ : ndarray of shape (2, n_features)
        Lower and upper limit of each feature.
    seed_ : int
        Seed of the spikes.
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
    LatencyEncoder : One spike per feature, the sooner the larger it is.

    Notes
    -----
    The random numbers of a sample follow from the seed and the sample's own values. So a fitted
    encoder is a function: a sample has the same spikes alone, in any batch and in any order, and
    equal samples have equal spikes, while the spikes of different samples are independent.

    A feature that was constant in fit has level 0 and never fires. spikingjelly's encoder fires
    where a random number is at most the level, ours where it is below it, so that level 0 is silent
    for certain.

    References
    ----------
    .. [1] Heeger, D. (2000). "Poisson model of spike generation." Handout, Stanford University.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skspike.encoders import PoissonEncoder
    >>> X, y = load_iris(return_X_y=True)
    >>> PoissonEncoder(n_steps=20, random_state=0).fit_transform(X).shape
    (150, 20, 4)
    """

    _parameter_constraints: dict = {
        **ScaledSignalEncoder._parameter_constraints,
        "max_rate": [Interval(Real, 0, 1, closed="right")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_steps=10,
        *,
        max_rate=1.0,
        limits="fit",
        quantile=0.0,
        clip=True,
        dtype="float32",
        random_state=None,
    ):
        self.n_steps = n_steps
        self.max_rate = max_rate
        self.limits = limits
        self.quantile = quantile
        self.clip = clip
        self.dtype = dtype
        self.random_state = random_state

    def _learn(self, series: np.ndarray) -> None:
        super()._learn(series)
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))

    def _encode_levels(self, levels: np.ndarray, series: np.ndarray) -> np.ndarray:
        n, t, f = levels.shape
        spikes = np.empty((n, t, self.n_steps, f), self._check_dtype())
        for i in range(n):
            uniform = _generator_of(series[i], self.seed_).random(spikes[i].shape)
            np.less(uniform, self.max_rate * levels[i, :, None], out=spikes[i], casting="unsafe")
        return spikes.reshape(n, t * self.n_steps, f)


def _generator_of(sample: np.ndarray, seed: int) -> np.random.Generator:
    """Return random numbers that belong to the values of a sample."""
    content = (sample + 0.0).tobytes()  # -0.0 is 0.0
    key = hashlib.blake2b(content, digest_size=16, key=seed.to_bytes(8, "little")).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
