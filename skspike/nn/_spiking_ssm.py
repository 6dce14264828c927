"""The block of SpikingSSM: a state space model, spikes, and a gate that mixes channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._validation import check_choice
from ..kernels import gated_linear
from ._s4d import S4D
from ._spiking_ssm_neuron import SpikingSSMNeuron
from ._steps import BatchNorm1d, Dropout

NORMS = {"layer": nn.LayerNorm, "batch": BatchNorm1d}
PLACES = ("before", "after", "unused")

State = tuple[Tensor, Tensor]  # of the state space model and of the neurons


class GatedLinear(nn.Linear):
    """A matrix that mixes channels, half of whose results gate the others."""

    def __init__(self, n_channels: int, backend: str = "auto") -> None:
        super().__init__(n_channels, 2 * n_channels)
        self.backend = backend

    def forward(self, s: Tensor, residual: Tensor | None = None) -> Tensor:
        """Return the gated mixture of all steps, added to a residual."""
        return gated_linear(s, self.weight, self.bias, residual, backend=self.backend)


class SpikingSSMBlock(nn.Module):
    r"""State space model, spikes and a gated mixture of channels, around which the input passes.

    .. math::
        z &= \mathrm{S4D}(\mathrm{norm}(x)) \\
        s &= \mathrm{spikes}(z) \\
        y &= x + \mathrm{GLU}(W s + b)

    What is multiplied by the matrix W, of twice as many rows as columns, is binary.

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
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_choice("SpikingSSMBlock", "norm", norm, NORMS)
        check_choice("SpikingSSMBlock", "norm_place", norm_place, PLACES)
        self.norm_place = norm_place
        self.norm = NORMS[norm](n_channels)
        self.ssm = S4D(n_channels, d_state, bidirectional, trainable_input, dt_min, dt_max, backend)
        self.neuron = SpikingSSMNeuron(
            n_channels, mode, decay, n_rounds, learnable_threshold, shared_threshold, backend
        )
        self.dropout = Dropout(dropout)
        self.mix = GatedLinear(n_channels, backend)

    def forward(self, x: Tensor, valid: Tensor | None = None, form: str = "parallel") -> Tensor:
        """Return the output of all steps.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, n_channels)
            The input, time first.
        valid : Tensor of bool of shape (n_steps, n_samples), default=None
            Which steps belong to a sample; the others have no influence on these. None stands for
            all.
        form : {"parallel", "recurrent"}, default="parallel"
            How the state space model is computed; see :meth:`S4D.forward`.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, n_channels)
            The output; that of steps which belong to no sample is of no meaning.
        """
        z = self._normalize(x, valid) if self.norm_place == "before" else x
        if valid is not None:  # some see what follows, and a Fourier transform rounds by all
            z = torch.where(valid[..., None], z, 0.0)
        y = self._gate(x, self.neuron(self.ssm(z, form)))
        return self._normalize(y, valid) if self.norm_place == "after" else y

    def stream(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the output of some steps, and the state after them.

        In evaluation mode, that is ``forward`` in parts. In training each call has a dropout
        mask and batch statistics of its own.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, n_channels)
            The next steps of the input.
        state : tuple of Tensor, default=None
            What the call for the steps before returned; None starts from rest.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, n_channels)
            The output.
        state : tuple of Tensor
            The state of the state space model and that of the neurons.

        Raises
        ------
        ValueError
            If the block is bidirectional: it cannot answer before the end.
        """
        modes, potential = (None, None) if state is None else state
        z = self.norm(x) if self.norm_place == "before" else x
        z, modes = self.ssm.stream(z, modes)
        s, potential = self.neuron.stream(z, potential)
        y = self._gate(x, s)
        return self.norm(y) if self.norm_place == "after" else y, (modes, potential)

    def _gate(self, x: Tensor, s: Tensor) -> Tensor:
        """Mix the channels of spikes, and add that to the input."""
        if self.training and self.dropout.p > 0:
            return x + self.dropout(self.mix(self.dropout(s)))
        return self.mix(s, x)

    def _normalize(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Normalise; the statistics of a batch are those of the steps that belong to a sample."""
        if valid is None or not (self.training and isinstance(self.norm, BatchNorm1d)):
            return self.norm(x)
        y = torch.zeros_like(x)
        y[valid] = self.norm(x[valid][None])[0].to(y.dtype)
        return y

    def extra_repr(self) -> str:
        """Show where the norm is in the module's repr."""
        return f"norm_place={self.norm_place!r}"
