"""Estimators: fit, predict and score like any of scikit-learn's."""

from __future__ import annotations

from ._sma import SMAClassifier

__all__ = ["SMAClassifier"]
