"""The leaky integrate-and-fire neuron: one operator for the whole family."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .._validation import check_choice, check_number
from ._dispatch import choose_backend
from ._lif_op import lif_forward
from ._lif_reference import lif_reference
from ._memory import compute_dtype
from ._spec import NeuronSpec
from ._surrogate import SURROGATES

SAVES = ("auto", "potential", "recompute")


def lif(
    x: Tensor,
    v: Tensor | None = None,
    *,
    tau: float | Tensor = 2.0,
    decay: float | Tensor | None = None,
    threshold: float = 1.0,
    strict: bool = False,
    v_reset: float | None = 0.0,
    decay_input: bool = True,
    detach_reset: bool = True,
    through_time: bool = True,
    surrogate: str = "atan",
    alpha: float | None = None,
    max_spikes: int = 1,
    save: str = "auto",
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Run leaky integrate-and-fire neurons over time.

    With the input current :math:`x_t`, the potential :math:`v_t` and the resting potential
    :math:`v_r` (`v_reset`, or 0 with soft reset), each step computes

    .. math::
        h_t &= v_{t-1} + (x_t - (v_{t-1} - v_r)) / \tau     && \text{decay_input} \\
        h_t &= v_{t-1} - (v_{t-1} - v_r) / \tau + x_t       && \text{not decay_input} \\
        h_t &= v_r + k (v_{t-1} - v_r) + x_t                && \text{decay } k \\
        s_t &= [h_t \ge \theta] \\
        v_t &= (1 - s_t) h_t + s_t v_r                      && \text{hard reset} \\
        v_t &= h_t - s_t \theta                             && \text{soft reset}

    With `max_spikes` :math:`n` above one, a neuron fires once for each of the thresholds
    :math:`\theta, 2 \theta, \dots, n \theta` that its potential reaches, :math:`s_t` counts these
    spikes, and a hard reset follows whatever their number. An infinite `tau` gives the
    integrate-and-fire neuron, :math:`h_t = v_{t-1} + x_t`.

    Parameters
    ----------
    x : Tensor of shape (n_steps, ...)
        Input current, time first. Must be finite.
    v : Tensor broadcastable to shape (...), default=None
        Potential before the first step; None starts at rest.
    tau : float in [1, inf] or Tensor broadcastable to shape (...), default=2.0
        Membrane time constant in steps. A tensor receives a gradient (ParametricLIF).
    decay : float in [0, 1] or Tensor broadcastable to shape (...), default=None
        Factor on the carried potential; replaces `tau` and `decay_input`. A tensor receives a
        gradient.
    threshold : float, default=1.0
        Potential from which on a neuron fires; equality fires.
    strict : bool, default=False
        Whether a neuron fires only above the threshold, not on equality.
    v_reset : float or None, default=0.0
        Potential after a spike (hard reset); None subtracts the threshold instead (soft reset).
    decay_input : bool, default=True
        Whether the input is divided by `tau` too.
    detach_reset : bool, default=True
        Whether the gradient ignores the spike in the reset.
    through_time : bool, default=True
        Whether the gradient passes through the carried potential, from a step to those before it.
        False is spatial learning through time [3]_: a spike depends on the input of its own step
        alone, :math:`\partial s_t / \partial h_t` being the surrogate, and potentials, `v` at
        either end included, are data.
    surrogate : str, default="atan"
        Derivative that stands in for that of the spike, as a function of
        :math:`u = h_t - \theta`: "atan", "sigmoid", "triangle", "rectangle", "dspike",
        "dspike_unit", which is cut off outside :math:`0 < h_t < 1` instead of :math:`|u| < 1/2`, or
        "unit_sigmoid", "sigmoid" with a peak of 1, whose integral grows as `alpha` falls.
    alpha : float, default=None
        Sharpness of the surrogate; None takes 2 (atan), 4 (sigmoid), 1 (triangle), 1 (rectangle),
        3 (dspike, dspike_unit), 1 (unit_sigmoid).
    max_spikes : int in [1, inf), default=1
        Most spikes of a neuron in a step, as in integer-valued training [4]_. Their derivative is
        the sum of the surrogates of the thresholds, with :math:`u` measured from each, and
        :math:`h_t` from the one below it. The `threshold` must be positive if there are several.
    save : {"auto", "potential", "recompute"}, default="auto"
        What a compiled backend keeps for the backward pass: the potential of every step, or the
        input, from which it recomputes them. ``"auto"`` is ``"recompute"``, which moves fewer
        bytes.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        ``"reference"`` is the plain torch loop, ``"numba"`` the fused CPU kernel for float32,
        float64 and bfloat16, ``"triton"`` the fused CUDA kernel for these and float16. ``"auto"``
        follows :func:`skspike.set_config`, then takes the fastest that can serve the call.

    Returns
    -------
    spikes : Tensor of shape (n_steps, ...)
        Their number, 0 to `max_spikes`, in the dtype of `x`.
    v : Tensor of shape (...)
        Potential after the last reset: the state to hand to the next call. It has the dtype of `x`,
        or float32 if that has 16 bits, as all arithmetic.

    Raises
    ------
    ValueError
        If an argument is out of its range or a shape does not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to `x`, `v` (if `through_time`) and a tensor `tau` or `decay`. The compiled
    backends keep only `x` for the backward pass and recompute the potentials: 20 bytes move per
    neuron-step and training step in float32. Their results do not depend on the number of threads.
    Each is an operator of torch (``torch.ops.skspike.lif``) that ``torch.compile`` takes without a
    graph break.

    References
    ----------
    .. [1] Fang, W. et al., "Incorporating learnable membrane time constant to enhance learning of
       spiking neural networks", ICCV 2021.
    .. [2] Li, Y. et al., "Towards scalable GPU-accelerated SNN training via temporal fusion",
       ICANN 2024 (fusion over time; `decay` is its convention).
    .. [3] Meng, Q. et al., "Towards memory- and time-efficient backpropagation for training spiking
       neural networks", ICCV 2023 (SLTT).
    .. [4] Luo, X. et al., "Integer-valued training and spike-driven inference spiking neural
       network for high-performance and energy-efficient object detection", ECCV 2024.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import lif
    >>> spikes, v = lif(torch.full((4, 1), 1.5))
    >>> spikes.flatten().tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    check_input("lif", x)
    charge, leak = leak_of("lif", x, tau, decay, decay_input)
    neuron = threshold, strict, v_reset, charge, detach_reset, surrogate, alpha
    spec = make_spec("lif", *neuron, through_time=through_time, max_spikes=max_spikes)
    v = None if v is None else expand("lif", "v", v if through_time else v.detach(), x)
    check_choice("lif", "save", save, SAVES)
    backend = choose_backend("lif", backend, x)
    if backend == "reference":
        s, v_last, _ = lif_reference(x, resting(x, spec) if v is None else v, leak, spec)
        return s, v_last
    save = to_save(save, x, v, leak)
    s, v_last, _, _ = lif_forward(x, v, leak, None, None, *spec.args(), save, backend)
    return s, v_last if through_time else v_last.detach()


def check_input(op: str, x: Tensor) -> None:
    """Raise unless `x` is a floating point tensor with a step."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"The 'x' parameter of {op} must be a floating point tensor. Got {got}.")
    if x.ndim == 0 or x.shape[0] == 0:
        raise ValueError(
            f"The 'x' parameter of {op} must have shape (n_steps, ...) with at least one step. "
            f"Got {tuple(x.shape)} instead."
        )


