"""Batch norm, neurons and pooling in one call: what stands between two convolutions."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from .._validation import check_choice
from ._steps import merge_steps

POOLS: dict[str, Callable[..., Tensor]] = {
    "max": nn.functional.max_pool2d,
    "avg": nn.functional.avg_pool2d,
}


def fire(norm: nn.Module, neuron: nn.Module, x: Tensor, pool: str | None = None) -> Tensor:
    """Normalise a current, let neurons fire on it, and pool their spikes.

    Parameters
    ----------
    norm : Module
        Batch norm over time and batch, such as :class:`BatchNorm2d`.
    neuron : Module
        Neurons, such as :class:`LIF`.
    x : Tensor of shape (n_steps, n_samples, n_channels, ...)
        Output of a convolution or of a linear layer.
    pool : {"max", "avg"} or None, default=None
        Which 2 x 2 pooling follows; None leaves the map as it is.

    Returns
    -------
    spikes : Tensor of shape (n_steps, n_samples, n_channels, ...)
        Spikes, of half the height and width after pooling.

    Raises
    ------
    ValueError
        If there is no pooling of that name.

    Notes
    -----
    Equal to calling the layers one after the other.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import LIF, BatchNorm2d, fire
    >>> fire(BatchNorm2d(3), LIF(), torch.randn(4, 2, 3, 8, 8), pool="max").shape
    torch.Size([4, 2, 3, 4, 4])
    """
    spikes = neuron(norm(x))
    if pool is None:
        return spikes
    check_choice("fire", "pool", pool, POOLS)
    return merge_steps(lambda step: POOLS[pool](step, 2), spikes)
