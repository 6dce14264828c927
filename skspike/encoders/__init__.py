"""Encoders: event recordings to arrays, as scikit-learn transformers."""

from .._encoded import EncoderCache
from ._crop import Crop
from ._delta import DeltaEncoder
from ._denoise import Denoise
from ._event_image import EventImageEncoder
from ._frames import FrameEncoder
from ._hot_pixels import HotPixelFilter
from ._latency import LatencyEncoder
from ._poisson import PoissonEncoder
from ._population import PopulationEncoder
from ._refractory import RefractoryFilter
from ._repeat import RepeatEncoder
from ._resize import Resize
from ._tabular import ToTabular
from ._time_surface import TimeSurfaceEncoder
from ._tonic import TonicTransformer
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
    "Crop",
    "Resize",
    "Denoise",
    "RefractoryFilter",
    "HotPixelFilter",
    "TonicTransformer",
    "ToTabular",
    "EncoderCache",
]
