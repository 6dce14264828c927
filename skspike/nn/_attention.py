"""Spiking multiscale attention (SMA) and its regulariser, attention zoneout (AZO)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._validation import check_choice, check_number
from ..kernels import scale_conv, scale_mean, scale_mix
from ._fire import fire
from ._neurons import NEURONS, make_neuron
from ._steps import BatchNorm2d, Conv2d
from ._time import TimeGroup, all_steps, before_own, count_steps, current, hand_on, own_steps


def attention_zoneout(
    x: Tensor,
    time_weight: Tensor,
    channel_weight: Tensor,
    *,
    n_steps: int,
    n_channels: int,
    training: bool = True,
    version: str = "tensor",
) -> Tensor:
    r"""Replace the least attended steps and channels of a scale by their value one step earlier.

    Of one scale's attended map, the `n_steps` steps with the smallest time attention and, summed
    over those, the `n_channels` channels with the smallest channel attention are selected (both
    summed over the batch); every selected entry takes the value of the step before.
    The first step has none before it and stays.

    Parameters
    ----------
    x : Tensor of shape (n_steps_total, n_samples, n_channels_total, height, width)
        Attended map of one scale.
    time_weight : Tensor of shape (n_steps_total, n_samples)
        Time attention of the scale.
    channel_weight : Tensor of shape (n_steps_total, n_samples, n_channels_total)
        Channel attention of the scale.
    n_steps : int
        Number of steps to select; 0 changes nothing.
    n_channels : int
        Number of channels to select; 0 changes nothing.
    training : bool, default=True
        Whether to replace at all; evaluation is the identity.
    version : {"tensor", "loop"}, default="tensor"
        ``"tensor"`` reads the original map, as the published training code. ``"loop"`` replaces one
        step after the other in the order of the selection, so that a step can receive a value
        replaced before.

    Returns
    -------
    y : Tensor of the shape of `x`
        The map with the selected entries replaced.

    Raises
    ------
    ValueError
        If there are not as many steps or channels to select.

    Notes
    -----
    Deterministic given the weights. A replaced entry sends its whole gradient to the step before.
    The selection sums over the batch, so in training the result depends on the batch.

    References
    ----------
    .. [1] Shan, Y. et al., "Advancing spiking neural networks towards multiscale spatiotemporal
       interaction learning", AAAI 2025, 39(2), 1501-1509.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import attention_zoneout
    >>> x = torch.arange(3.0).reshape(3, 1, 1, 1, 1)
    >>> attention = torch.tensor([[0.5], [0.2], [0.3]])
    >>> y = attention_zoneout(x, attention, attention[..., None], n_steps=1, n_channels=1)
    >>> y.flatten().tolist()
    [0.0, 0.0, 2.0]
    """
    check_choice("attention_zoneout", "version", version, ("tensor", "loop"))
    check_number("attention_zoneout", "n_steps", n_steps, 0, len(time_weight), integer=True)
    check_number("attention_zoneout", "n_channels", n_channels, 0, x.shape[2], integer=True)
    if not training or n_steps == 0 or n_channels == 0:
        return x
    steps, channels = zoneout_indices(time_weight, channel_weight, n_steps, n_channels)
    if (group := current()) is not None:
        return _zoneout_across(group, x, steps, channels, version)
    return _replace(x, steps, channels, version)


def _replace(x: Tensor, steps: Tensor, channels: Tensor, version: str) -> Tensor:
    """Let the selected entries of one scale's map read the step before; step 0 reads itself."""
    source = zoneout_source(steps[None], channels[None], (x.shape[0], x.shape[2]), version)
    return scale_mix([x], x.new_ones(1, *x.shape[:3]), source)


