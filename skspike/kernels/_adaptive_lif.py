"""The leaky integrate-and-fire neuron whose threshold moves with its spikes."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from ._dispatch import choose_backend
from ._lif import check_input, coefficient, expand, leak_of, make_spec, resting, to_save
from ._lif_op import lif_forward
from ._lif_reference import lif_reference


def adaptive_lif(
    x: Tensor,
    v: Tensor | None = None,
    a: Tensor | None = None,
    *,
    beta: float,
    adaptation_decay: float | Tensor,
    tau: float | Tensor = 2.0,
    decay: float | Tensor | None = None,
    threshold: float = 1.0,
    strict: bool = False,
    v_reset: float | None = 0.0,
    decay_input: bool = True,
    detach_reset: bool = True,
    surrogate: str = "atan",
    alpha: float | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Run leaky integrate-and-fire neurons with a spike-triggered threshold over time.

    The neuron of :func:`lif`, with the threshold of a step following from the spikes before it:

    .. math::
        \theta_t &= \theta + \beta a_{t-1} \\
        s_t &= [h_t \ge \theta_t] \\
        a_t &= \rho a_{t-1} + s_t

    A positive `beta` makes a neuron that fires fire less, a negative one makes it fire more.

    Parameters
    ----------
    x : Tensor of shape (n_steps, ...)
        Input current, time first. Must be finite.
    v : Tensor broadcastable to shape (...), default=None
        Potential before the first step; None starts at rest.
    a : Tensor broadcastable to shape (...), default=None
        Adaptation before the first step; None starts at zero.
    beta : float
        How much a spike moves the threshold.
    adaptation_decay : float in [0, 1] or Tensor broadcastable to shape (...)
        Decay :math:`\rho` of the adaptation in each step. A tensor receives a gradient.
    tau : float in [1, inf] or Tensor broadcastable to shape (...), default=2.0
        Membrane time constant in steps.
    decay : float in [0, 1] or Tensor broadcastable to shape (...), default=None
        Factor on the carried potential; replaces `tau` and `decay_input`.
    threshold : float, default=1.0
        Threshold :math:`\theta` of a neuron that has not fired.
    strict : bool, default=False
        Whether a neuron fires only above the threshold, not on equality.
    v_reset : float or None, default=0.0
        Potential after a spike (hard reset); None subtracts `threshold` instead (soft reset).
    decay_input : bool, default=True
        Whether the input is divided by `tau` too.
    detach_reset : bool, default=True
        Whether the gradient ignores the spike in the reset. It is never ignored in `a`.
    surrogate : str, default="atan"
        Derivative that stands in for that of the spike, one of those of :func:`lif`.
    alpha : float, default=None
        Sharpness of the surrogate; None takes its usual value.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`.

    Returns
    -------
    spikes : Tensor of shape (n_steps, ...)
        0 or 1, in the dtype of `x`.
    v : Tensor of shape (...)
        Potential after the last reset.
    a : Tensor of shape (...)
        Adaptation after the last step.

    Raises
    ------
    ValueError
        If an argument is out of its range or a shape does not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to `x`, `v`, `a` and to tensors among `tau`, `decay` and `adaptation_decay`.

    References
    ----------
    .. [1] Bellec, G. et al., "Long short-term memory and learning-to-learn in networks of spiking
       neurons", NeurIPS 2018.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import adaptive_lif
    >>> x = torch.full((6, 1), 1.0)
    >>> spikes, v, a = adaptive_lif(x, beta=0.5, adaptation_decay=0.5, decay=0.5)
    >>> spikes.flatten().tolist()
    [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    """
    op = "adaptive_lif"
    check_input(op, x)
    charge, leak = leak_of(op, x, tau, decay, decay_input)
    spec = make_spec(op, threshold, strict, v_reset, charge, detach_reset, surrogate, alpha, beta)
    rho = coefficient(op, "adaptation_decay", adaptation_decay, x)
    v = resting(x, spec) if v is None else expand(op, "v", v, x)
    a = resting(x, spec).zero_() if a is None else expand(op, "a", a, x)
    backend = choose_backend(op, backend, x)
    if backend == "reference" or not spec.adaptive:
        s, v_last, a_last = lif_reference(x, v, leak, spec, a, rho)
        return s, v_last, cast(Tensor, a_last)
    save = to_save("recompute", x, v, leak, a, rho)
    s, v_last, a_last, _ = lif_forward(x, v, leak, a, rho, *spec.args(), save, backend)
    return s, v_last, a_last
