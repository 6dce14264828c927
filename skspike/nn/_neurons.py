"""Spiking neurons as layers: parameters here, computation in :mod:`skspike.kernels`."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .._validation import check_choice, check_number
from ..kernels import adaptive_lif, lif
from ._time import run_through_time


class LIF(nn.Module):
    r"""Leaky integrate-and-fire neurons, each starting at rest in every call.

    Parameters
    ----------
    tau : float in [1, inf], default=2.0
        Membrane time constant in steps.
    threshold : float, default=1.0
        Potential from which on a neuron fires; equality fires.
    v_reset : float or None, default=0.0
        Potential after a spike; None subtracts the threshold instead.
    decay_input : bool, default=True
        Whether the input is divided by `tau` too.
    detach_reset : bool, default=True
        Whether the gradient ignores the spike in the reset.
    surrogate : str, default="atan"
        Derivative that stands in for that of the spike; see :func:`skspike.kernels.lif`.
    alpha : float, default=None
        Sharpness of the surrogate; None takes its usual value.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.lif`.
    decay : float in [0, 1], default=None
        Factor on the carried potential; replaces `tau` and `decay_input`.
    strict : bool, default=False
        Whether a neuron fires only above the threshold, not on equality.

    Notes
    -----
    Input of shape (n_steps, n_samples, ...), output spikes of the same shape. The membrane state
    does not outlive a call; hold it yourself with :func:`skspike.kernels.lif`.

    References
    ----------
    .. [1] Gerstner, W. and Kistler, W., "Spiking Neuron Models", 2002, chapter 4.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import LIF
    >>> LIF(tau=2.0)(torch.full((4, 1), 1.5)).flatten().tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    def __init__(
        self,
        tau: float = 2.0,
        threshold: float = 1.0,
        v_reset: float | None = 0.0,
        decay_input: bool = True,
        detach_reset: bool = True,
        surrogate: str = "atan",
        alpha: float | None = None,
        backend: str = "auto",
        decay: float | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__()
        check_number(type(self).__name__, "tau", tau, 1.0, math.inf)
        if decay is not None:
            check_number(type(self).__name__, "decay", decay, 0.0, 1.0)
        self._keep_tau(float(tau))
        self.threshold = threshold
        self.v_reset = v_reset
        self.decay_input = decay_input
        self.detach_reset = detach_reset
        self.surrogate = surrogate
        self.alpha = alpha
        self.backend = backend
        self.decay = decay
        self.strict = strict

    def _keep_tau(self, tau: float) -> None:
        """Store the time constant; the learnable neuron makes a parameter of it."""
        self.tau: float | Tensor = tau

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes (n_steps, ...) that the current `x` of the same shape evokes."""
        return run_through_time(partial(lif, **self.settings()), x, self.v_reset or 0.0)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of :func:`skspike.kernels.lif` that this layer stands for.

        Returns
        -------
        settings : dict
            Keyword arguments, a tensor where the layer learns one.
        """
        return {
            "tau": self.tau,
            "decay": self.decay,
            "threshold": self.threshold,
            "strict": self.strict,
            "v_reset": self.v_reset,
            "decay_input": self.decay_input,
            "detach_reset": self.detach_reset,
            "surrogate": self.surrogate,
            "alpha": self.alpha,
            "backend": self.backend,
        }

    def extra_repr(self) -> str:
        """Show the settings in the module's repr."""
        with torch.no_grad():
            leak = f"tau={float(self.tau):g}" if self.decay is None else f"decay={self.decay:g}"
        return f"{leak}, threshold={self.threshold}, surrogate={self.surrogate!r}"


class IF(LIF):
    r"""Integrate-and-fire neurons: no leak.

    Parameters
    ----------
    threshold : float, default=1.0
        Potential from which on a neuron fires; equality fires.
    v_reset : float or None, default=0.0
        Potential after a spike; None subtracts the threshold instead.
    detach_reset : bool, default=True
        Whether the gradient ignores the spike in the reset.
    surrogate : str, default="atan"
        Derivative that stands in for that of the spike; see :func:`skspike.kernels.lif`.
    alpha : float, default=None
        Sharpness of the surrogate; None takes its usual value.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.lif`.
    strict : bool, default=False
        Whether a neuron fires only above the threshold, not on equality.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import IF
    >>> IF()(torch.full((4, 1), 0.5)).flatten().tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    def __init__(
        self,
        threshold: float = 1.0,
        v_reset: float | None = 0.0,
        detach_reset: bool = True,
        surrogate: str = "atan",
        alpha: float | None = None,
        backend: str = "auto",
        strict: bool = False,
    ) -> None:
        super().__init__(
            math.inf,
            threshold,
            v_reset,
            detach_reset=detach_reset,
            surrogate=surrogate,
            alpha=alpha,
            backend=backend,
            strict=strict,
        )


