"""Batch norm, neurons and pooling in one call: what stands between two convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .._validation import check_choice
from ..kernels import norm_lif
from ._neurons import IF, LIF, ParametricLIF
from ._steps import BatchNorm1d, BatchNorm2d, merge_steps
from ._time import current

POOLS: dict[str, Callable[..., Tensor]] = {
    "max": nn.functional.max_pool2d,
    "avg": nn.functional.avg_pool2d,
}
AXES: dict[type, tuple[int, ...]] = {
    BatchNorm1d: (3, 4),
    BatchNorm2d: (5,),
}  # numbers of axes that a norm takes
HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


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
    Equal to calling the layers one after the other, running statistics included. A batch norm of
    ours before :class:`IF`, :class:`LIF` or :class:`ParametricLIF` takes one kernel for it all,
    :func:`skspike.kernels.norm_lif`, and calls neither module; the same happens in float32 but for
    rounding, which can change a spike where a potential meets the threshold. Modules with hooks,
    others, and those in a :class:`TimeParallel` are called one after the other.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import LIF, BatchNorm2d, fire
    >>> fire(BatchNorm2d(3), LIF(), torch.randn(4, 2, 3, 8, 8), pool="max").shape
    torch.Size([4, 2, 3, 4, 4])
    """
    if pool is not None:
        check_choice("fire", "pool", pool, POOLS)
    if _fuses(norm, neuron, x):
        return _fused(norm, neuron, x, pool)
    spikes = neuron(norm(x))
    return spikes if pool is None else merge_steps(lambda step: POOLS[pool](step, 2), spikes)


def _fuses(norm: nn.Module, neuron: nn.Module, x: Tensor) -> bool:
    """Tell whether one kernel does what the two layers do, and nobody listens in between."""
    return (
        x.ndim in AXES.get(type(norm), ())
        and type(neuron) in (IF, LIF, ParametricLIF)
        and current() is None
        and not any(getattr(layer, hooks) for layer in (norm, neuron) for hooks in HOOKS)
    )


def _fused(norm: Any, neuron: Any, x: Tensor, pool: str | None) -> Tensor:
    """Run both layers and the pooling in one kernel; running statistics move as torch's do."""
    running = norm.running_mean, norm.running_var
    momentum = norm.momentum
    if norm.training:
        if not norm.track_running_stats:
            running = None, None
        elif norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1 / int(norm.num_batches_tracked)
    return norm_lif(
        x,
        norm.weight,
        norm.bias,
        *running,
        training=norm.training,
        momentum=0.0 if momentum is None else momentum,
        eps=norm.eps,
        pool=pool,
        **neuron.settings(),
    )[0]
