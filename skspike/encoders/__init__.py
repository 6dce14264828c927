"""Encoders: event recordings to arrays, as scikit-learn transformers."""

from ._delta import DeltaEncoder
from ._event_image import EventImageEncoder
from ._frames import FrameEncoder
from ._latency import LatencyEncoder
from ._poisson import PoissonEncoder
from ._population import PopulationEncoder
from ._repeat import RepeatEncoder
from ._time_surface import TimeSurfaceEncoder
from ._voxel import VoxelEncoder

__all__ = [
    "FrameEncoder",
    "VoxelEncoder",
    "TimeSurfaceEncoder",
    "EventImageEncoder",
    "PoissonEncoder",
    "LatencyEncoder",
    "DeltaEncoder",
    "PopulationEncoder",
    "RepeatEncoder",
]
