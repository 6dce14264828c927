"""Diagonal linear recurrences in plain torch, a loop over time: the specification."""

from __future__ import annotations

import torch
from torch import Tensor


def linear_scan_reference(
    x: Tensor, decay: Tensor, c: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Run the modes, (N, H, modes), over `x`, (T, N, H), from a state."""
    outputs = []
    for x_t in x:
        state = decay * state + x_t[..., None]
        outputs.append(2 * (c * state).sum(-1).real)
    return torch.stack(outputs), state