class ParametricLIF(LIF):
    r"""Leaky integrate-and-fire neurons that share one learnable time constant.

    The parameter is `w` with :math:`1 / \tau = \operatorname{sigmoid}(w)`, starting at
    :math:`w = -\ln(\tau_0 - 1)`.

    Parameters
    ----------
    tau : float in (1, inf), default=2.0
        Initial membrane time constant in steps.
    threshold : float, default=1.0
        Potential from which on a neuron fires; equality fires.
    v_reset : float or None, default=0.0
        Potential after a spike; None subtracts the threshold instead.
    decay_input : bool, default=True
        Whether the input is divided by `tau` too.
    detach_reset : bool, default=True
        Whether the gradient ignores the spike in the reset.
    surrogate : str, default="atan"
        Derivative that stands in for that of the spike; see :func:`skspike.kernels.lif`.
    alpha : float, default=None
        Sharpness of the surrogate; None takes its usual value.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.lif`.
    strict : bool, default=False
        Whether a neuron fires only above the threshold, not on equality.

    References
    ----------
    .. [1] Fang, W. et al., "Incorporating learnable membrane time constant to enhance learning of
       spiking neural networks", ICCV 2021, equation 9.

    Examples
    --------
    >>> from skspike.nn import ParametricLIF
    >>> round(ParametricLIF(tau=4.0).tau.item(), 6)
    4.0
    """

    def __init__(
        self,
        tau: float = 2.0,
        threshold: float = 1.0,
        v_reset: float | None = 0.0,
        decay_input: bool = True,
        detach_reset: bool = True,
        surrogate: str = "atan",
        alpha: float | None = None,
        backend: str = "auto",
        strict: bool = False,
    ) -> None:
        super().__init__(
            tau,
            threshold,
            v_reset,
            decay_input,
            detach_reset,
            surrogate,
            alpha,
            backend,
            strict=strict,
        )

    def _keep_tau(self, tau: float) -> None:
        check_number(type(self).__name__, "tau", tau, 1.0, math.inf, closed="neither")
        self.w = nn.Parameter(torch.tensor(-math.log(tau - 1.0)))

    @property
    def tau(self) -> Tensor:  # type: ignore[override]
        """Membrane time constant in steps, a function of the parameter `w`."""
        return 1 + torch.exp(-self.w)


