"""Estimators: fit, predict and score like any of scikit-learn's."""

from __future__ import annotations

from ._language import SpikingSSMLanguageModel
from ._sma import SMAClassifier
from ._spiking_ssm import SpikingSSMClassifier, SpikingSSMRegressor

__all__ = [
    "SMAClassifier",
    "SpikingSSMClassifier",
    "SpikingSSMLanguageModel",
    "SpikingSSMRegressor",
]
