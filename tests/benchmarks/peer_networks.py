"""Whole networks to compare with: SMA-VGG8 of spikingjelly's layers, a ResNet that goes by steps.

Both are written from the papers' equations. Their parameters stand in the order of ours, so that
weights are copied by order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.benchmarks.peers import spikingjelly, spikingjelly_neuron


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters and buffers by their order."""
    with torch.no_grad():
        for kind in ("parameters", "buffers"):
            pairs = zip(getattr(source, kind)(), getattr(target, kind)(), strict=True)
            for value, into in pairs:
                if value.shape != into.shape:
                    raise ValueError(f"{kind} do not match: {value.shape}, {into.shape}")
                into.copy_(value)


def calibrate(network: nn.Module, x: Tensor) -> None:
    """Give the batch norms the statistics of a batch: a new network would not fire at all."""
    norms = [module for module in network.modules() if hasattr(module, "momentum")]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


# --- SMA-VGG8, as its authors build it ---


class Attention(nn.Module):
    """Weigh the scales against each other: a shared squeeze, one expansion for each scale."""

    def __init__(self, size: int, hidden: int, n_scales: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(size, hidden)
        self.expand = nn.ModuleList(nn.Linear(hidden, size) for _ in range(n_scales))

    def forward(self, descriptor: Tensor) -> Tensor:
        hidden = self.squeeze(descriptor).relu()
        return torch.stack([expand(hidden) for expand in self.expand]).softmax(0)


class MultiscaleAttention(nn.Module):
    """Conv, norm and LIF at four kernel sizes, attended, regularised by zoneout, added."""

    def __init__(self, channels: int, n_steps: int, rcr: int, rtr: int = 4) -> None:
        super().__init__()
        layer = spikingjelly().layer
        self.branches = nn.ModuleList(
            nn.Sequential(
                layer.Conv2d(channels, channels, k, padding=k // 2, step_mode="m"),
                layer.BatchNorm2d(channels, step_mode="m"),
                spikingjelly_neuron(),
            )
            for k in (1, 3, 5, 7)
        )
        self.channel_attention = Attention(channels, max(1, channels // 4), 4)
        self.time_attention = Attention(n_steps, max(1, n_steps // 4), 4)
        self.n_channels, self.n_steps = channels // rcr, n_steps // rtr

    def forward(self, x: Tensor) -> Tensor:
        scales = [branch(x) for branch in self.branches]
        descriptor = sum(scales).mean((-2, -1))  # (T, N, C)
        wc = self.channel_attention(descriptor)  # (4, T, N, C)
        wt = self.time_attention(descriptor.mean(-1).t()).transpose(1, 2)  # (4, T, N)
        attended = []
        for s, t, c in zip(scales, wt, wc, strict=True):
            m = t[..., None, None, None] * c[..., None, None] * s
            attended.append(self.zoneout(m, t, c) if self.training else m)
        return sum(attended)

    def zoneout(self, m: Tensor, wt: Tensor, wc: Tensor) -> Tensor:
        """Give the least attended steps and channels the attended value of the step before."""
        if self.n_channels == 0 or self.n_steps == 0:
            return m
        steps = wt.sum(1).topk(self.n_steps, largest=False).indices
        channels = wc[steps].sum((0, 1)).topk(self.n_channels, largest=False).indices
        before = (steps - 1).clamp(min=0)  # step 0 replaces itself
        y = m.clone()
        y[steps[:, None], :, channels] = m[before[:, None], :, channels]
        return y


def sma_vgg8(
    n_classes: int, n_steps: int, width: int = 64, rcr: int = 10, dropout: float = 0.5
) -> nn.Module:
    """Return the authors' network of spikingjelly's layers, with SMA in blocks 2 and 3."""
    layer = spikingjelly().layer
    widths = [2, *(width * m for m in (1, 2, 4, 8, 8))]
    blocks: list[nn.Module] = []
    for i in range(1, 6):
        blocks.append(layer.Conv2d(widths[i - 1], widths[i], 3, padding=1, step_mode="m"))
        if i in (2, 3):
            blocks.append(MultiscaleAttention(widths[i], n_steps, rcr))
        blocks += [layer.BatchNorm2d(widths[i], step_mode="m"), spikingjelly_neuron()]
        blocks.append(_Pool(layer.MaxPool2d(2, 2, step_mode="m")))
    hidden = [9 * widths[-1], 32 * width, 16 * width]
    head: list[nn.Module] = [layer.AdaptiveAvgPool2d(3, step_mode="m"), nn.Flatten(2)]
    for n_in, n_out in itertools.pairwise(hidden):
        head += [
            layer.Linear(n_in, n_out, step_mode="m"),
            spikingjelly_neuron(),
            layer.Dropout(dropout, step_mode="m"),
        ]
    return nn.Sequential(*blocks, *head, layer.Linear(hidden[-1], n_classes, step_mode="m"))


class _Pool(nn.Module):
    """Pool unless the map is a single pixel, which the published pool would refuse."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x) if min(x.shape[-2:]) > 1 else x


# --- Spiking ResNet-18, one step after the other ---


class Neurons(nn.Module):
    """A layer of neurons that keeps its potential from step to step."""

    def __init__(self, step: Callable) -> None:
        super().__init__()
        self.step = step
        self.v: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        s, self.v = self.step(x, torch.zeros_like(x) if self.v is None else self.v)
        return s


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, stride: int, step: Callable) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            Neurons(step),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.neurons = Neurons(step)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.neurons(self.residual(x) + self.shortcut(x))


class SteppedResNet18(nn.Module):
    """Spiking ResNet-18 as a Python loop over time around the whole network."""

    def __init__(self, n_classes: int, step: Callable, width: int = 64) -> None:
        super().__init__()
        blocks, n_in = [], width
        for stage in range(4):
            n_out = width * 2**stage
            blocks += [_Block(n_in, n_out, 1 + (stage > 0), step), _Block(n_out, n_out, 1, step)]
            n_in = n_out
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, 3, bias=False),
            nn.BatchNorm2d(width),
            Neurons(step),
            nn.MaxPool2d(3, 2, 1),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(n_in, n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        for module in self.modules():
            if isinstance(module, Neurons):
                module.v = None
        return torch.stack([self.layers(x_t) for x_t in x])
