"""SMA-VGG8, the network of Shan et al. for event-camera data, and its published configurations."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor, nn

from .._validation import check_choice, check_number
from ..nn import (
    SMA,
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    fire,
    make_neuron,
)
from ._registry import register

BLOCK_WIDTHS = (1, 2, 4, 8, 8)  # channels of the five blocks, in multiples of the width


class SpikingBlock(nn.Module):
    """Conv, attention (or none), batch norm, neuron, and a pool that halves the map."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        attention: nn.Module | None,
        neuron: nn.Module,
        min_map: int = 1,
    ) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, channels, 3, padding=1)
        self.attention = attention
        self.norm = BatchNorm2d(channels)
        self.neuron = neuron
        self.min_map = min_map

    def foldable(self) -> list[tuple[str, str]]:
        """Name the pairs that :func:`skspike.nn.fold_norms` makes one layer of."""
        return [("conv", "norm")] if self.attention is None else []

    def forward(self, x: Tensor) -> Tensor:
        """Map (T, N, C, H, W) to half the height and width, unless too small for that."""
        x = self.conv(x)
        if self.attention is not None:
            x = self.attention(x)
        pool = "max" if min(x.shape[-2:]) // 2 >= self.min_map else None
        return fire(self.norm, self.neuron, x, pool)


