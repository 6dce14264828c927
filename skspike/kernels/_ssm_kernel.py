"""The impulse response of a diagonal state space model.

The compiled twin is a module with two functions on detached tensors.

``forward(a, c, n_steps) -> kernel``

``backward(a, c, dkernel) -> (da, dc)``
"""

from __future__ import annotations

import math
from types import ModuleType

import torch
from torch import Tensor

from .._validation import check_number
from ._dispatch import choose_backend
from ._ops import define
from ._ssm_kernel_reference import ssm_kernel_reference

COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}


def ssm_kernel(a: Tensor, c: Tensor, n_steps: int, *, backend: str = "auto") -> Tensor:
    r"""Compute the impulse response of a diagonal state space model.

    Each channel h has modes n that stand for pairs of conjugates,

    .. math::
        K_{lh} = 2 \operatorname{Re} \sum_n c_{hn} \exp(l\, a_{hn}).

    With :math:`a = \Delta A` and :math:`c = C (\exp(\Delta A) - 1) / A` that is S4D under a
    zero-order hold. :func:`ssm_conv` convolves with it; :func:`linear_scan` gives the same step by
    step.

    Parameters
    ----------
    a : Tensor of complex64 or complex128 of shape (n_channels, n_modes)
        Logarithm of what a mode is multiplied by at each step; modes decay if its real part is
        negative.
    c : Tensor of shape (n_channels, n_modes)
        What each mode contributes, in the dtype of `a`.
    n_steps : int in [1, inf)
        Number of lags.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        ``"reference"`` is a product of two small matrices for each channel, and so is ``"triton"``:
        on CUDA there is nothing faster. ``"auto"`` follows :func:`skspike.set_config`, then takes
        the fastest that can serve the call.

    Returns
    -------
    kernel : Tensor of shape (n_steps, n_channels)
        The response, real, with a precision of `a`.

    Raises
    ------
    TypeError
        If `a` or `c` is not complex.
    ValueError
        If shapes do not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to `a` and `c`. Nothing of the size ``n_steps * n_channels * n_modes`` is held:
    powers are computed for every 64th lag and for the first 64 lags, in float64, and rounded once.
    With complex64 that is more precise than an exponential for each lag, whose argument is rounded.
    The numba backend keeps `a` and `c` alone for the backward pass; its results do not depend on
    the number of threads.

    References
    ----------
    .. [1] Gu, A. et al., "On the parameterization and initialization of diagonal state space
       models", NeurIPS 2022.
    .. [2] Shen, S. et al., "SpikingSSMs: Learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025, 39(19), 20380-20388.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import ssm_kernel
    >>> decay = torch.tensor([[0.5 + 0j]])
    >>> ssm_kernel(decay.log(), torch.ones_like(decay), 4).flatten().tolist()
    [2.0, 1.0, 0.5, 0.25]
    """
    check_modes("ssm_kernel", "a", a, c)
    check_number("ssm_kernel", "n_steps", n_steps, 1, math.inf, closed="left", integer=True)
    served = COMPLEX.values()
    backend = choose_backend("ssm_kernel", backend, a, numba=served, triton=served)
    if backend != "numba" or a.numel() == 0:
        return ssm_kernel_reference(a, c, n_steps)
    return kernel_forward(a, c, n_steps, backend)


def check_modes(op: str, name: str, value: Tensor, c: Tensor) -> None:
    """Raise unless `value`, which is called `name`, and `c` are complex numbers for each mode."""
    for of, tensor in ((name, value), ("c", c)):
        if not isinstance(tensor, Tensor) or tensor.dtype not in COMPLEX.values():
            got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(
                f"The {of!r} parameter of {op} must be a complex64 or complex128 tensor. Got {got}."
            )
    if value.ndim != 2:
        raise ValueError(
            f"The {name!r} parameter of {op} must have shape (n_channels, n_modes). "
            f"Got {tuple(value.shape)} instead."
        )
    if (c.dtype, c.shape) != (value.dtype, value.shape):
        raise ValueError(
            f"The 'c' parameter of {op} must have the dtype and shape of {name!r}, {value.dtype} "
            f"{tuple(value.shape)}. Got {c.dtype} {tuple(c.shape)} instead."
        )


# --- the operator ---


def twin(backend: str) -> ModuleType:
    """Import the compiled twin."""
    from . import _ssm_kernel_numba

    return _ssm_kernel_numba


def _forward(a, c, n_steps, backend):
    return twin(backend).forward(a, c, n_steps)


def _forward_fake(a, c, n_steps, backend):
    return a.new_empty((n_steps, a.shape[0]), dtype=a.real.dtype)


def _backward(a, c, dkernel, backend):
    """Return the gradients to a and c."""
    return twin(backend).backward(a, c, dkernel)


def _backward_fake(a, c, dkernel, backend):
    return a.new_empty(a.shape), c.new_empty(c.shape)


def _setup_context(ctx, inputs, output):
    a, c, _, ctx.backend = inputs
    ctx.save_for_backward(a, c)


def _autograd_backward(ctx, dkernel):
    da, dc = kernel_backward(*ctx.saved_tensors, dkernel, ctx.backend)
    needs_da, needs_dc = ctx.needs_input_grad[:2]
    return da if needs_da else None, dc if needs_dc else None, None, None


kernel_backward = define(
    "ssm_kernel_backward",
    "(Tensor a, Tensor c, Tensor dkernel, str backend) -> (Tensor, Tensor)",
    _backward,
    _backward_fake,
)
kernel_forward = define(
    "ssm_kernel",
    "(Tensor a, Tensor c, SymInt n_steps, str backend) -> Tensor",
    _forward,
    _forward_fake,
    _setup_context,
    _autograd_backward,
)
