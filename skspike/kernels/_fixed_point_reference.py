"""The specification of the carried potential in rounds: shifted passes in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor


def fixed_point_reference(
    x: Tensor, v: Tensor, decay: float, threshold: float, n_rounds: int
) -> Tensor:
    """Return what each step of ``x`` of shape (T, ...) finds of the potential before it."""
    x, first = x.to(v.dtype), decay * v[None]
    m = torch.cat([first, torch.zeros_like(x[1:])])
    for _ in range(n_rounds):
        w = m + x
        carried = decay * torch.where(w >= threshold, 0.0, w)
        m = torch.cat([first, carried[:-1]])
    return m
