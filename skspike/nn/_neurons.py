"""Spiking neurons as layers: parameters here, computation in :mod:`skspike.kernels`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .._validation import check_choice, check_number
from ..kernels import lif


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
    surrogate : {"atan", "sigmoid", "triangle", "rectangle", "dspike"}, default="atan"
        Derivative that stands in for that of the spike.
    alpha : float, default=None
        Sharpness of the surrogate; None takes its usual value.
    backend : {"auto", "reference", "numba"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.lif`.

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
    ) -> None:
        super().__init__()
        check_number(type(self).__name__, "tau", tau, 1.0, math.inf)
        self._keep_tau(float(tau))
        self.threshold = threshold
        self.v_reset = v_reset
        self.decay_input = decay_input
        self.detach_reset = detach_reset
        self.surrogate = surrogate
        self.alpha = alpha
        self.backend = backend

    def _keep_tau(self, tau: float) -> None:
        """Store the time constant; the learnable neuron makes a parameter of it."""
        self.tau: float | Tensor = tau

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes (n_steps, ...) that the current `x` of the same shape evokes."""
        spikes, _ = lif(
            x,
            tau=self.tau,
            threshold=self.threshold,
            v_reset=self.v_reset,
            decay_input=self.decay_input,
            detach_reset=self.detach_reset,
            surrogate=self.surrogate,
            alpha=self.alpha,
            backend=self.backend,
        )
        return spikes

    def extra_repr(self) -> str:
        """Show the settings in the module's repr."""
        with torch.no_grad():
            tau = float(self.tau)
        return f"tau={tau:g}, threshold={self.threshold}, surrogate={self.surrogate!r}"


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
    surrogate : {"atan", "sigmoid", "triangle", "rectangle", "dspike"}, default="atan"
        Derivative that stands in for that of the spike.
    alpha : float, default=None
        Sharpness of the surrogate; None takes its usual value.
    backend : {"auto", "reference", "numba"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.lif`.

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
    ) -> None:
        super().__init__(
            math.inf,
            threshold,
            v_reset,
            detach_reset=detach_reset,
            surrogate=surrogate,
            alpha=alpha,
            backend=backend,
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
    surrogate : {"atan", "sigmoid", "triangle", "rectangle", "dspike"}, default="atan"
        Derivative that stands in for that of the spike.
    alpha : float, default=None
        Sharpness of the surrogate; None takes its usual value.
    backend : {"auto", "reference", "numba"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.lif`.

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

    def _keep_tau(self, tau: float) -> None:
        check_number(type(self).__name__, "tau", tau, 1.0, math.inf, closed="neither")
        self.w = nn.Parameter(torch.tensor(-math.log(tau - 1.0)))

    @property
    def tau(self) -> Tensor:  # type: ignore[override]
        """Membrane time constant in steps, a function of the parameter `w`."""
        return 1 + torch.exp(-self.w)


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
