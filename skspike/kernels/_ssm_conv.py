"""Convolutions over time with one kernel for each channel.

The compiled twin is a module with two functions on detached tensors, of which all that they return
is contiguous.

``forward(x, kernel, reverse_kernel) -> y``

``backward(x, kernel, reverse_kernel, dy, needs_dx, needs_dkernel) -> (dx, dkernel, dreverse)``
    What is not needed is a tensor of no element.
"""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from ._dispatch import choose_backend
from ._lif import check_input
from ._memory import compute_dtype
from ._ops import define
from ._ssm_conv_reference import ssm_conv_reference


def ssm_conv(
    x: Tensor, kernel: Tensor, reverse_kernel: Tensor | None = None, *, backend: str = "auto"
) -> Tensor:
    r"""Convolve over time, with one kernel for each channel.

    With a kernel :math:`K` that looks back, and optionally one :math:`K'` that looks ahead,

    .. math::
        y_{tnh} = \sum_{j \ge 0} K_{jh}\, x_{t-j,nh} + \sum_{j \ge 0} K'_{jh}\, x_{t+1+j,nh},

    where `x` is zero before its first and after its last step.

    Parameters
    ----------
    x : Tensor of shape (n_steps, n_samples, n_channels)
        The input, time first. Must be finite.
    kernel : Tensor of shape (n_lags, n_channels)
        What is multiplied with the input of this step, of the one before, and so on. It has at most
        `n_steps` lags; :func:`ssm_kernel` computes that of a state space model.
    reverse_kernel : Tensor of shape (n_lags, n_channels), default=None
        What is multiplied with the input of the next step, of the one after, and so on.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        ``"reference"`` is torch's Fourier transform, and so is ``"triton"``: on CUDA there is none
        faster. ``"numba"`` transforms the tensor as it lies in memory, several samples and channels
        at once. ``"auto"`` follows :func:`skspike.set_config`, then takes the fastest that can
        serve the call.

    Returns
    -------
    y : Tensor of shape (n_steps, n_samples, n_channels)
        The result, in the dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is no floating point tensor.
    ValueError
        If shapes do not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to `x` and the kernels, and these are all that is kept for that. The cost grows
    with ``n_steps * log(n_steps)``; the numba backend rounds the number of steps up to a power of
    two. It takes samples in pairs, and channels by as many as fill a vector register; where they
    are few, samples fill it together if their number has a suitable divisor. Its results do not
    depend on the number of threads. Numbers of 16 bits are computed in float32. As the steps are
    computed together, an infinity or NaN anywhere spreads over all of them, and over another
    sample.

    References
    ----------
    .. [1] Gu, A. et al., "Efficiently modeling long sequences with structured state spaces",
       ICLR 2022.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import ssm_conv
    >>> x = torch.tensor([1.0, 0.0, 0.0, 1.0]).reshape(4, 1, 1)
    >>> kernel = torch.tensor([1.0, 2.0]).reshape(2, 1)
    >>> ssm_conv(x, kernel).flatten().round().tolist()
    [1.0, 2.0, 0.0, 1.0]
    >>> ssm_conv(x, kernel, 4 * kernel).flatten().round().tolist()
    [1.0, 10.0, 4.0, 1.0]
    """
    check_sequence("ssm_conv", x)
    real = compute_dtype(x.dtype)
    kernel = _checked("kernel", kernel, x).to(real)
    if reverse_kernel is not None:
        reverse_kernel = _checked("reverse_kernel", reverse_kernel, x).to(real)
    backend = choose_backend("ssm_conv", backend, x)
    if backend != "numba" or x.numel() == 0:
        return ssm_conv_reference(x.to(real), kernel, reverse_kernel).to(x.dtype)
    return conv_forward(x.to(real), kernel, reverse_kernel, backend).to(x.dtype)


def check_sequence(op: str, x: Tensor) -> None:
    """Raise unless `x` is a floating point tensor of steps, samples and channels."""
    check_input(op, x)
    if x.ndim != 3:
        raise ValueError(
            f"The 'x' parameter of {op} must have shape (n_steps, n_samples, n_channels). "
            f"Got {tuple(x.shape)} instead."
        )


def _checked(name: str, kernel: Tensor, x: Tensor) -> Tensor:
    """Return a kernel that has a lag, at most as many as `x` has steps, and its channels."""
    if not isinstance(kernel, Tensor) or not kernel.is_floating_point():
        got = kernel.dtype if isinstance(kernel, Tensor) else type(kernel).__name__
        raise TypeError(
            f"The {name!r} parameter of ssm_conv must be a floating point tensor. Got {got}."
        )
    n_steps, _, n_channels = x.shape
    if kernel.ndim != 2 or not 1 <= len(kernel) <= n_steps or kernel.shape[1] != n_channels:
        raise ValueError(
            f"The {name!r} parameter of ssm_conv must have shape (n_lags, {n_channels}) with 1 to "
            f"{n_steps} lags. Got {tuple(kernel.shape)} instead."
        )
    return kernel


# --- the operator ---


def twin(backend: str) -> ModuleType:
    """Import the compiled twin."""
    from . import _ssm_conv_numba

    return _ssm_conv_numba


def _forward(x, kernel, reverse_kernel, backend):
    return twin(backend).forward(x, kernel, reverse_kernel)


def _forward_fake(x, kernel, reverse_kernel, backend):
    return x.new_empty(x.shape)


def _backward(x, kernel, reverse_kernel, dy, needs_dx, needs_dkernel, backend):
    """Return the gradients to x and the kernels; empty where there is none."""
    return twin(backend).backward(x, kernel, reverse_kernel, dy, needs_dx, needs_dkernel)


def _backward_fake(x, kernel, reverse_kernel, dy, needs_dx, needs_dkernel, backend):
    dx = x.new_empty(x.shape if needs_dx else 0)
    dkernel = x.new_empty(kernel.shape if needs_dkernel else 0)
    has_reverse = needs_dkernel and reverse_kernel is not None
    return dx, dkernel, x.new_empty(reverse_kernel.shape if has_reverse else 0)


def _setup_context(ctx, inputs, output):
    *tensors, ctx.backend = inputs
    ctx.save_for_backward(*tensors)


def _autograd_backward(ctx, dy):
    needs_dx, needs_dkernel, needs_dreverse, _ = ctx.needs_input_grad
    needs = needs_dx, needs_dkernel or needs_dreverse
    dx, dkernel, dreverse = conv_backward(*ctx.saved_tensors, dy, *needs, ctx.backend)
    return (
        dx if needs_dx else None,
        dkernel if needs_dkernel else None,
        dreverse if needs_dreverse else None,
        None,
    )


conv_backward = define(
    "ssm_conv_backward",
    "(Tensor x, Tensor kernel, Tensor? reverse_kernel, Tensor dy, bool needs_dx, "
    "bool needs_dkernel, str backend) -> (Tensor, Tensor, Tensor)",
    _backward,
    _backward_fake,
)
conv_forward = define(
    "ssm_conv",
    "(Tensor x, Tensor kernel, Tensor? reverse_kernel, str backend) -> Tensor",
    _forward,
    _forward_fake,
    _setup_context,
    _autograd_backward,
)
