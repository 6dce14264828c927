"""Encoders: event recordings to arrays, as scikit-learn transformers."""

from ._delta import DeltaEncoder
from ._frames import FrameEncoder
from ._latency import LatencyEncoder
from ._poisson import PoissonEncoder
from ._population import PopulationEncoder
from ._repeat import RepeatEncoder

__all__ = [
    "FrameEncoder",
    "PoissonEncoder",
    "LatencyEncoder",
    "DeltaEncoder",
    "PopulationEncoder",
    "RepeatEncoder",
]
