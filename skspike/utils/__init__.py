"""Utilities for those who write estimators: checks that an estimator of events keeps its word."""

from . import estimator_checks

__all__ = ["estimator_checks"]
