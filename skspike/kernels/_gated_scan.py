"""Leaky integrators whose input decides, step by step, how much they forget.

A compiled twin is a module with two functions on detached tensors.

``forward(x, gate, state, reverse) -> h``

``backward(x, gate, state, h, dh, reverse) -> (dx, dgate, dstate)``
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from ._dispatch import choose_backend, configured_backend
from ._gated_scan_reference import gated_scan_reference
from ._lif import check_input, expand
from ._memory import compute_dtype
from ._ops import define

FEW_STEPS = 8  # below, a compiled backend costs more than torch's loop


def gated_scan(
    x: Tensor,
    gate: Tensor,
    state: Tensor | None = None,
    *,
    reverse: bool = False,
    backend: str = "auto",
) -> Tensor:
    r"""Run leaky integrators whose leak is given for each step.

    .. math::
        h_t = h_{t-1} + \sigma(g_t)\, (x_t - h_{t-1}) = (1 - \sigma(g_t))\, h_{t-1}
        + \sigma(g_t)\, x_t

    An open gate replaces what is remembered by the input; a closed one keeps it. Where the gate is
    computed from the input, that is a state space model with a step of its own for each step of the
    input, a *selective* one [1]_: with :math:`A = -1`, a zero-order hold over
    :math:`\Delta_t = \log(1 + e^{g_t})`. It is the recurrence of minGRU, too [2]_.

    Parameters
    ----------
    x : Tensor of shape (n_steps, ...)
        The input, time first. Must be finite.
    gate : Tensor of shape (n_steps, ...)
        The gates before their sigmoid :math:`\sigma`, in the shape and dtype of `x`.
    state : Tensor broadcastable to shape (...), default=None
        What is remembered before the first step; None starts from zero.
    reverse : bool, default=False
        Whether to begin at the last step and go back in time.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`; for fewer than 8 steps, ``"auto"`` takes the reference, which is the
        fastest there.

    Returns
    -------
    h : Tensor of shape (n_steps, ...)
        What is remembered after each step, in the dtype of `x`, or float32 if that has 16 bits. The
        last one, or the first in reverse, is the state to hand to the next call.

    Raises
    ------
    TypeError
        If `x` is not of floating point numbers.
    ValueError
        If shapes or dtypes do not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to `x`, `gate` and `state`, for which these and the result are kept. Sequences in
    two parts, with the state handed on, give what the whole gives. Results do not depend on the
    number of threads.

    References
    ----------
    .. [1] Gu, A. and Dao, T., "Mamba: linear-time sequence modeling with selective state spaces",
       COLM 2024.
    .. [2] Feng, L. et al., "Were RNNs all we needed?", arXiv 2410.01201.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import gated_scan
    >>> x, gate = torch.tensor([4.0, 0.0, 8.0]), torch.tensor([50.0, 0.0, -50.0])
    >>> gated_scan(x, gate).tolist()
    [4.0, 2.0, 2.0]
    """
    op = "gated_scan"
    check_input(op, x)
    if gate.shape != x.shape or gate.dtype != x.dtype:
        raise ValueError(
            f"The 'gate' parameter of {op} must be {x.dtype} of shape {tuple(x.shape)}, as x is. "
            f"Got {gate.dtype} {tuple(gate.shape)} instead."
        )
    real = compute_dtype(x.dtype)
    if state is None:
        state = x.new_zeros(x.shape[1:], dtype=real)
    else:
        state = expand(op, "state", state, x)
    free = backend == configured_backend() == "auto"
    backend = choose_backend(op, backend, x)
    x, gate = x.to(real), gate.to(real)
    if backend == "reference" or x.numel() == 0 or (free and len(x) < FEW_STEPS):
        return gated_scan_reference(x, gate, state, reverse)
    return _forward_op(x, gate, state, reverse, backend)


def twin(backend: str) -> ModuleType:
    """Import the compiled twin."""
    if backend == "numba":
        from . import _gated_scan_numba

        return _gated_scan_numba
    from . import _gated_scan_triton

    return _gated_scan_triton


def _run(x, gate, state, reverse, backend):
    """Return the states after each step."""
    return twin(backend).forward(x, gate, state, reverse)


def _fake(x, gate, state, reverse, backend):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _run_backward(x, gate, state, h, dh, reverse, backend):
    """Return the gradients to the input, the gates and the first state."""
    return twin(backend).backward(x, gate, state, h, dh, reverse)


def _fake_backward(x, gate, state, h, dh, reverse, backend):
    dense = torch.contiguous_format
    return tuple(torch.empty_like(value, memory_format=dense) for value in (x, gate, state))


def _setup_context(ctx, inputs, output):
    *tensors, ctx.reverse, ctx.backend = inputs
    ctx.save_for_backward(*tensors, output)


def _backward(ctx, dh):
    gradients = _backward_op(*ctx.saved_tensors, dh, ctx.reverse, ctx.backend)
    needed = zip(gradients, ctx.needs_input_grad[:3], strict=True)
    return *(value if needs else None for value, needs in needed), None, None


_backward_op = define(
    "gated_scan_backward",
    "(Tensor x, Tensor gate, Tensor state, Tensor h, Tensor dh, bool reverse, str backend) "
    "-> (Tensor, Tensor, Tensor)",
    _run_backward,
    _fake_backward,
)
_forward_op = define(
    "gated_scan",
    "(Tensor x, Tensor gate, Tensor state, bool reverse, str backend) -> Tensor",
    _run,
    _fake,
    _setup_context,
    _backward,
)
