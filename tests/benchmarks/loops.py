"""The baselines that need no other library: neurons as a plain Python loop over time in torch.

They are written here from the equations, so that they share nothing with the code under test.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ATAN_ALPHA = 2.0


class _Step(torch.autograd.Function):
    """A step, 1 from 0 on; what stands for its derivative is that of the subclass."""

    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u >= 0).to(u.dtype)


class _Atan(_Step):
    """A step whose derivative is alpha/2 / (1 + (pi/2 alpha u)^2)."""

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad * (ATAN_ALPHA / 2) / (1 + (torch.pi / 2 * ATAN_ALPHA * u) ** 2)


class _Rectangle(_Step):
    """A step whose derivative is 1 where |u| < 1/2."""

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad * (u.abs() < 0.5)


class _Triangle(_Step):
    """A step whose derivative is max(0, 1 - |u|)."""

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad * (1 - u.abs()).clamp(min=0)


def lif_step(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Advance LIF neurons with tau 2, threshold 1 and a detached reset to 0."""
    h = v + (x - v) / 2
    s = _Atan.apply(h - 1)
    return s, h * (1 - s.detach())


def decaying_step(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Advance the neurons of the temporal fusion paper: decay 0.2, threshold 0.3, full gradient."""
    h = 0.2 * v + x
    s = _Rectangle.apply(h - 0.3)
    return s, h * (1 - s)


def bptt_step(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Advance the neurons of SpikingSSM: decay 1/8, threshold 1, the gradient passes the leak."""
    h = 0.125 * v + x
    s = _Triangle.apply(h - 1)
    return s, h * (1 - s.detach())


def sltt_step(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Advance the neurons of SpikingSSM, whose gradient stays in the step."""
    return bptt_step(x, v.detach())


def loop(step: Callable, x: Tensor) -> Tensor:
    """Run one layer of neurons over all steps of `x` (T, ...), from rest."""
    v = torch.zeros_like(x[0])
    spikes = []
    for x_t in x:
        s, v = step(x_t, v)
        spikes.append(s)
    return torch.stack(spikes)


def loop_by_steps(step: Callable, layers: tuple[Tensor, ...]) -> list[list[Tensor]]:
    """Run several layers step-major: every layer at one step, then every layer at the next."""
    states = [torch.zeros_like(x[0]) for x in layers]
    spikes: list[list[Tensor]] = [[] for _ in layers]
    for t in range(len(layers[0])):
        for i, x in enumerate(layers):
            s, states[i] = step(x[t], states[i])
            spikes[i].append(s)
    return spikes