def _zoneout_across(
    group: TimeGroup, x: Tensor, steps: Tensor, channels: Tensor, version: str
) -> Tensor:
    """Replace in one chunk of steps; the step before the first is the process before's last."""
    order = steps.tolist()
    first = max(group.start, 1)  # the first step of all stays
    own = [t - group.start + 1 for t in order if first <= t < group.stop]
    if version == "tensor":
        x = hand_on(group, x, x[-1])
    before = before_own(group, x.shape[1:], x.dtype, x.device)
    x = torch.cat([before[None], x])
    y = _replace(x, steps.new_tensor(own), channels, version)
    if version == "tensor":
        return y[1:]
    # The next process reads the last step as it is when its first step's turn comes
    replaced = group.stop in order and group.stop - 1 in order[: order.index(group.stop)]
    return hand_on(group, y[1:], y[-1] if replaced else x[-1])


def zoneout_indices(
    time_weight: Tensor, channel_weight: Tensor, n_steps: int, n_channels: int
) -> tuple[Tensor, Tensor]:
    """Return the least attended steps, and the least attended channels of those steps.

    The weights (..., T, N) and (..., T, N, C) may be those of several scales.
    """
    steps = time_weight.detach().sum(-1).topk(n_steps, largest=False).indices
    weight = channel_weight.detach().take_along_dim(steps[..., None, None], -3)
    return steps, weight.sum((-3, -2)).topk(n_channels, largest=False).indices


def zoneout_source(steps: Tensor, channels: Tensor, sizes: tuple[int, int], version: str) -> Tensor:
    """Return what step each step and channel reads, (n, T, C), as `scale_mix` takes it.

    `steps` and `channels` are the selected ones of n scales, and `sizes` are T and C.
    """
    n_steps, n_channels = sizes
    source = torch.arange(n_steps, device=steps.device)[None, :, None].repeat(
        len(steps), 1, n_channels
    )
    scale = torch.arange(len(steps), device=steps.device)[:, None, None]
    here, channels = steps[:, :, None], channels[:, None]
    # all at once, or one after the other: then a step can read what has been replaced
    for t in [here] if version == "tensor" else here.split(1, 1):
        source[scale, t, channels] = source[scale, (t - 1).clamp(min=0), channels]
    return source