@register("sma_vgg8")
class SMAVGG8(nn.Module):
    r"""Spiking VGG with eight weight layers and multiscale attention (SMA) in two of them.

    Five blocks of convolution, SMA, batch norm, spiking neurons and max-pooling, and a head of
    three linear layers, the last of which does not spike.

    Parameters
    ----------
    n_classes : int
        Number of outputs.
    n_steps : int
        Number of time steps; the attention is tied to it.
    in_channels : int, default=2
        Number of input channels, such as the polarities of events.
    width : int, default=64
        Channels of the first block; all other layers scale with it. 64 is published.
    sma_blocks : collection of int, default=(2, 3)
        Which blocks, counted from 1, have SMA. The published code has (2, 3); the appendix of the
        paper tabulates (2, 3, 4, 5); () gives the plain VGG.
    scales : sequence of int, default=(1, 3, 5, 7)
        Kernel sizes of SMA.
    channel_reduction : float, default=4
        See :class:`skspike.nn.SMA`.
    time_reduction : float, default=4
        See :class:`skspike.nn.SMA`.
    min_map : int, default=1
        A block pools only if no side of its map gets smaller than this. 1 is published; 3 leaves
        the head, which reads 3 x 3 values, something to read where sensors are small.
    hidden : sequence of int, default=(32, 16)
        Neurons of the spiking layers between the convolutions and the output, in multiples of the
        width. (32, 16) is published; () lets the output read the last convolution's spikes,
        which learns faster from few samples.
    zoneout : bool, default=True
        Whether training applies attention zoneout.
    zoneout_channels : int, default=4
        See :class:`skspike.nn.SMA`.
    zoneout_steps : int, default=4
        See :class:`skspike.nn.SMA`.
    zoneout_version : {"tensor", "loop"}, default="tensor"
        See :func:`skspike.nn.attention_zoneout`.
    sma_kind : {"neuron", "relu"}, default="neuron"
        Whether the scales of SMA spike like the rest of the network or are rectified.
    neuron : {"lif", "if", "plif"}, default="lif"
        Kind of the spiking neurons.
    tau : float, default=2.0
        Membrane time constant in steps.
    threshold : float, default=1.0
        Potential from which on a neuron fires.
    surrogate : str, default="atan"
        Surrogate derivative.
    alpha : float, default=None
        Sharpness of the surrogate.
    dropout : float, default=0.5
        Probability of dropout in the head.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs the neurons.

    Notes
    -----
    Input of shape (n_steps, n_samples, in_channels, height, width), output of shape (n_steps,
    n_samples, n_classes): the class scores are the mean over the steps. Maps of any size are
    taken: a map too small to pool is passed on as it is.

    References
    ----------
    .. [1] Shan, Y. et al., "Advancing spiking neural networks towards multiscale spatiotemporal
       interaction learning", AAAI 2025, 39(2), 1501-1509.

    Examples
    --------
    >>> import torch
    >>> from skspike.models import SMAVGG8
    >>> model = SMAVGG8(n_classes=10, n_steps=4, width=8)
    >>> model(torch.rand(4, 2, 2, 16, 16)).shape
    torch.Size([4, 2, 10])
    """

    def __init__(
        self,
        n_classes: int,
        n_steps: int,
        in_channels: int = 2,
        width: int = 64,
        sma_blocks: Collection[int] = (2, 3),
        scales: Sequence[int] = (1, 3, 5, 7),
        channel_reduction: float = 4,
        time_reduction: float = 4,
        min_map: int = 1,
        hidden: Sequence[int] = (32, 16),
        zoneout: bool = True,
        zoneout_channels: int = 4,
        zoneout_steps: int = 4,
        zoneout_version: str = "tensor",
        sma_kind: str = "neuron",
        neuron: str = "lif",
        tau: float = 2.0,
        threshold: float = 1.0,
        surrogate: str = "atan",
        alpha: float | None = None,
        dropout: float = 0.5,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_choice("SMAVGG8", "sma_kind", sma_kind, ("neuron", "relu"))
        check_number("SMAVGG8", "min_map", min_map, 1, integer=True)
        if not set(sma_blocks) <= set(range(1, len(BLOCK_WIDTHS) + 1)):
            raise ValueError(
                "The 'sma_blocks' parameter of SMAVGG8 must hold numbers of blocks, 1 to 5. "
                f"Got {tuple(sma_blocks)} instead."
            )
        spiking: dict[str, Any] = {
            "tau": tau,
            "threshold": threshold,
            "surrogate": surrogate,
            "alpha": alpha,
            "backend": backend,
        }

        def attention(channels: int) -> SMA:
            return SMA(
                channels,
                n_steps,
                scales,
                channel_reduction,
                time_reduction,
                kind="relu" if sma_kind == "relu" else neuron,
                zoneout=zoneout,
                zoneout_channels=zoneout_channels,
                zoneout_steps=zoneout_steps,
                zoneout_version=zoneout_version,
                **spiking,
            )

        channels = [in_channels, *(width * m for m in BLOCK_WIDTHS)]
        self.blocks = nn.Sequential(
            *(
                SpikingBlock(
                    channels[i - 1],
                    channels[i],
                    attention(channels[i]) if i in sma_blocks else None,
                    make_neuron(neuron, **spiking),
                    min_map,
                )
                for i in range(1, len(channels))
            )
        )
        features = [9 * channels[-1], *(width * m for m in hidden)]
        spiking_layers = (
            layer
            for n_in, n_out in itertools.pairwise(features)
            for layer in (nn.Linear(n_in, n_out), make_neuron(neuron, **spiking), Dropout(dropout))
        )
        self.head = nn.Sequential(
            AdaptiveAvgPool2d(3),
            nn.Flatten(2),
            *([] if hidden else [Dropout(dropout)]),
            *spiking_layers,
            nn.Linear(features[-1], n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of every step, (n_steps, n_samples, n_classes)."""
        return self.head(self.blocks(x))


@register("sma_vgg8_dvs128_gesture")
def sma_vgg8_dvs128_gesture(**options: Any) -> SMAVGG8:
    """Return the network for DVS128 Gesture: 16 steps of 128 x 128, 11 classes."""
    return SMAVGG8(**{"n_classes": 11, "n_steps": 16, "zoneout_channels": 10, **options})


@register("sma_vgg8_cifar10_dvs")
def sma_vgg8_cifar10_dvs(**options: Any) -> SMAVGG8:
    """Return the network for CIFAR10-DVS: 10 steps of 128 x 128, 10 classes."""
    return SMAVGG8(**{"n_classes": 10, "n_steps": 10, "zoneout_channels": 4, **options})


@register("sma_vgg8_ncaltech101")
def sma_vgg8_ncaltech101(**options: Any) -> SMAVGG8:
    """Return the network for N-Caltech101: 14 steps of 180 x 240, 101 classes."""
    return SMAVGG8(**{"n_classes": 101, "n_steps": 14, "zoneout_channels": 24, **options})
