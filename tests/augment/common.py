"""What the tests of this folder share: batches of counts, and one of each augmentation."""

from __future__ import annotations

import torch

from skspike.augment import (
    NDA,
    Compose,
    CutMix,
    Cutout,
    EventDrop,
    EventMix,
    Flip,
    Mixup,
    Noise,
    OneOf,
    PolarityFlip,
    Rotate,
    Scale,
    Shear,
    Shift,
    TimeJitter,
)

EACH = [
    Flip(),
    Flip(direction="vertical"),
    PolarityFlip(),
    Shift(),
    Shift(max_shift=2, fill="zero"),
    Rotate(),
    Rotate(interpolation="bilinear"),
    Shear(),
    Shear(direction="vertical"),
    Scale(),
    Cutout(),
    EventDrop(),
    TimeJitter(max_shift=1),
    Noise(),
    NDA(shift=2, cutout=2),
    Mixup(),
    CutMix(),
    CutMix(label="events"),
    EventMix(),
    EventMix(n_gaussians=1, label="volume"),
    Compose(["flip", Shift(max_shift=1)]),
    OneOf([None, "flip", Mixup()]),
]
FLOATING = (Mixup, OneOf)  # and what interpolates


def seeded(seed: int = 0) -> torch.Generator:
    """Return a generator."""
    return torch.Generator().manual_seed(seed)


def counts(*shape: int, high: int = 4, dtype: torch.dtype = torch.uint8, seed: int = 0):
    """Return random counts below `high`."""
    return torch.randint(0, high, shape, generator=seeded(seed)).to(dtype)


def one_hot(n: int, n_classes: int = 3) -> torch.Tensor:
    """Return one-hot labels of classes in turn."""
    return torch.eye(n_classes)[torch.arange(n) % n_classes]


def by_sample(x: torch.Tensor) -> torch.Tensor:
    """Return the sum of each sample."""
    return x.double().flatten(1).sum(dim=1)
