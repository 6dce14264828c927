"""The specification of mixing scales, in plain torch."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from ._memory import compute_dtype


def scale_mix_reference(scales: Sequence[Tensor], weight: Tensor, source: Tensor | None) -> Tensor:
    """Return the sum of the attended scales (T, N, C, ...), each read at its source steps."""
    maps = (_attend(s, w) for s, w in zip(scales, weight, strict=True))
    if source is not None:
        maps = (_read(m, steps) for m, steps in zip(maps, source, strict=True))
    return functools.reduce(torch.add, maps).to(scales[0].dtype)


def scale_mean_reference(scales: Sequence[Tensor]) -> Tensor:
    """Return the mean over the map of the sum of the scales: (T, N, C)."""
    dtype, real = scales[0].dtype, compute_dtype(scales[0].dtype)
    axes = range(3, scales[0].ndim)
    # as a sum of means, which needs no map for the sum
    means = (s.mean(tuple(axes), dtype=real) if axes else s.to(real) for s in scales)
    return functools.reduce(torch.add, means).to(dtype)


def _attend(scale: Tensor, weight: Tensor) -> Tensor:
    """Weigh every map of a scale; a scale of 16 bits becomes float32, as its weights are."""
    return scale * weight.reshape(weight.shape + (1,) * (scale.ndim - 3))


def _read(attended: Tensor, steps: Tensor) -> Tensor:
    """Take channel c of step t from the step that ``steps[t, c]`` says."""
    channels = torch.arange(attended.shape[2], device=attended.device)
    return attended[steps, :, channels].movedim(1, 2)
