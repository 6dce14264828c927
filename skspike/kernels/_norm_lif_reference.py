"""The specification of batch norm, neurons and pooling in one: the three in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from ._lif_reference import lif_reference
from ._memory import compute_dtype
from ._spec import NeuronSpec

POOLS: dict[str, Callable[..., Tensor]] = {"max": F.max_pool2d, "avg": F.avg_pool2d}


def norm_lif_reference(
    x: Tensor, v: Tensor, leak: Tensor, spec: NeuronSpec, *, pool: str | None, **norm: Any
) -> tuple[Tensor, Tensor]:
    """Return spikes, pooled if asked for, and the last state; 16 bits are computed in 32."""
    y = batch_norm(x.to(compute_dtype(x.dtype)), **norm)
    s, v_last, _ = lif_reference(y, v, leak, spec)
    return pooled(s, pool).to(x.dtype), v_last


def pooled(s: Tensor, pool: str | None) -> Tensor:
    """Pool windows of 2 x 2 pixels."""
    return s if pool is None else POOLS[pool](s.flatten(0, 1), 2).unflatten(0, s.shape[:2])


def batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    group: dist.ProcessGroup | None,
) -> Tensor:
    """Normalise the channels of (T, N, C, ...), with a `group` by the statistics of all in it."""
    if group is None:
        running = running_mean, running_var
        batch = x.flatten(0, 1)
        if len(batch) == 1:  # with the channel innermost, torch would permute the gradient
            batch = batch.contiguous()
        y = F.batch_norm(batch, *running, weight, bias, training, momentum, eps)
        return y.unflatten(0, x.shape[:2])
    axes = [axis for axis in range(x.ndim) if axis != 2]
    by_channel = (-1, *(1 for _ in x.shape[3:]))
    count = x.new_tensor(float(x.numel() // x.shape[2]))
    count = _AllSum.apply(count, group)
    mean = _AllSum.apply(x.sum(axes), group) / count
    centred = x - mean.view(by_channel)
    var = _AllSum.apply((centred**2).sum(axes), group) / count
    track(running_mean, running_var, mean, var, count, momentum)
    y = centred * (var + eps).rsqrt().view(by_channel)
    y = y if weight is None else y * weight.view(by_channel)
    return y if bias is None else y + bias.view(by_channel)


@torch.no_grad()
def track(
    running_mean: Tensor | None,
    running_var: Tensor | None,
    mean: Tensor,
    var: Tensor,
    count: Tensor,
    momentum: float,
) -> None:
    """Move the running statistics; that of the variance is unbiased."""
    if running_mean is not None and running_var is not None:
        running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)
        running_var.mul_(1 - momentum).add_(var * (count / (count - 1)), alpha=momentum)


class _AllSum(torch.autograd.Function):
    """Add up what all processes have, and on the way back the gradients of all to it."""

    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        return _sum(x, group)

    @staticmethod
    def backward(ctx, dy):
        return _sum(dy, ctx.group), None


def _sum(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Return the sum of the tensors of all processes."""
    x = x.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(x, group=group)
    return x
