"""Random numbers for a batch: one draw per sample, from the caller's generator alone."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Draws", "per_sample"]


class Draws:
    """Draws one number per sample of `x`, on its device; nothing waits for the device.

    Parameters
    ----------
    x : Tensor of shape (n_samples, ...)
    generator : torch.Generator or None
        One of the device of `x`; None takes the global one.
    """

    def __init__(self, x: Tensor, generator: torch.Generator | None) -> None:
        self.n, self.device, self.generator = len(x), x.device, generator

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw numbers in [low, high)."""
        u = torch.rand(self.n, generator=self.generator, device=self.device)
        return low + (high - low) * u

    def integers(self, low: int, high: int) -> Tensor:
        """Draw whole numbers from `low` to `high`, both included."""
        return torch.randint(low, high + 1, (self.n,), generator=self.generator, device=self.device)

    def happens(self, p: float) -> Tensor:
        """Draw True with probability `p`: never for 0, always for 1."""
        return self.uniform() < p

    def beta(self, alpha: float) -> Tensor:
        """Draw from the symmetric beta distribution, as the share of one of two gammas."""
        shape = torch.full((2, self.n), alpha, dtype=torch.float64, device=self.device)
        gamma = torch._standard_gamma(shape, generator=self.generator)
        one, other = gamma.clamp_min(torch.finfo(torch.float64).tiny)
        return (one / (one + other)).float()

    def partners(self) -> Tensor:
        """Draw a permutation of the samples."""
        return torch.randperm(self.n, generator=self.generator, device=self.device)


def per_sample(values: Tensor, x: Tensor) -> Tensor:
    """Shape one value per sample so that it is broadcast over the other axes of `x`."""
    return values.reshape(-1, *[1] * (x.ndim - 1))
