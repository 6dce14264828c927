"""Convolutions over time by way of torch's Fourier transforms, which run on any device."""

from __future__ import annotations

import torch
from torch import Tensor


def ssm_conv_reference(x: Tensor, kernel: Tensor, reverse_kernel: Tensor | None) -> Tensor:
    """Convolve `x`, (T, N, H), over time with kernels of shape (K, H)."""
    n_steps = x.shape[0]
    n = good_size(2 * n_steps - 1)
    circle = circular_kernel(kernel, reverse_kernel, n)
    if x.numel() == 0:  # which torch refuses to transform
        return x * circle.sum(0)
    # with the time innermost: torch would transpose to and fro inside of each transform
    spectrum = torch.fft.rfft(x.movedim(0, -1), n)  # (N, H, F)
    spectrum = spectrum * torch.fft.rfft(circle.movedim(0, -1), n)
    return torch.fft.irfft(spectrum, n)[..., :n_steps].movedim(-1, 0).contiguous()


def circular_kernel(kernel: Tensor, reverse_kernel: Tensor | None, n: int) -> Tensor:
    """Return both kernels on a circle of `n` lags, (n, H): lag -1 is its last one."""
    ends = [] if reverse_kernel is None else [reverse_kernel[: n - len(kernel)].flip(0)]
    gap = n - len(kernel) - sum(map(len, ends))
    return torch.cat([kernel, kernel.new_zeros(gap, kernel.shape[1]), *ends])


def good_size(n: int) -> int:
    """Return the next number without prime factors above 5, which transforms like."""
    while _without_factors(n) > 1:
        n += 1
    return n


def _without_factors(n: int) -> int:
    """Divide by 2, 3 and 5 as often as possible."""
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n