class AdaptiveLIF(LIF):
    r"""Leaky integrate-and-fire neurons whose threshold moves with their own spikes.

    .. math::
        \theta_t &= \theta + \beta a_{t-1} \\
        a_t &= e^{-1/\rho} a_{t-1} + s_t

    with a learnable time constant :math:`\rho` of each channel. A positive `beta` makes a neuron
    fire less after a spike, as in SpikingEDN; SpikeFPN's released code has a negative sign.

    Parameters
    ----------
    channels : int
        Number of channels, each with a time constant.
    beta : float, default=0.07
        How much a spike moves the threshold.
    rho : float, default=0.87
        Initial time constant of the adaptation in steps.
    rho_range : tuple of two floats, default=(0.64, 1.1)
        Smallest and largest time constant: the parameter is clamped in every call.
    threshold : float, default=0.5
        Threshold of a neuron that has not fired.
    decay : float in [0, 1], default=0.2
        Factor on the carried potential.
    strict : bool, default=True
        Whether a neuron fires only above the threshold, not on equality.
    v_reset : float or None, default=0.0
        Potential after a spike; None subtracts the threshold instead.
    detach_reset : bool, default=False
        Whether the gradient ignores the spike in the reset.
    surrogate : str, default="dspike_unit"
        Derivative that stands in for that of the spike; see :func:`skspike.kernels.lif`.
    alpha : float, default=None
        Sharpness of the surrogate; None takes its usual value.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.adaptive_lif`.

    Notes
    -----
    Input of shape (n_steps, n_samples, channels, ...), output spikes of the same shape.

    References
    ----------
    .. [1] Zhang, H. et al., "Automotive object detection via learning sparse events by spiking
       neurons", IEEE TCDS 2024 (SpikeFPN).
    .. [2] Zhang, H. et al., "Accurate and efficient event-based semantic segmentation using
       adaptive spiking encoder-decoder network", IEEE TNNLS 2024 (SpikingEDN).

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import AdaptiveLIF
    >>> AdaptiveLIF(1)(torch.full((4, 1, 1), 0.55)).flatten().tolist()
    [1.0, 0.0, 1.0, 0.0]
    """

    def __init__(
        self,
        channels: int,
        beta: float = 0.07,
        rho: float = 0.87,
        rho_range: tuple[float, float] = (0.64, 1.1),
        threshold: float = 0.5,
        decay: float = 0.2,
        strict: bool = True,
        v_reset: float | None = 0.0,
        detach_reset: bool = False,
        surrogate: str = "dspike_unit",
        alpha: float | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__(
            threshold=threshold,
            v_reset=v_reset,
            detach_reset=detach_reset,
            surrogate=surrogate,
            alpha=alpha,
            backend=backend,
            decay=decay,
            strict=strict,
        )
        low, high = rho_range
        check_number("AdaptiveLIF", "rho", rho, low, high)
        self.beta = beta
        self.rho_range = rho_range
        self.rho = nn.Parameter(torch.full((channels,), float(rho)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes (n_steps, n_samples, channels, ...) that the current `x` evokes."""
        with torch.no_grad():  # in place, as published: the gradient passes at the limits too
            self.rho.clamp_(*self.rho_range)
        adaptation_decay = torch.exp(-1 / self.rho).reshape(-1, *(1 for _ in x.shape[3:]))
        run = partial(
            adaptive_lif, beta=self.beta, adaptation_decay=adaptation_decay, **self.settings()
        )
        return run_through_time(run, x, self.v_reset or 0.0, 0.0)

    def extra_repr(self) -> str:
        """Show the settings in the module's repr."""
        return f"channels={len(self.rho)}, beta={self.beta:g}, {super().extra_repr()}"


NEURONS = {"if": IF, "lif": LIF, "plif": ParametricLIF}


def make_neuron(name: str, tau: float = 2.0, **options: Any) -> LIF:
    """Return a layer of neurons by its short name.

    Parameters
    ----------
    name : {"if", "lif", "plif"}
        Integrate-and-fire, leaky, or leaky with a learnable time constant.
    tau : float, default=2.0
        Membrane time constant in steps; "if" has none and ignores it.
    **options : dict
        Further parameters of the layer.

    Returns
    -------
    layer : LIF
        The layer.

    Raises
    ------
    ValueError
        If no neuron has that name.

    Examples
    --------
    >>> from skspike.nn import make_neuron
    >>> type(make_neuron("plif", tau=4.0)).__name__
    'ParametricLIF'
    """
    check_choice("make_neuron", "name", name, NEURONS)
    arguments = options if name == "if" else {"tau": tau, **options}
    return NEURONS[name](**arguments)
