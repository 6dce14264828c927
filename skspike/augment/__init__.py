"""Augmentation: random changes of training batches, on the device of the training."""

from ._affine import Rotate, Scale, Shear
from ._compose import Compose, OneOf, make_augmentation
from ._cutout import Cutout
from ._event_drop import EventDrop
from ._event_mix import EventMix
from ._flip import Flip, PolarityFlip
from ._mix import CutMix, Mixup
from ._nda import NDA
from ._noise import Noise
from ._registry import list_augmentations
from ._shift import Shift
from ._time_jitter import TimeJitter

__all__ = [
    "make_augmentation",
    "list_augmentations",
    "Flip",
    "Shift",
    "Rotate",
    "Shear",
    "Scale",
    "Cutout",
    "EventDrop",
    "PolarityFlip",
    "TimeJitter",
    "Noise",
    "NDA",
    "Mixup",
    "CutMix",
    "EventMix",
    "Compose",
    "OneOf",
]
