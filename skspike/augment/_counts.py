"""Arithmetic on counts of events, whatever dtype they have."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["narrow", "thin", "widen"]


def widen(x: Tensor) -> Tensor:
    """Return `x` in a floating dtype that holds its counts: float32, float64 for wide numbers."""
    wide = x.dtype in (torch.float64, torch.int64, torch.int32, torch.uint32, torch.uint64)
    return x.to(torch.float64 if wide else torch.float32)


def narrow(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return widened counts in the dtype that they came in; what it cannot hold is clipped."""
    if dtype == torch.bool:
        return x != 0
    if not dtype.is_floating_point:
        info = torch.iinfo(dtype)
        x = x.clamp(max(info.min, -(2**53)), min(info.max, 2**53))
    return x.to(dtype)


def thin(x: Tensor, keep: Tensor, generator: torch.Generator | None) -> Tensor:
    """Keep each event with the probability `keep`, which is broadcast.

    A count is a number of events; the sign of signed counts is kept, and what is left over of a
    fractional value is kept or dropped as a whole.
    """
    counts = widen(x)
    size = counts.abs()
    whole = size.floor()
    chance = keep.to(size.dtype).expand_as(size)
    kept = torch.binomial(whole, chance.contiguous(), generator=generator)
    if x.is_floating_point():
        u = torch.rand(x.shape, generator=generator, device=x.device)
        kept = kept + (size - whole) * (u < chance)
    return narrow(kept * counts.sign(), x.dtype)
