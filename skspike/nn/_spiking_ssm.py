"""The block of SpikingSSM: a state space model, spikes, and a gate that mixes channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..kernels import gated_linear
from ._s4d import S4D
from ._sequence_block import SequenceBlock, State
from ._spiking_ssm_neuron import SpikingSSMNeuron


class GatedLinear(nn.Linear):
    """A matrix that mixes channels, half of whose results gate the others."""

    def __init__(self, n_channels: int, backend: str = "auto") -> None:
        super().__init__(n_channels, 2 * n_channels)
        self.backend = backend

    def forward(self, s: Tensor, residual: Tensor | None = None) -> Tensor:
        """Return the gated mixture of all steps, added to a residual."""
        return gated_linear(s, self.weight, self.bias, residual, backend=self.backend)


class SpikingSSMBlock(SequenceBlock):
    r"""State space model, spikes and a gated mixture of channels, around which the input passes.

    .. math::
        z &= \mathrm{S4D}(\mathrm{norm}(x)) \\
        s &= \mathrm{spikes}(z) \\
        y &= x + \mathrm{GLU}(W s + b)

    What is multiplied by the matrix W, of twice as many rows as columns, is binary unless a neuron
    may fire more than once in a step.

    Parameters
    ----------
    n_channels : int in [1, inf)
        Number of channels.
    d_state : int in [2, inf), default=64
        Number of real states of a channel; see :class:`S4D`.
    bidirectional : bool, default=False
        Whether a step sees those after it, too.
    trainable_input : bool, default=False
        Whether the input matrix of the state space model is learnt.
    dt_min : float in (0, inf), default=0.001
        Shortest step of the state space model at first.
    dt_max : float in (0, inf), default=0.1
        Longest step of the state space model at first.
    norm : {"layer", "batch"}, default="layer"
        Normalises channels: those of a step with each other, or each over all steps and samples.
    norm_place : {"before", "after", "unused"}, default="before"
        Whether the input of the block is normalised, or its output. ``"unused"`` has the parameters
        of a norm and applies none: the published code computes what ``"after"`` would return and
        discards it, so that its results for such configurations are those of no norm.
    dropout : float, default=0.0
        Probability that a channel is dropped from the spikes of a sample, in all steps, and once
        more from the output of the gate.
    mode : {"exact", "sdn", "fixed_point"}, default="exact"
        How the neurons are computed; see :class:`SpikingSSMNeuron`.
    decay : float in [0, 1], default=0.125
        Factor on the carried potential of the neurons.
    n_rounds : int in [0, inf), default=3
        Number of rounds of "fixed_point".
    learnable_threshold : bool, default=True
        Whether thresholds are learnt.
    shared_threshold : bool, default=False
        Whether all channels share a threshold.
    surrogate : str, default="triangle"
        What stands for the derivative of a spike; see :class:`SpikingSSMNeuron`.
    alpha : float in (0, inf), default=None
        Sharpness of the surrogate.
    max_spikes : int in [1, inf), default=1
        Most spikes of a neuron in a step; see :class:`SpikingSSMNeuron`.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs the kernels.

    Notes
    -----
    Input and output of shape (n_steps, n_samples, n_channels). The input must be finite.

    Samples of unequal lengths are told apart by `valid`, in which the published code has no part:
    there the steps that fill up a sample enter batch statistics, and those that look ahead see
    them.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import SpikingSSMBlock
    >>> SpikingSSMBlock(n_channels=8, d_state=4)(torch.randn(20, 2, 8)).shape
    torch.Size([20, 2, 8])
    """

    def __init__(
        self,
        n_channels: int,
        d_state: int = 64,
        bidirectional: bool = False,
        trainable_input: bool = False,
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        norm: str = "layer",
        norm_place: str = "before",
        dropout: float = 0.0,
        mode: str = "exact",
        decay: float = 0.125,
        n_rounds: int = 3,
        learnable_threshold: bool = True,
        shared_threshold: bool = False,
        surrogate: str = "triangle",
        alpha: float | None = None,
        max_spikes: int = 1,
        backend: str = "auto",
    ) -> None:
        of_neurons = (
            mode, decay, n_rounds, learnable_threshold, shared_threshold, surrogate, alpha,
            max_spikes,
        )  # fmt: skip
        super().__init__(
            n_channels,
            norm,
            norm_place,
            S4D(n_channels, d_state, bidirectional, trainable_input, dt_min, dt_max, backend),
            SpikingSSMNeuron(n_channels, *of_neurons, backend),
            GatedLinear(n_channels, backend),
            dropout,
        )

    def _drive(self, z: Tensor, valid: Tensor | None, form: str) -> Tensor:
        if valid is not None:  # some see what follows, and a Fourier transform rounds by all
            z = torch.where(valid[..., None], z, 0.0)
        return self.ssm(z, form)

    def _drive_on(self, z: Tensor, held: State) -> tuple[Tensor, State]:
        z, modes = self.ssm.stream(z, *held)
        return z, (modes,)

    def _gather(self, x: Tensor, s: Tensor) -> Tensor:
        if self.training and self.dropout.p > 0:
            return x + self.dropout(self.mix(self.dropout(s)))
        return self.mix(s, x)
