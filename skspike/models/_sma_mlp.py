"""SMA for input without pixels: tables, and series of feature vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..nn import SMA, BatchNorm1d, Dropout, fire, make_neuron
from ._registry import register


@register("sma_mlp")
class SMAMLP(nn.Module):
    r"""Spiking perceptron with multiscale attention between its two hidden layers.

    A vector is a map of one pixel, of which a kernel of any size sees the centre only. The scales
    of SMA thus become parallel linear branches, weighed against each other as in the paper.

    Parameters
    ----------
    n_classes : int
        Number of outputs.
    n_steps : int
        Number of time steps; the attention is tied to it.
    in_channels : int
        Number of features.
    width : int, default=64
        The hidden layers have ``8 * width`` neurons.
    scales : sequence of int, default=(1, 3, 5, 7)
        As many branches as there are entries.
    channel_reduction : float, default=4
        See :class:`skspike.nn.SMA`.
    time_reduction : float, default=4
        See :class:`skspike.nn.SMA`.
    zoneout : bool, default=True
        Whether training applies attention zoneout.
    zoneout_channels : int, default=4
        See :class:`skspike.nn.SMA`.
    zoneout_steps : int, default=4
        See :class:`skspike.nn.SMA`.
    zoneout_version : {"tensor", "loop"}, default="tensor"
        See :func:`skspike.nn.attention_zoneout`.
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
        Probability of dropout before the output.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs the neurons.

    Notes
    -----
    Input of shape (n_steps, n_samples, in_channels), standardised by a batch norm; output of shape
    (n_steps, n_samples, n_classes). Not in the paper, whose networks read images.

    Examples
    --------
    >>> import torch
    >>> from skspike.models import SMAMLP
    >>> model = SMAMLP(n_classes=3, n_steps=4, in_channels=5, width=8)
    >>> model(torch.rand(4, 2, 5)).shape
    torch.Size([4, 2, 3])
    """

    def __init__(
        self,
        n_classes: int,
        n_steps: int,
        in_channels: int,
        width: int = 64,
        scales: Sequence[int] = (1, 3, 5, 7),
        channel_reduction: float = 4,
        time_reduction: float = 4,
        zoneout: bool = True,
        zoneout_channels: int = 4,
        zoneout_steps: int = 4,
        zoneout_version: str = "tensor",
        neuron: str = "lif",
        tau: float = 2.0,
        threshold: float = 1.0,
        surrogate: str = "atan",
        alpha: float | None = None,
        dropout: float = 0.5,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        hidden = 8 * width
        spiking: dict[str, Any] = {
            "tau": tau,
            "threshold": threshold,
            "surrogate": surrogate,
            "alpha": alpha,
            "backend": backend,
        }
        self.encode = nn.Sequential(
            BatchNorm1d(in_channels),
            nn.Linear(in_channels, hidden),
            BatchNorm1d(hidden),
            make_neuron(neuron, **spiking),
            nn.Linear(hidden, hidden),
        )
        self.attention = SMA(
            hidden,
            n_steps,
            (1,) * len(scales),
            channel_reduction,
            time_reduction,
            kind=neuron,
            zoneout=zoneout,
            zoneout_channels=zoneout_channels,
            zoneout_steps=zoneout_steps,
            zoneout_version=zoneout_version,
            **spiking,
        )
        self.head = nn.Sequential(
            BatchNorm1d(hidden),
            make_neuron(neuron, **spiking),
            Dropout(dropout),
            nn.Linear(hidden, n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of every step, (n_steps, n_samples, n_classes)."""
        standardize, first, norm, neuron, second = self.encode
        x = second(fire(norm, neuron, first(standardize(x))))
        x = self.attention(x[..., None, None])[..., 0, 0]
        norm, neuron, dropout, output = self.head
        return output(dropout(fire(norm, neuron, x)))
