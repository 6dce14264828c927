"""Spiking ResNet 18, 34 and 50, the networks on which Li et al. time temporal fusion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, MaxPool2d, fire, make_neuron
from ._registry import register

MakeNeuron = Callable[[], nn.Module]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions around which the current, not the spikes, is passed on."""

    expansion = 1

    def __init__(
        self, in_channels: int, channels: int, stride: int, make_neuron: MakeNeuron
    ) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, channels, 3, stride)
        self.bn1 = BatchNorm2d(channels)
        self.neuron1 = make_neuron()
        self.conv2 = convolution(channels, channels, 3)
        self.bn2 = BatchNorm2d(channels)
        self.neuron2 = make_neuron()
        self.downsample = projection(in_channels, channels, stride)

    def foldable(self) -> list[tuple[str, str]]:
        """Name the pairs that :func:`skspike.nn.fold_norms` makes one layer of."""
        return [("conv1", "bn1"), ("conv2", "bn2")]

    def forward(self, x: Tensor) -> Tensor:
        """Map spikes (T, N, C, H, W) to spikes of the block's width."""
        y = fire(self.bn1, self.neuron1, self.conv1(x))
        return self.neuron2(self.bn2(self.conv2(y)) + self.downsample(x))


class BottleneckBlock(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions; the last has four times the channels."""

    expansion = 4

    def __init__(
        self, in_channels: int, channels: int, stride: int, make_neuron: MakeNeuron
    ) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = convolution(in_channels, channels, 1)
        self.bn1 = BatchNorm2d(channels)
        self.neuron1 = make_neuron()
        self.conv2 = convolution(channels, channels, 3, stride)
        self.bn2 = BatchNorm2d(channels)
        self.neuron2 = make_neuron()
        self.conv3 = convolution(channels, out_channels, 1)
        self.bn3 = BatchNorm2d(out_channels)
        self.neuron3 = make_neuron()
        self.downsample = projection(in_channels, out_channels, stride)

    def foldable(self) -> list[tuple[str, str]]:
        """Name the pairs that :func:`skspike.nn.fold_norms` makes one layer of."""
        return [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")]

    def forward(self, x: Tensor) -> Tensor:
        """Map spikes (T, N, C, H, W) to spikes of four times the block's width."""
        y = fire(self.bn1, self.neuron1, self.conv1(x))
        y = fire(self.bn2, self.neuron2, self.conv2(y))
        return self.neuron3(self.bn3(self.conv3(y)) + self.downsample(x))


def convolution(in_channels: int, channels: int, kernel_size: int, stride: int = 1) -> Conv2d:
    """Return a convolution without bias that halves the map at a stride of 2."""
    padding = kernel_size // 2
    return Conv2d(in_channels, channels, kernel_size, stride, padding=padding, bias=False)


def projection(in_channels: int, channels: int, stride: int) -> nn.Module:
    """Return a shortcut: convolution and norm, without neurons, where the shape changes."""
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    return nn.Sequential(convolution(in_channels, channels, 1, stride), BatchNorm2d(channels))


# depth: kind of the blocks, and how many of them the four stages have
Block = type[BasicBlock] | type[BottleneckBlock]
STAGES: dict[int, tuple[Block, tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (BottleneckBlock, (3, 4, 6, 3)),
}


class SpikingResNet(nn.Module):
    r"""Residual network whose rectifiers are leaky integrate-and-fire neurons.

    The layers are those of torchvision's ResNet, under the same names, so that its weights can be
    loaded. Each residual is added to the current of the neurons behind it.

    Parameters
    ----------
    n_classes : int
        Number of outputs.
    n_steps : int, default=None
        Not needed, and here so that all networks are built alike: any number of steps is taken.
    depth : {18, 34, 50}, default=18
        Number of layers with weights. 18 and 34 have blocks of two convolutions, 50 of three.
    in_channels : int, default=3
        Number of input channels. 3 is published: polarities got a third channel of zeros.
    width : int, default=64
        Channels of the first layer; all others scale with it. 64 is published.
    decay : float in [0, 1], default=0.2
        What is left of a potential after one step.
    threshold : float, default=0.3
        Potential from which on a neuron fires.
    surrogate : str, default="rectangle"
        Surrogate derivative.
    alpha : float, default=None
        Sharpness of the surrogate; None takes 1 for the rectangle, as published.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs the neurons.

    Raises
    ------
    ValueError
        If there is no network of that depth.

    Notes
    -----
    Input of shape (n_steps, n_samples, in_channels, height, width), output of shape (n_steps,
    n_samples, n_classes): the class scores are the mean over the steps. Every layer runs all steps
    before the next one starts. The gradient passes the reset, as in the published kernel.

    References
    ----------
    .. [1] Li, Y. et al., "Towards scalable GPU-accelerated SNN training via temporal fusion",
       ICANN 2024, pp. 58-73.

    Examples
    --------
    >>> import torch
    >>> from skspike.models import SpikingResNet
    >>> model = SpikingResNet(n_classes=10, width=8)
    >>> model(torch.rand(4, 2, 3, 32, 32)).shape
    torch.Size([4, 2, 10])
    """

    def __init__(
        self,
        n_classes: int,
        n_steps: int | None = None,
        depth: int = 18,
        in_channels: int = 3,
        width: int = 64,
        decay: float = 0.2,
        threshold: float = 0.3,
        surrogate: str = "rectangle",
        alpha: float | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if depth not in STAGES:
            raise ValueError(
                f"The 'depth' parameter of SpikingResNet must be one of {sorted(STAGES)}. "
                f"Got {depth!r} instead."
            )

        def lif() -> nn.Module:
            return make_neuron(
                "lif",
                decay=decay,
                threshold=threshold,
                detach_reset=False,
                surrogate=surrogate,
                alpha=alpha,
                backend=backend,
            )

        block, numbers = STAGES[depth]

        def stage(in_channels: int, channels: int, n_blocks: int, stride: int) -> nn.Sequential:
            first = block(in_channels, channels, stride, lif)
            inside = channels * block.expansion
            return nn.Sequential(
                first, *(block(inside, channels, 1, lif) for _ in range(n_blocks - 1))
            )

        grown = width * block.expansion
        self.conv1 = convolution(in_channels, width, 7, 2)
        self.bn1 = BatchNorm2d(width)
        self.neuron1 = lif()
        self.maxpool = MaxPool2d(3, 2, 1)
        self.layer1 = stage(width, width, numbers[0], 1)
        self.layer2 = stage(grown, 2 * width, numbers[1], 2)
        self.layer3 = stage(2 * grown, 4 * width, numbers[2], 2)
        self.layer4 = stage(4 * grown, 8 * width, numbers[3], 2)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * grown, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def foldable(self) -> list[tuple[str, str]]:
        """Name the pairs that :func:`skspike.nn.fold_norms` makes one layer of.

        Returns
        -------
        pairs : list of tuple of str
            Names of a layer and of the norm applied right after it.
        """
        return [("conv1", "bn1")]

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of every step, (n_steps, n_samples, n_classes)."""
        x = self.maxpool(fire(self.bn1, self.neuron1, self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(2))


@register("spiking_resnet18")
def spiking_resnet18(**options: Any) -> SpikingResNet:
    """Return the network of 18 layers."""
    return SpikingResNet(**{"depth": 18, **options})


@register("spiking_resnet34")
def spiking_resnet34(**options: Any) -> SpikingResNet:
    """Return the network of 34 layers."""
    return SpikingResNet(**{"depth": 34, **options})


@register("spiking_resnet50")
def spiking_resnet50(**options: Any) -> SpikingResNet:
    """Return the network of 50 layers."""
    return SpikingResNet(**{"depth": 50, **options})
