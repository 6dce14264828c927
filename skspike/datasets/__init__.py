"""Datasets: ``load_*`` ships with what is installed, ``make_*`` invents."""

from ._digits import load_digits_events
from ._event_folder import load_event_folder
from ._shapes import make_moving_shapes

__all__ = ["load_digits_events", "load_event_folder", "make_moving_shapes"]
