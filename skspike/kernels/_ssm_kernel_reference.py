"""The impulse response of diagonal state space models in plain torch: the specification."""

from __future__ import annotations

import torch
from torch import Tensor


def ssm_kernel_reference(a: Tensor, c: Tensor, n_steps: int) -> Tensor:
    """Return twice the real part of ``sum_n c[:, n] exp(l a[:, n])``, (T, H), for each lag l."""
    lags = torch.arange(n_steps, dtype=a.real.dtype, device=a.device)
    powers = torch.exp(lags[:, None, None] * a)  # (T, H, modes)
    return 2 * (c * powers).sum(-1).real