def make_spec(
    op: str,
    threshold: float,
    strict: bool,
    v_reset: float | None,
    charge: str,
    detach_reset: bool,
    surrogate: str,
    alpha: float | None,
    beta: float = 0.0,
    through_time: bool = True,
    max_spikes: int = 1,
) -> NeuronSpec:
    """Check the settings of a neuron that are no tensors."""
    check_number(op, "max_spikes", max_spikes, 1, integer=True)
    if max_spikes > 1:
        check_number(op, "threshold", threshold, 0.0, math.inf, closed="neither")
    return NeuronSpec(
        threshold=_number(op, "threshold", threshold),
        v_reset=None if v_reset is None else _number(op, "v_reset", v_reset),
        charge=charge,
        strict=strict,
        detach_reset=detach_reset,
        surrogate=surrogate,
        alpha=_alpha(op, surrogate, alpha),
        beta=_number(op, "beta", beta),
        through_time=through_time,
        max_spikes=max_spikes,
    )


def leak_of(
    op: str,
    x: Tensor,
    tau: float | Tensor,
    decay: float | Tensor | None,
    decay_input: bool,
) -> tuple[str, Tensor]:
    """Return how the neuron integrates, and the coefficient of that: see :class:`NeuronSpec`."""
    if decay is not None:
        return "decay", coefficient(op, "decay", decay, x)
    charge = "decay_input" if decay_input else "leak"
    if isinstance(tau, Tensor):
        return charge, coefficient(op, "tau", tau, x, invert=True)
    check_number(op, "tau", tau, 1.0, math.inf)
    leak = torch.full((), 1.0 / tau, dtype=compute_dtype(x.dtype), device=x.device)
    return "integrate" if tau == math.inf else charge, leak


def coefficient(
    op: str, name: str, value: float | Tensor, x: Tensor, *, invert: bool = False
) -> Tensor:
    """Return a factor in [0, 1], or the inverse of a tensor: one element, or one per neuron."""
    dtype = compute_dtype(x.dtype)
    if not isinstance(value, Tensor):
        check_number(op, name, value, 0.0, 1.0)
        return torch.full((), value, dtype=dtype, device=x.device)
    factor = (1 / value if invert else value).to(dtype)
    return factor if factor.numel() == 1 else expand(op, name, factor, x)


def expand(op: str, name: str, value: Tensor, x: Tensor) -> Tensor:
    """Expand a tensor to the shape of one step of `x`, in the dtype of the states."""
    try:
        return value.to(compute_dtype(x.dtype)).expand(x.shape[1:])
    except RuntimeError:
        raise ValueError(
            f"The {name!r} parameter of {op} must be broadcastable to one step of x, "
            f"{tuple(x.shape[1:])}. Got shape {tuple(value.shape)} instead."
        ) from None


def resting(x: Tensor, spec: NeuronSpec) -> Tensor:
    """Return the state of neurons at rest."""
    return torch.full_like(x[0], spec.v_rest, dtype=compute_dtype(x.dtype))


def to_save(save: str, *inputs: Tensor | None) -> str:
    """Return what the forward pass keeps: nothing where no gradient will be asked for."""
    needed = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
    return ("recompute" if save == "auto" else save) if needed else "nothing"


def _number(op: str, name: str, value: float) -> float:
    """Return a finite number as a float."""
    check_number(op, name, value, -math.inf, math.inf, closed="neither")
    return float(value)


def _alpha(op: str, surrogate: str, alpha: float | None) -> float:
    """Return the sharpness of a surrogate."""
    check_choice(op, "surrogate", surrogate, SURROGATES)
    if alpha is None:
        return SURROGATES[surrogate].alpha
    check_number(op, "alpha", alpha, 0.0, math.inf, closed="neither")
    return float(alpha)
