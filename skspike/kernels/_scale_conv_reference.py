"""Convolutions of several sizes on one input, in plain torch: the specification."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import conv2d


def scale_conv_reference(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]
) -> list[Tensor]:
    """Convolve `x`, (T, N, C, H, W), with each weight, so that the maps keep their size."""
    maps = x.flatten(0, 1)
    results = [
        conv2d(maps, w.to(x.dtype), None if b is None else b.to(x.dtype), padding=w.shape[-1] // 2)
        for w, b in zip(weights, biases, strict=True)
    ]
    return [y.unflatten(0, x.shape[:2]) for y in results]
