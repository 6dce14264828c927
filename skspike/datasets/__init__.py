"""Datasets: ``load_*`` ships with what is installed, ``make_*`` invents."""

from ._digits import load_digits_events
from ._shapes import make_moving_shapes

__all__ = ["load_digits_events", "make_moving_shapes"]
