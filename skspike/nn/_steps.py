"""Layers without memory, applied to all steps at once, and a dropout shared by the steps.

They hold the parameters of their torch namesakes under the same names; only the input has a time
axis in front. Batch norm takes its statistics over time and batch together.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .._validation import check_number
from ._time import batch_statistics, current, first_of_all

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


def merge_steps(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a layer for (n_samples, ...) to (n_steps, n_samples, ...)."""
    y = layer(x.flatten(0, 1))
    return y.unflatten(0, x.shape[:2])


def normalize(norm: BatchNorm, layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a batch norm, with the statistics of all processes that share the steps."""
    group = current()
    if group is None or not (norm.training or norm.running_mean is None):
        return merge_steps(layer, x)
    mean, var = batch_statistics(group, x)
    if norm.training:
        n = group.n_steps * x[0].numel() // x.shape[2]
        track(norm, mean.detach(), var.detach() * n / (n - 1))
    scale = (var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight
    shift = -mean * scale if norm.bias is None else norm.bias - mean * scale
    by_channel = (-1, *(1 for _ in x.shape[3:]))
    y = x.to(scale.dtype) * scale.view(by_channel) + shift.view(by_channel)
    return y.to(x.dtype)


def track(norm: BatchNorm, mean: Tensor, var: Tensor) -> None:
    """Move the running statistics of a batch norm, as torch does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.mul_(1 - share).add_(mean, alpha=share)
    norm.running_var.mul_(1 - share).add_(var, alpha=share)


class Conv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d` for input of shape (n_steps, n_samples, channels, height, width)."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve every step."""
        return merge_steps(self._convolve, x)

    def _convolve(self, x: Tensor) -> Tensor:
        """Convolve images (n_samples, channels, height, width)."""
        if self._overruns() and x.device.type == "cpu":
            rows, columns = self.stride
            return nn.functional.conv2d(
                x[..., ::rows, ::columns], self.weight, self.bias, groups=self.groups
            )
        return super().forward(x)

    def _overruns(self) -> bool:
        """Tell whether oneDNN may write past its workspace for the gradient of the weights.

        It does for strided 1 x 1 kernels on less than a register of channels, in channels-last
        order: issue 6035 of oneDNN, seen in 3.12. It is spared the stride, and given the pixels
        that such a kernel reads.
        """
        return (
            self.kernel_size == (1, 1)
            and self.padding in ((0, 0), "valid")
            and self.stride != (1, 1)
            and self.in_channels < 16
        )


class BatchNorm1d(nn.BatchNorm1d):
    """:class:`torch.nn.BatchNorm1d` over time and batch, for (n_steps, n_samples, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every channel."""
        return normalize(self, super().forward, x)


class BatchNorm2d(nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d` over time and batch, for (n_steps, n_samples, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every channel."""
        return normalize(self, super().forward, x)


class MaxPool2d(nn.MaxPool2d):
    """:class:`torch.nn.MaxPool2d` for input of shape (n_steps, n_samples, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool every step."""
        return merge_steps(super().forward, x)


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """:class:`torch.nn.AdaptiveAvgPool2d` for (n_steps, n_samples, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool every step."""
        if x.shape[-2:] != (1, 1):
            return merge_steps(super().forward, x)
        # Every average of one pixel is that pixel; on the CPU a copy takes a tenth of the pooling.
        size = self.output_size
        height, width = (size, size) if isinstance(size, int) or size is None else size
        return x.expand(*x.shape[:-2], height or 1, width or 1).contiguous()


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
        return x * first_of_all(nn.functional.dropout(torch.ones_like(x[0]), self.p))

    def extra_repr(self) -> str:
        """Show the probability in the module's repr."""
        return f"p={self.p}"
