"""Encoders: event recordings to arrays, as scikit-learn transformers."""

from ._frames import FrameEncoder

__all__ = ["FrameEncoder"]
