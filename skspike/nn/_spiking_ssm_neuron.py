"""The neuron of SpikingSSM, computed in one of three ways."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._validation import check_choice, check_number
from ..kernels import divide_by_threshold, fire_at, fixed_point_membrane, lif, sdn_membrane
from ._sdn import load_surrogate_dynamics
from ._time import pass_through_time

MODES = ("exact", "sdn", "fixed_point")
WEIGHTS = ("taps", "bias", "mix", "mix_bias", "out", "out_bias")  # of the surrogate network


class SpikingSSMNeuron(nn.Module):
    r"""Neurons for long sequences, with learnable thresholds and gradients that stay in a step.

    With the current :math:`x_t` of a channel, its threshold :math:`\theta` and the factor `decay`
    :math:`k` on what is carried,

    .. math::
        h_t &= m_t + x_t / \theta \\
        s_t &= [h_t \ge 1] \\
        m_{t+1} &= k (1 - s_t) h_t,

    which are the spikes of a neuron with that threshold for the current itself. The gradient of a
    spike, by default the triangle :math:`\max(0, 1 - |h_t - 1|)`, goes to the present input alone
    (SLTT).

    With `max_spikes` :math:`n` above one, :math:`s_t` is the number of thresholds
    :math:`1, 2, \dots, n` that :math:`h_t` reaches, each with a gradient of its own, and a neuron
    that has fired, however often, is reset [3]_.

    Parameters
    ----------
    n_channels : int in [1, inf)
        Number of channels, each with a threshold.
    mode : {"exact", "sdn", "fixed_point"}, default="exact"
        Where :math:`m_t` comes from: from step to step, from a surrogate dynamic network as
        published (:func:`skspike.kernels.sdn_membrane`), or from rounds of the fixed point
        (:func:`skspike.kernels.fixed_point_membrane`). Parameters are the same in all three: what
        is trained in one can be loaded in another.
    decay : float in [0, 1], default=0.125
        Factor on the carried potential. For "sdn", see
        :func:`skspike.nn.load_surrogate_dynamics`.
    n_rounds : int in [0, inf), default=3
        Number of rounds of "fixed_point".
    learnable_threshold : bool, default=True
        Whether thresholds are learnt, by their logarithm, which begins at 0; else they are 1.
    shared_threshold : bool, default=False
        Whether all channels share a threshold.
    surrogate : str, default="triangle"
        What stands for the derivative of a spike, as published or another one of
        :func:`skspike.kernels.lif`. ``"unit_sigmoid"`` lets more neurons learn from a step.
    alpha : float in (0, inf), default=None
        Sharpness of the surrogate; None stands for its own default.
    max_spikes : int in [1, inf), default=1
        Most spikes of a neuron in a step. Published neurons have one.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.lif`.

    Notes
    -----
    Input of shape (n_steps, n_samples, n_channels, ...), output spikes of the same shape. A
    surrogate that does not exist is told by the first call.

    On the CPU, "exact" is the fastest of the three: fused over time, it costs what moving its
    memory costs. The others are further passes over the input, which matter where a step has few
    neurons and the device thousands of threads. On normal inputs with decay
    0.125, three rounds err by 1.7e-4 in the potential and in 0.003 % of the spikes, the network by
    3.4e-4 and in 0.010 %.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025.
    .. [2] Meng, Q. et al., "Towards memory- and time-efficient backpropagation for training spiking
       neural networks", ICCV 2023 (SLTT).
    .. [3] Luo, X. et al., "Integer-valued training and spike-driven inference spiking neural
       network for high-performance and energy-efficient object detection", ECCV 2024.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import SpikingSSMNeuron
    >>> neuron = SpikingSSMNeuron(n_channels=1)
    >>> x = torch.tensor([0.875, 0.9375, 0.9375])[:, None, None]
    >>> neuron(x).flatten().tolist()
    [0.0, 1.0, 0.0]

    Step by step, the state is held by the caller:

    >>> state = None
    >>> for x_t in x.split(1):
    ...     s_t, state = neuron.stream(x_t, state)
    >>> s_t.item(), state.item()
    (0.0, 0.9375)
    """

    def __init__(
        self,
        n_channels: int,
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
        super().__init__()
        owner = "SpikingSSMNeuron"
        check_number(owner, "n_channels", n_channels, 1, integer=True)
        check_choice(owner, "mode", mode, MODES)
        check_number(owner, "decay", decay, 0.0, 1.0)
        check_number(owner, "n_rounds", n_rounds, 0, integer=True)
        check_number(owner, "max_spikes", max_spikes, 1, integer=True)
        self.n_channels = n_channels
        self.mode = mode
        self.decay = decay
        self.n_rounds = n_rounds
        self.surrogate = surrogate
        self.alpha = alpha
        self.max_spikes = max_spikes
        self.backend = backend
        self.ln_threshold = None
        if learnable_threshold:
            self.ln_threshold = nn.Parameter(torch.zeros(1 if shared_threshold else n_channels))
        self.n_inputs = n_rounds  # that a potential depends on
        if mode == "sdn":
            network = load_surrogate_dynamics(decay)
            self.n_inputs = network.delay.kernel_size[0]
            for name, weight in zip(WEIGHTS, network.fold(), strict=True):
                self.register_buffer(name, weight, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes (n_steps, n_samples, n_channels, ...) that the current `x` evokes."""
        return pass_through_time(self.stream, x, self._state_shape(x))

    def stream(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the spikes of some steps, and what the neurons remember after them.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, n_channels, ...)
            Input current, time first.
        state : Tensor, default=None
            What the call for the steps before returned; None starts at rest.

        Returns
        -------
        spikes : Tensor of shape (n_steps, n_samples, n_channels, ...)
            Their number, 0 to `max_spikes`, in the dtype of `x`.
        state : Tensor
            The potential (n_samples, n_channels, ...) with "exact", else the last inputs that a
            potential depends on: shape (8, n_samples, ...) with "sdn", (n_rounds, n_samples, ...)
            with "fixed_point". It is data.
        """
        y = self._scaled(x)
        spike: dict[str, Any] = {
            "surrogate": self.surrogate,
            "alpha": self.alpha,
            "max_spikes": self.max_spikes,
            "backend": self.backend,
        }
        if self.mode == "exact":
            return lif(y, state, decay=self.decay, through_time=False, **spike)
        seen = y.detach() if state is None else torch.cat([state.to(y.dtype), y.detach()])
        m = self._membrane(seen)
        # in memory that is there, where nothing stands before the present steps
        h = m.add_(y) if state is None else m[len(state) :] + y
        spikes = fire_at(h, **spike)
        missing = max(0, self.n_inputs - len(seen))
        seen = torch.cat([seen.new_zeros(missing, *seen.shape[1:]), seen]) if missing else seen
        return spikes.to(x.dtype), seen[len(seen) - self.n_inputs :]

    def _scaled(self, x: Tensor) -> Tensor:
        """Return the current in units of the threshold."""
        if x.ndim < 3 or x.shape[2] != self.n_channels:
            raise ValueError(
                "The input of SpikingSSMNeuron must have shape (n_steps, n_samples, "
                f"{self.n_channels}, ...). Got {tuple(x.shape)} instead."
            )
        if self.ln_threshold is None:
            return x
        return divide_by_threshold(x, self.ln_threshold.exp(), backend=self.backend)

    def _membrane(self, x: Tensor) -> Tensor:
        """Return the carried potential of every step."""
        if self.mode == "sdn":
            weights = [getattr(self, name) for name in WEIGHTS]
            return sdn_membrane(x, weights, backend=self.backend)
        return fixed_point_membrane(
            x, decay=self.decay, n_rounds=self.n_rounds, backend=self.backend
        )

    def _state_shape(self, x: Tensor) -> tuple[int, ...]:
        """Return the shape of what is remembered between calls."""
        return x.shape[1:] if self.mode == "exact" else (self.n_inputs, *x.shape[1:])

    def extra_repr(self) -> str:
        """Show the settings in the module's repr."""
        rounds = f", n_rounds={self.n_rounds}" if self.mode == "fixed_point" else ""
        spikes = f", max_spikes={self.max_spikes}" if self.max_spikes > 1 else ""
        return (
            f"n_channels={self.n_channels}, mode={self.mode!r}, decay={self.decay:g}"
            f"{rounds}{spikes}"
        )
