"""A state space model whose steps are chosen by its input, and the block of spikes around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._validation import check_choice, check_number
from ..kernels import gated_scan
from ._linear_states import FORMS, check_causal, check_channels, draw_logarithms
from ._sequence_block import SequenceBlock, State
from ._spiking_ssm_neuron import SpikingSSMNeuron
from ._time import all_steps, own_steps


class SelectiveSSM(nn.Module):
    r"""State space model whose steps are chosen by its input.

    Each of `n_states` states takes a value :math:`v_t`, and how much of it, from the channels of
    this step and of the one before,

    .. math::
        v_t &= W_v \operatorname{mix}_v(x_t, x_{t-1}) + b_v \\
        \Delta_t &= \log(1 + e^{W_g \operatorname{mix}_g(x_t, x_{t-1}) + b_g}) \\
        h_t &= e^{-\Delta_t} h_{t-1} + (1 - e^{-\Delta_t})\, v_t \\
        y_t &= c\, h_t + d\, v_t + b,

    where mix takes of each channel a share, which is learnt, from the step before. A long step
    forgets what was; a step of nothing leaves it as it is, for ever. A bidirectional model adds
    :math:`c'\, h'_{t+1}`, of states with gates of their own that come from the end.

    With a step of its own for each step of the input, as in Mamba [1]_, the model can count, or
    wait for something: the response of :class:`S4D` to an input does not depend on what follows.
    One real state of each channel is the recurrence of minGRU [2]_; sharing channels with the step
    before is the token shift of RWKV [3]_.

    Parameters
    ----------
    n_channels : int in [1, inf)
        Number of channels of the input.
    n_states : int in [1, inf)
        Number of states, and of channels of the output.
    bidirectional : bool, default=False
        Whether a step sees those after it, too.
    dt_min : float in (0, inf), default=0.001
        Lower end of the steps :math:`\Delta` without input, which are drawn uniformly in their
        logarithm.
    dt_max : float in (0, inf), default=0.1
        Upper end of the steps.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.gated_scan`.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Input of shape (n_steps, n_samples, n_channels), output of shape (n_steps, n_samples, n_states).
    The input must be finite. c and d begin normal, b uniform in [0, 1): before any input, a neuron
    stands somewhere between rest and a threshold of 1.

    References
    ----------
    .. [1] Gu, A. and Dao, T., "Mamba: linear-time sequence modeling with selective state spaces",
       COLM 2024.
    .. [2] Feng, L. et al., "Were RNNs all we needed?", arXiv 2410.01201.
    .. [3] Peng, B. et al., "RWKV: reinventing RNNs for the transformer era", EMNLP 2023.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import SelectiveSSM
    >>> layer = SelectiveSSM(n_channels=3, n_states=6)
    >>> x = torch.randn(100, 2, 3)
    >>> layer(x).shape
    torch.Size([100, 2, 6])
    """

    def __init__(
        self,
        n_channels: int,
        n_states: int,
        bidirectional: bool = False,
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        owner = "SelectiveSSM"
        check_number(owner, "n_channels", n_channels, 1, integer=True)
        check_number(owner, "n_states", n_states, 1, integer=True)
        self.n_channels, self.n_states = n_channels, n_states
        self.bidirectional = bidirectional
        self.backend = backend
        directions = 2 if bidirectional else 1
        self.shift = nn.Parameter(torch.rand(2, n_channels))  # of the values, and of the gates
        self.value = nn.Linear(n_channels, n_states)
        self.gate = nn.Linear(n_channels, directions * n_states)
        self.c = nn.Parameter(torch.randn(directions, n_states))
        self.d = nn.Parameter(torch.randn(n_states))
        self.bias = nn.Parameter(torch.rand(n_states))
        dt = draw_logarithms(owner, directions * n_states, dt_min=dt_min, dt_max=dt_max).exp()
        with torch.no_grad():  # of which the softplus is dt
            self.gate.bias.copy_(dt + torch.log(-torch.expm1(-dt)))

    def forward(self, x: Tensor, valid: Tensor | None = None, form: str = "parallel") -> Tensor:
        """Return the response to whole sequences.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, n_channels)
            The input, time first.
        valid : Tensor of bool of shape (n_steps, n_samples), default=None
            Which steps belong to a sample: the first ones of each. None stands for all.
        form : {"parallel", "recurrent"}, default="parallel"
            Whether the states go through time in a fused kernel, or step by step.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, n_states)
            The response.
        """
        check_choice("SelectiveSSM", "form", form, FORMS)
        check_channels("SelectiveSSM", x, self.n_channels)
        backend = self.backend if form == "parallel" else "reference"
        value, gate = self._read(all_steps(x), None)
        if valid is not None:  # what comes from the end begins with the last step of a sample
            value = value * all_steps(valid.to(value.dtype))[..., None]
        ahead, *back = gate.split(self.n_states, -1)
        y = self._respond(value, gated_scan(value, ahead.contiguous(), backend=backend))
        if back:
            h = gated_scan(value, back[0].contiguous(), reverse=True, backend=backend)
            y = y + nn.functional.pad(self.c[1] * h[1:], (0, 0, 0, 0, 0, 1))
        return own_steps(y)

    def stream(
        self, x: Tensor, state: Tensor | None = None, last: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the response to some steps, and what to remember after them.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, n_channels)
            The next steps of the input.
        state : Tensor of shape (n_samples, n_states), default=None
            The states that the call for the steps before returned; None starts from zero.
        last : Tensor of shape (n_samples, n_channels), default=None
            The input of the step before, as that call returned it; None stands for zero.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, n_states)
            The response.
        state : Tensor of shape (n_samples, n_states)
            The states after the last step.
        last : Tensor of shape (n_samples, n_channels)
            The input of the last step.

        Raises
        ------
        ValueError
            If the model is bidirectional: it cannot answer before the end.
        """
        check_causal("SelectiveSSM", self.bidirectional)
        check_channels("SelectiveSSM", x, self.n_channels)
        value, gate = self._read(x, last)
        h = gated_scan(value, gate, state, backend=self.backend)
        return self._respond(value, h), h[-1], x[-1]

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that are trained at a lower rate than the others: none.

        Returns
        -------
        parameters : list of Parameter
            An empty list.
        """
        return []

    def _read(self, x: Tensor, last: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return values and gates, from the input and that of the step before."""
        last = torch.zeros_like(x[:1]) if last is None else last[None].to(x.dtype)
        before = torch.cat([last, x[:-1]])
        to_value, to_gate = self.shift.to(x.dtype)
        return (
            self.value(torch.lerp(x, before, to_value)),
            self.gate(torch.lerp(x, before, to_gate)),
        )

    def _respond(self, value: Tensor, h: Tensor) -> Tensor:
        """Return the response of states that come from the past."""
        return torch.addcmul(torch.addcmul(self.bias, self.d, value), self.c[0], h)

    def extra_repr(self) -> str:
        """Show the sizes in the module's repr."""
        return f"{self.n_channels}, {self.n_states}, bidirectional={self.bidirectional}"


class SelectiveSSMBlock(SequenceBlock):
    r"""Selective state space model, spikes and a matrix, around which the input passes.

    .. math::
        z &= \mathrm{SelectiveSSM}(\mathrm{norm}(x)) \\
        s &= \mathrm{spikes}(z) \\
        y &= x + W s + b

    or, `gated`, :math:`x + \mathrm{GLU}(W s + b)`. It stands where a :class:`SpikingSSMBlock` does.
    What is read from long sequences with little in them is learnt by either; where each step says
    what it means to those around it, as in language and in formulas, this one learns more.

    Parameters
    ----------
    n_channels : int in [1, inf)
        Number of channels.
    expand : int in [1, inf), default=2
        Number of neurons for each channel, each with a state.
    residual : bool, default=True
        Whether the input passes around the block. Without it, a spike is all that leaves a block.
    gated : bool, default=False
        Whether half of what the matrix returns gates the other half; it has twice the rows then.
    bidirectional : bool, default=False
        Whether a step sees those after it, too.
    dt_min : float in (0, inf), default=0.001
        Shortest step of the state space model without input at first.
    dt_max : float in (0, inf), default=0.1
        Longest step of the state space model without input at first.
    norm : {"layer", "batch"}, default="layer"
        Normalises channels: those of a step with each other, or each over all steps and samples.
    norm_place : {"before", "after", "unused"}, default="before"
        Whether the input of the block is normalised, or its output, or neither.
    dropout : float, default=0.0
        Probability that a channel is dropped from the spikes of a sample, in all steps, and once
        more from the output of the matrix.
    mode : {"exact", "sdn", "fixed_point"}, default="exact"
        How the neurons are computed; see :class:`SpikingSSMNeuron`.
    decay : float in [0, 1], default=0.125
        Factor on the carried potential of the neurons.
    n_rounds : int in [0, inf), default=3
        Number of rounds of "fixed_point".
    learnable_threshold : bool, default=True
        Whether thresholds are learnt.
    shared_threshold : bool, default=False
        Whether all neurons share a threshold.
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

    The block is ours: its neurons are those of [1]_, whose state space models have steps that do
    not depend on the input, and whose spikes are gated by each other.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import SelectiveSSMBlock
    >>> SelectiveSSMBlock(n_channels=8)(torch.randn(20, 2, 8)).shape
    torch.Size([20, 2, 8])
    """

    def __init__(
        self,
        n_channels: int,
        expand: int = 2,
        residual: bool = True,
        gated: bool = False,
        bidirectional: bool = False,
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
        check_number("SelectiveSSMBlock", "n_channels", n_channels, 1, integer=True)
        check_number("SelectiveSSMBlock", "expand", expand, 1, integer=True)
        n = expand * n_channels
        of_neurons = (
            mode, decay, n_rounds, learnable_threshold, shared_threshold, surrogate, alpha,
            max_spikes,
        )  # fmt: skip
        super().__init__(
            n_channels,
            norm,
            norm_place,
            SelectiveSSM(n_channels, n, bidirectional, dt_min, dt_max, backend),
            SpikingSSMNeuron(n, *of_neurons, backend),
            nn.Linear(n, (2 if gated else 1) * n_channels),
            dropout,
        )
        self.residual, self.gated = residual, gated

    def _drive(self, z: Tensor, valid: Tensor | None, form: str) -> Tensor:
        return self.ssm(z, valid, form)

    def _drive_on(self, z: Tensor, held: State) -> tuple[Tensor, State]:
        z, *after = self.ssm.stream(z, *held)
        return z, tuple(after)

    def _gather(self, x: Tensor, s: Tensor) -> Tensor:
        y = self.mix(self.dropout(s))
        y = self.dropout(nn.functional.glu(y) if self.gated else y)
        return x + y if self.residual else y

    def extra_repr(self) -> str:
        """Show what is around the block in the module's repr."""
        return f"residual={self.residual}, gated={self.gated}, {super().extra_repr()}"
