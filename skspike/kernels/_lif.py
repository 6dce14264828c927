"""The leaky integrate-and-fire neuron: one operator for the whole family."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .._config import BACKENDS, get_config
from .._validation import check_choice, check_number
from ..exceptions import BackendError
from ._lif_reference import LIFSpec, lif_reference
from ._surrogate import SURROGATES

NUMBA_DTYPES = (torch.float32, torch.float64)


def lif(
    x: Tensor,
    v: Tensor | None = None,
    *,
    tau: float | Tensor = 2.0,
    threshold: float = 1.0,
    v_reset: float | None = 0.0,
    decay_input: bool = True,
    detach_reset: bool = True,
    surrogate: str = "atan",
    alpha: float | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Run leaky integrate-and-fire neurons over time.

    With the input current :math:`x_t`, the potential :math:`v_t` and the resting potential
    :math:`v_r` (`v_reset`, or 0 with soft reset), each step computes

    .. math::
        h_t &= v_{t-1} + (x_t - (v_{t-1} - v_r)) / \tau     && \text{decay_input} \\
        h_t &= v_{t-1} - (v_{t-1} - v_r) / \tau + x_t       && \text{not decay_input} \\
        s_t &= [h_t \ge \theta] \\
        v_t &= (1 - s_t) h_t + s_t v_r                      && \text{hard reset} \\
        v_t &= h_t - s_t \theta                             && \text{soft reset}

    An infinite `tau` gives the integrate-and-fire neuron, :math:`h_t = v_{t-1} + x_t`.

    Parameters
    ----------
    x : Tensor of shape (n_steps, ...)
        Input current, time first. Must be finite.
    v : Tensor broadcastable to shape (...), default=None
        Potential before the first step; None starts at rest.
    tau : float in [1, inf] or Tensor broadcastable to shape (...), default=2.0
        Membrane time constant in steps. A tensor receives a gradient (ParametricLIF).
    threshold : float, default=1.0
        Potential from which on a neuron fires; equality fires.
    v_reset : float or None, default=0.0
        Potential after a spike (hard reset); None subtracts the threshold instead (soft reset).
    decay_input : bool, default=True
        Whether the input is divided by `tau` too.
    detach_reset : bool, default=True
        Whether the gradient ignores the spike in the reset.
    surrogate : {"atan", "sigmoid", "triangle", "rectangle", "dspike"}, default="atan"
        Derivative that stands in for that of the spike, as a function of
        :math:`u = h_t - \theta`.
    alpha : float, default=None
        Sharpness of the surrogate; None takes 2 (atan), 4 (sigmoid), 1 (triangle), 1 (rectangle),
        3 (dspike).
    backend : {"auto", "reference", "numba"}, default="auto"
        ``"reference"`` is the plain torch loop, ``"numba"`` the fused CPU kernel for float32 and
        float64. ``"auto"`` follows :func:`skspike.set_config`, then takes the fastest that can
        serve the call.

    Returns
    -------
    spikes : Tensor of shape (n_steps, ...)
        0 or 1, in the dtype of `x`.
    v : Tensor of shape (...)
        Potential after the last reset: the state to hand to the next call.

    Raises
    ------
    ValueError
        If an argument is out of its range or a shape does not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to `x`, `v` and a tensor `tau`. The numba backend keeps only `x` for the backward
    pass and recomputes the potentials: 20 bytes move per neuron-step and training step in
    float32. Its results do not depend on the number of threads.

    References
    ----------
    .. [1] Fang, W. et al., "Incorporating learnable membrane time constant to enhance learning of
       spiking neural networks", ICCV 2021.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import lif
    >>> spikes, v = lif(torch.full((4, 1), 1.5))
    >>> spikes.flatten().tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    _check_input(x)
    leak = _leak(tau, x)
    spec = LIFSpec(
        threshold=_number("threshold", threshold),
        v_reset=None if v_reset is None else _number("v_reset", v_reset),
        integrate=not isinstance(tau, Tensor) and math.isinf(tau),
        decay_input=decay_input,
        detach_reset=detach_reset,
        surrogate=surrogate,
        alpha=_alpha(surrogate, alpha),
    )
    v = None if v is None else _expand("v", v, x)
    if _choose_backend(backend, x) == "numba":
        from ._lif_numba import lif_numba

        return lif_numba(x, v, leak, spec)
    v = torch.full_like(x[0], spec.v_rest) if v is None else v
    return lif_reference(x, v, leak, spec)


def _check_input(x: Tensor) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"The 'x' parameter of lif must be a floating point tensor. Got {got}.")
    if x.ndim == 0 or x.shape[0] == 0:
        raise ValueError(
            "The 'x' parameter of lif must have shape (n_steps, ...) with at least one step. "
            f"Got {tuple(x.shape)} instead."
        )


def _number(name: str, value: float) -> float:
    """Return a finite number as a float."""
    check_number("lif", name, value, -math.inf, math.inf, closed="neither")
    return float(value)


def _leak(tau: float | Tensor, x: Tensor) -> Tensor:
    """Return 1 / tau: one element, or one for each neuron."""
    if not isinstance(tau, Tensor):
        check_number("lif", "tau", tau, 1.0, math.inf)
        return torch.tensor(1.0 / tau, dtype=x.dtype, device=x.device)
    leak = (1 / tau).to(x.dtype)
    return leak if leak.numel() == 1 else _expand("tau", leak, x)


def _alpha(surrogate: str, alpha: float | None) -> float:
    """Return the sharpness of a surrogate."""
    check_choice("lif", "surrogate", surrogate, SURROGATES)
    if alpha is None:
        return SURROGATES[surrogate].alpha
    check_number("lif", "alpha", alpha, 0.0, math.inf, closed="neither")
    return float(alpha)


def _expand(name: str, value: Tensor, x: Tensor) -> Tensor:
    """Expand a tensor to the shape of one step of `x`."""
    try:
        return value.to(x.dtype).expand(x.shape[1:])
    except RuntimeError:
        raise ValueError(
            f"The {name!r} parameter of lif must be broadcastable to one step of x, "
            f"{tuple(x.shape[1:])}. Got shape {tuple(value.shape)} instead."
        ) from None


def _choose_backend(backend: str, x: Tensor) -> str:
    """Return the backend that serves the call, or raise if the one asked for cannot."""
    check_choice("lif", "backend", backend, BACKENDS)
    asked = get_config()["backend"] if backend == "auto" else backend
    served = x.device.type == "cpu" and x.dtype in NUMBA_DTYPES
    if asked == "numba" and not served:
        raise BackendError(
            "The 'numba' backend of lif serves float32 and float64 tensors on the CPU. "
            f"Got {x.dtype} on {x.device}."
        )
    if asked == "auto":
        return "numba" if served else "reference"
    return asked
