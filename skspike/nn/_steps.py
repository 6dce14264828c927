"""Layers without memory, applied to all steps at once, and a dropout shared by the steps.

They hold the parameters of their torch namesakes under the same names; only the input has a time
axis in front. Batch norm takes its statistics over time and batch together.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .._validation import check_number


def merge_steps(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a layer for (n_samples, ...) to (n_steps, n_samples, ...)."""
    y = layer(x.flatten(0, 1))
    return y.unflatten(0, x.shape[:2])


class Conv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d` for input of shape (n_steps, n_samples, channels, height, width)."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve every step."""
        return merge_steps(super().forward, x)


class BatchNorm1d(nn.BatchNorm1d):
    """:class:`torch.nn.BatchNorm1d` over time and batch, for (n_steps, n_samples, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every channel."""
        return merge_steps(super().forward, x)


class BatchNorm2d(nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d` over time and batch, for (n_steps, n_samples, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every channel."""
        return merge_steps(super().forward, x)


class MaxPool2d(nn.MaxPool2d):
    """:class:`torch.nn.MaxPool2d` for input of shape (n_steps, n_samples, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool every step."""
        return merge_steps(super().forward, x)


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """:class:`torch.nn.AdaptiveAvgPool2d` for (n_steps, n_samples, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool every step."""
        return merge_steps(super().forward, x)


class Dropout(nn.Module):
    """Dropout whose mask is drawn once for each sample and shared by all steps.

    Parameters
    ----------
    p : float, default=0.5
        Probability that an element is dropped.

    Notes
    -----
    Input and output of shape (n_steps, n_samples, ...). The mask is drawn anew in every training
    call; evaluation is the identity.

    References
    ----------
    .. [1] Shan, Y. et al., "Advancing spiking neural networks towards multiscale spatiotemporal
       interaction learning", AAAI 2025, whose networks use it in the classification head.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import Dropout
    >>> y = Dropout(0.5)(torch.ones(3, 2, 8))
    >>> bool((y[0] == y[1]).all() and (y[0] == y[2]).all())
    True
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        check_number("Dropout", "p", p, 0.0, 1.0)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop the same elements of a sample in every step."""
        if not self.training or self.p == 0:
            return x
        return x * nn.functional.dropout(torch.ones_like(x[0]), self.p)

    def extra_repr(self) -> str:
        """Show the probability in the module's repr."""
        return f"p={self.p}"
