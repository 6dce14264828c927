"""A mixture of channels whose results are gated."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import glu, linear

from ._dispatch import choose_backend
from ._lif import check_input
from ._ops import define

FUSED = (torch.float32, torch.float64)


def gated_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None = None,
    *,
    backend: str = "auto",
) -> Tensor:
    r"""Mix channels, and let half of the results gate the other half.

    With the upper and the lower half of the rows of the matrix W and of the bias b,

    .. math::
        y = r + (W_1 x + b_1)\, \sigma(W_2 x + b_2).

    Parameters
    ----------
    x : Tensor of shape (n_steps, ..., n_channels)
        The input, spikes for instance.
    weight : Tensor of shape (2 * n_channels, n_channels)
        The matrix W.
    bias : Tensor of shape (2 * n_channels,)
        The bias b.
    residual : Tensor, default=None
        What the result is added to, :math:`r`, in the shape of `x`; None stands for 0.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`. Where some samples fill a vector register of the CPU, as those of 1, 2,
        4, 8 or mostly 16 channels do in float32, ``"numba"`` is fused; all else is torch's own.

    Returns
    -------
    y : Tensor of shape (n_steps, ..., n_channels)
        The result, in the dtype of `x` unless torch computes it under autocast.

    Raises
    ------
    TypeError
        If `x` is no floating point tensor.
    ValueError
        If the shapes do not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to all four. Fused, it keeps `x` and the parameters alone for the backward pass,
    where torch keeps both halves, too; that adds the gradients of the parameters up in float64.
    Results do not depend on the number of threads.

    References
    ----------
    .. [1] Dauphin, Y. N. et al., "Language modeling with gated convolutional networks", ICML 2017.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import gated_linear
    >>> x = torch.tensor([[[1.0], [0.0]]])
    >>> weight, bias = torch.tensor([[3.0], [0.0]]), torch.tensor([1.0, 0.0])
    >>> gated_linear(x, weight, bias).flatten().tolist()
    [2.0, 0.5]
    """
    op = "gated_linear"
    check_input(op, x)
    n = x.shape[-1] if x.ndim else 0
    shapes = [tuple(a.shape) for a in (weight, bias)]
    if shapes != [(2 * n, n), (2 * n,)] or not (residual is None or residual.shape == x.shape):
        residual_shape = "no residual" if residual is None else tuple(residual.shape)
        raise ValueError(
            f"The input of {op} must have shapes (n_steps, ..., n_channels), "
            "(2 * n_channels, n_channels), (2 * n_channels,) and, if there is a residual, that of "
            f"the first. Got {tuple(x.shape)}, {shapes[0]}, {shapes[1]} and {residual_shape} "
            "instead."
        )
    if choose_backend(op, backend, x) == "numba" and _fits(x, weight, bias, residual):
        return _forward_op(x, weight, bias, residual)
    y = glu(linear(x, weight, bias))
    return y if residual is None else residual + y


def _fits(x: Tensor, *others: Tensor | None) -> bool:
    """Tell whether tensors are such as the twin is made for."""
    if x.dtype not in FUSED or x.ndim < 2 or x.numel() == 0 or not _fill(x.dtype, x.shape[-1]):
        return False
    alike = all(other is None or other.dtype == x.dtype for other in others)
    return alike and not torch.is_autocast_enabled("cpu")


@torch.compiler.assume_constant_result
def _fill(dtype: torch.dtype, n_channels: int) -> bool:
    """Tell whether samples of so many channels fill a vector register of this machine."""
    from ._gated_linear_numba import serves

    return serves(dtype, n_channels)


def _run(x, weight, bias, residual):
    """Return the gated mixture."""
    from ._gated_linear_numba import forward

    return forward(x, weight, bias, residual)


def _fake(x, weight, bias, residual):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _run_backward(x, weight, bias, dy):
    """Return the gradients to the input, the matrix and the bias."""
    from ._gated_linear_numba import backward

    return backward(x, weight, bias, dy)


def _fake_backward(x, weight, bias, dy):
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        weight.new_empty(weight.shape),
        bias.new_empty(bias.shape),
    )


def _setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])


def _backward(ctx: Any, dy: Tensor) -> tuple:
    return *_backward_op(*ctx.saved_tensors, dy), dy if ctx.needs_input_grad[3] else None


_backward_op = define(
    "gated_linear_backward",
    "(Tensor x, Tensor weight, Tensor bias, Tensor dy) -> (Tensor, Tensor, Tensor)",
    _run_backward,
    _fake_backward,
)
_forward_op = define(
    "gated_linear",
    "(Tensor x, Tensor weight, Tensor bias, Tensor? residual) -> Tensor",
    _run,
    _fake,
    _setup_context,
    _backward,
)