class ScaleAttention(nn.Module):
    """Weigh the scales against each other: a shared squeeze, one expansion and logit per scale."""

    def __init__(self, size: int, hidden: int, n_scales: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(size, hidden)
        self.expand = nn.ModuleList([nn.Linear(hidden, size) for _ in range(n_scales)])

    def forward(self, descriptor: Tensor) -> Tensor:
        """Map (..., size) to weights (n_scales, ..., size) that sum to 1 over the scales."""
        hidden = self.squeeze(descriptor).relu()
        return torch.stack([expand(hidden) for expand in self.expand]).softmax(0)


class SMA(nn.Module):
    r"""Spiking multiscale attention.

    Convolutions with several kernel sizes code the input at several scales,
    :math:`S_i = \mathrm{LIF}(\mathrm{BN}_i(\mathrm{Conv}_{k_i}(X)))`. Two small networks read
    the spatial mean of :math:`\sum_i S_i` and weigh the scales against each other, for each
    channel at each step (:math:`W^c_i`) and for each step (:math:`W^t_i`); the result is
    :math:`\sum_i W^t_i W^c_i S_i`. In training, :func:`attention_zoneout` regularises each scale.

    Parameters
    ----------
    channels : int
        Number of channels of input and output.
    n_steps : int
        Number of time steps; the time attention is tied to it.
    scales : sequence of int, default=(1, 3, 5, 7)
        Kernel sizes, all odd.
    channel_reduction : float, default=4
        The channel attention has ``channels // channel_reduction`` hidden units, at least one.
    time_reduction : float, default=4
        The time attention has ``n_steps // time_reduction`` hidden units, at least one.
    kind : {"lif", "relu", "if", "plif"}, default="lif"
        What follows the norm of each scale: spiking neurons, or a rectifier as in the published
        residual networks.
    zoneout : bool, default=False
        Whether training applies attention zoneout.
    zoneout_channels : int, default=4
        Divisor: ``channels // zoneout_channels`` channels are replaced ("RCR" of the paper).
    zoneout_steps : int, default=4
        Divisor: ``n_steps // zoneout_steps`` steps are replaced ("RTR" of the paper).
    zoneout_version : {"tensor", "loop"}, default="tensor"
        See :func:`attention_zoneout`.
    tau : float, default=2.0
        Membrane time constant of the neurons in steps.
    threshold : float, default=1.0
        Potential from which on a neuron fires.
    surrogate : str, default="atan"
        Surrogate derivative of the neurons.
    alpha : float, default=None
        Sharpness of the surrogate.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs the neurons and the sum of the scales.

    Raises
    ------
    ValueError
        If a kernel size is even, or the input has another number of steps than `n_steps`.

    Notes
    -----
    Input and output of shape (n_steps, n_samples, channels, height, width). Each weight sums to 1
    over the scales, their product does not: the output is about 1/4 of a spike map, and the
    batch norm that follows in the networks evens that out. Reading real-valued input, the
    convolutions multiply; they do not merely accumulate spikes. The biases before the batch norms
    are redundant and kept, as published.

    References
    ----------
    .. [1] Shan, Y. et al., "Advancing spiking neural networks towards multiscale spatiotemporal
       interaction learning", AAAI 2025, 39(2), 1501-1509.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import SMA
    >>> SMA(channels=8, n_steps=4)(torch.randn(4, 2, 8, 6, 6)).shape
    torch.Size([4, 2, 8, 6, 6])
    """

    def __init__(
        self,
        channels: int,
        n_steps: int,
        scales: Sequence[int] = (1, 3, 5, 7),
        channel_reduction: float = 4,
        time_reduction: float = 4,
        kind: str = "lif",
        zoneout: bool = False,
        zoneout_channels: int = 4,
        zoneout_steps: int = 4,
        zoneout_version: str = "tensor",
        tau: float = 2.0,
        threshold: float = 1.0,
        surrogate: str = "atan",
        alpha: float | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        check_choice(owner, "kind", kind, ("relu", *NEURONS))
        check_choice(owner, "zoneout_version", zoneout_version, ("tensor", "loop"))
        check_number(owner, "zoneout_channels", zoneout_channels, 1, integer=True)
        check_number(owner, "zoneout_steps", zoneout_steps, 1, integer=True)
        if not scales or any(k % 2 == 0 for k in scales):
            raise ValueError(
                f"The 'scales' parameter of {owner} must be odd kernel sizes, at least one. "
                f"Got {tuple(scales)} instead."
            )
        self.n_steps = n_steps
        self.backend = backend
        self.zoneout = zoneout
        self.zoneout_version = zoneout_version
        self.n_zoneout_steps = n_steps // zoneout_steps
        self.n_zoneout_channels = channels // zoneout_channels

        spiking: dict[str, Any] = {
            "tau": tau,
            "threshold": threshold,
            "surrogate": surrogate,
            "alpha": alpha,
            "backend": backend,
        }

        def activation() -> nn.Module:
            return nn.ReLU() if kind == "relu" else make_neuron(kind, **spiking)

        self.branches = nn.ModuleList(
            nn.Sequential(
                Conv2d(channels, channels, k, padding=k // 2), BatchNorm2d(channels), activation()
            )
            for k in scales
        )
        n_hidden = _hidden(owner, "channel_reduction", channels, channel_reduction)
        self.channel_attention = ScaleAttention(channels, n_hidden, len(scales))
        n_hidden = _hidden(owner, "time_reduction", n_steps, time_reduction)
        self.time_attention = ScaleAttention(n_steps, n_hidden, len(scales))

    def forward(self, x: Tensor) -> Tensor:
        """Return the attended sum of the scales, of the shape of `x`."""
        if count_steps(x) != self.n_steps:
            raise ValueError(
                f"Input of {type(self).__name__} must have {self.n_steps} steps, to which its "
                f"time attention is tied. Got shape {tuple(x.shape)} instead."
            )
        scales = self._scales(x)
        time_weights, channel_weights = self._attend(scales)
        weight = time_weights[..., None] * channel_weights  # (n, T, N, C)
        source = None
        if self.training and self.zoneout:
            if current() is not None:
                return self._mix_across(scales, weight, time_weights, channel_weights)
            selected = zoneout_indices(
                time_weights, channel_weights, self.n_zoneout_steps, self.n_zoneout_channels
            )
            sizes = weight.shape[1], weight.shape[3]
            source = zoneout_source(*selected, sizes, self.zoneout_version)
        return scale_mix(scales, _own(weight), source, backend=self.backend)

    def _scales(self, x: Tensor) -> list[Tensor]:
        """Return the spikes of every scale; the convolutions share their work on the input."""
        convolutions, norms, neurons = zip(*self.branches, strict=True)
        currents = scale_conv(
            x,
            [convolution.weight for convolution in convolutions],
            [convolution.bias for convolution in convolutions],
            backend=self.backend,
        )
        return [fire(*layers) for layers in zip(norms, neurons, currents, strict=True)]

    def _attend(self, scales: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return time weights (n, T, N) and channel weights (n, T, N, C) of the n scales."""
        descriptor = all_steps(scale_mean(scales, backend=self.backend))  # (T, N, C)
        time_weights = self.time_attention(descriptor.mean(-1).t())  # (n, N, T)
        return time_weights.transpose(1, 2), self._channel_weights(descriptor)

    def _mix_across(self, scales: list[Tensor], weight: Tensor, *weights: Tensor) -> Tensor:
        """Return the sum of the attended scales, which read the steps of another process too."""
        maps = (
            attention_zoneout(
                scale_mix([s], _own(w[None]), backend=self.backend),
                *of_scale,
                n_steps=self.n_zoneout_steps,
                n_channels=self.n_zoneout_channels,
                version=self.zoneout_version,
            )
            for s, w, *of_scale in zip(scales, weight, *weights, strict=True)
        )
        return functools.reduce(torch.add, maps)

    def _channel_weights(self, descriptor: Tensor) -> Tensor:
        """Return channel weights (n, T, N, C) from the descriptor (T, N, C)."""
        return self.channel_attention(descriptor)


class SMALite(SMA):
    r"""Spiking multiscale attention whose channel attention is shared by all steps ("SMA-L").

    As :class:`SMA`, except that the channel attention reads the mean over time, so that its weights
    do not change from step to step. The numbers of parameters are equal; the published code
    calls the accuracy poor.

    Parameters
    ----------
    channels : int
        Number of channels of input and output.
    n_steps : int
        Number of time steps; the time attention is tied to it.
    zoneout_channels : int, default=16
        Divisor of the channels replaced, 16 in the published code whatever is asked for.
    **options : dict
        Further parameters of :class:`SMA`.

    References
    ----------
    .. [1] Shan, Y. et al., "Advancing spiking neural networks towards multiscale spatiotemporal
       interaction learning", AAAI 2025, 39(2), 1501-1509.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import SMALite
    >>> SMALite(channels=8, n_steps=4)(torch.randn(4, 2, 8, 6, 6)).shape
    torch.Size([4, 2, 8, 6, 6])
    """

    def __init__(
        self, channels: int, n_steps: int, *, zoneout_channels: int = 16, **options: Any
    ) -> None:
        super().__init__(channels, n_steps, zoneout_channels=zoneout_channels, **options)

    def _channel_weights(self, descriptor: Tensor) -> Tensor:
        """Return channel weights (n, T, N, C), equal at all steps, from (T, N, C)."""
        weights = self.channel_attention(descriptor.mean(0))
        return weights[:, None].expand(-1, self.n_steps, -1, -1)


def _hidden(owner: str, name: str, size: int, reduction: float) -> int:
    """Return the hidden width; a reduction need not be whole, nor smaller than the size."""
    check_number(owner, name, reduction, 0, closed="neither")
    return max(1, int(size // reduction))


def _own(weight: Tensor) -> Tensor:
    """Return this process's part of the steps of weights (n, T, N, C)."""
    return own_steps(weight.transpose(0, 1)).transpose(0, 1)
