"""The impulse response of diagonal state space models in plain torch: the specification.

Every lag is a whole number of blocks and a rest, so that ``exp(l a)`` is the product of one of a
few powers with another one. The sum over modes is then a product of two small matrices for each
channel, and numbers for each channel, mode and lag are never in memory together.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 64  # lags: blocks and rests are about as many for sequences of some thousands


def ssm_kernel_reference(a: Tensor, c: Tensor, n_steps: int) -> Tensor:
    """Return twice the real part of ``sum_n c[:, n] exp(l a[:, n])``, (T, H), for each lag l."""
    starts = c[:, None] * powers(a, -(-n_steps // BLOCK), BLOCK)  # (H, blocks, modes)
    rests = powers(a, min(BLOCK, n_steps), 1)  # (H, rests, modes)
    # the real part of a product of complex numbers
    starts = torch.view_as_real(starts.conj().resolve_conj()).flatten(2)
    rests = torch.view_as_real(rests).flatten(2)
    kernel = 2 * starts @ rests.mT  # (H, blocks, rests)
    return kernel.flatten(1)[:, :n_steps].mT.contiguous()


def powers(a: Tensor, n: int, step: int) -> Tensor:
    """Return ``exp(k step a)`` for all k < n, (H, n, modes), rounded once from float64."""
    exponents = torch.arange(0, n * step, step, dtype=torch.float64, device=a.device)
    return torch.exp(exponents[:, None] * a.to(torch.complex128)[:, None]).to(a.dtype)
