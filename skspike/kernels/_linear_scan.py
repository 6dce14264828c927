"""Diagonal state space models, step by step.

A compiled twin is a module with two functions on detached tensors.

``forward(x, decay, c, state) -> (y, state)``

``backward(x, decay, c, state, dy, dstate) -> (dx, ddecay, dc, dstate)``
    `dy` or `dstate` may be None for zeros.
"""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from ._dispatch import choose_backend, configured_backend
from ._linear_scan_reference import linear_scan_reference
from ._memory import compute_dtype
from ._ops import define
from ._ssm_conv import check_sequence
from ._ssm_kernel import COMPLEX, check_modes

FEW_STEPS = 8  # below, packing the modes for a compiled backend costs more than torch's loop


def linear_scan(
    x: Tensor,
    decay: Tensor,
    c: Tensor,
    state: Tensor | None = None,
    *,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Run a diagonal state space model over time, step by step.

    Each channel h has modes n that stand for pairs of conjugates; every sample has its own states,

    .. math::
        s_{tn} &= d_n\, s_{t-1,n} + x_t \\
        y_t &= 2 \operatorname{Re} \sum_n c_n\, s_{tn}.

    From a state of zero, that is :func:`ssm_conv` of `x` with :func:`ssm_kernel` of
    :math:`\log d` and :math:`c`. This one takes time in steps, so that a recording may still be
    arriving.

    Parameters
    ----------
    x : Tensor of shape (n_steps, n_samples, n_channels)
        The input, time first. Must be finite.
    decay : Tensor of complex64 or complex128 of shape (n_channels, n_modes)
        What a mode is multiplied by at each step, of twice the bits of `x`, complex64 for 16 bits.
    c : Tensor of shape (n_channels, n_modes)
        What each mode contributes, in the dtype of `decay`.
    state : Tensor of shape (n_samples, n_channels, n_modes), default=None
        The modes before the first step, in the dtype of `decay`; None starts from zero.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`; for fewer than 8 steps, ``"auto"`` takes the reference, which is the
        fastest there.

    Returns
    -------
    y : Tensor of shape (n_steps, n_samples, n_channels)
        The result, in the dtype of `x`.
    state : Tensor of shape (n_samples, n_channels, n_modes)
        The modes after the last step: what to hand to the next call.

    Raises
    ------
    TypeError
        If `x` is not of floating point numbers, or `decay` or `c` not complex.
    ValueError
        If shapes or dtypes do not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to `x`, `decay`, `c` and `state`, and these are all that is kept for that: the
    compiled backends run through the modes again in the backward pass, from those that they keep
    every now and then. Sequences in two parts, with the state handed on, give what the whole gives.
    Results do not depend on the number of threads.

    References
    ----------
    .. [1] Gu, A. et al., "On the parameterization and initialization of diagonal state space
       models", NeurIPS 2022.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import linear_scan
    >>> x = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    >>> decay = torch.tensor([[0.5 + 0j]])
    >>> y, state = linear_scan(x, decay, torch.ones_like(decay))
    >>> y.flatten().tolist()
    [2.0, 1.0, 0.5]
    >>> linear_scan(x, decay, torch.ones_like(decay), state)[0].flatten().tolist()
    [2.25, 1.125, 0.5625]
    """
    check_sequence("linear_scan", x)
    check_modes("linear_scan", "decay", decay, c)
    real = compute_dtype(x.dtype)
    _check_modes_of(x, decay)
    if state is None:
        state = decay.new_zeros(*x.shape[1:], decay.shape[1])
    else:
        _check_state(state, x, decay)
    free = backend == configured_backend() == "auto"
    backend = choose_backend("linear_scan", backend, x)
    if backend == "reference" or state.numel() == 0 or (free and len(x) < FEW_STEPS):
        y, state = linear_scan_reference(x.to(real), decay, c, state)
    else:
        y, state = scan_forward(x.to(real), decay, c, state, backend)
    return y.to(x.dtype), state


def _check_modes_of(x: Tensor, decay: Tensor) -> None:
    """Raise unless there are modes for the channels of `x`, in its precision."""
    expected = COMPLEX[compute_dtype(x.dtype)]
    if decay.dtype != expected or decay.shape[0] != x.shape[2]:
        raise ValueError(
            f"The 'decay' parameter of linear_scan must be {expected} of shape ({x.shape[2]}, "
            f"n_modes) to go with x. Got {decay.dtype} {tuple(decay.shape)} instead."
        )


def _check_state(state: Tensor, x: Tensor, decay: Tensor) -> None:
    """Raise unless there is a number for each sample, channel and mode."""
    shape = (*x.shape[1:], decay.shape[1])
    if not isinstance(state, Tensor) or state.dtype != decay.dtype or state.shape != shape:
        got = f"{state.dtype} {tuple(state.shape)}" if isinstance(state, Tensor) else repr(state)
        raise ValueError(
            f"The 'state' parameter of linear_scan must be {decay.dtype} of shape {shape}. "
            f"Got {got} instead."
        )


# --- the operator ---


def twin(backend: str) -> ModuleType:
    """Import the compiled twin."""
    if backend == "numba":
        from . import _linear_scan_numba

        return _linear_scan_numba
    from . import _linear_scan_triton

    return _linear_scan_triton


def _forward(x, decay, c, state, backend):
    return twin(backend).forward(x, decay, c, state)


def _forward_fake(x, decay, c, state, backend):
    return x.new_empty(x.shape), state.new_empty(state.shape)


def _backward(x, decay, c, state, dy, dstate, backend):
    """Return the gradients to x, decay, c and state."""
    return twin(backend).backward(x, decay, c, state, dy, dstate)


def _backward_fake(x, decay, c, state, dy, dstate, backend):
    return tuple(value.new_empty(value.shape) for value in (x, decay, c, state))


def _setup_context(ctx, inputs, output):
    *tensors, ctx.backend = inputs
    ctx.save_for_backward(*tensors)
    ctx.set_materialize_grads(False)


def _autograd_backward(ctx, dy, dstate):
    gradients = scan_backward(*ctx.saved_tensors, dy, dstate, ctx.backend)
    needed = zip(gradients, ctx.needs_input_grad[:4], strict=True)
    return *(value if needs else None for value, needs in needed), None


scan_backward = define(
    "linear_scan_backward",
    "(Tensor x, Tensor decay, Tensor c, Tensor state, Tensor? dy, Tensor? dstate, str backend) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    _backward,
    _backward_fake,
)
scan_forward = define(
    "linear_scan",
    "(Tensor x, Tensor decay, Tensor c, Tensor state, str backend) -> (Tensor, Tensor)",
    _forward,
    _forward_fake,
    _setup_context,
    _autograd_backward,
)
