"""A current in units of the thresholds of its channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._dispatch import choose_backend
from ._lif import check_input
from ._memory import compute_dtype
from ._ops import define


def divide_by_threshold(x: Tensor, threshold: Tensor, *, backend: str = "auto") -> Tensor:
    r"""Return a current in units of the thresholds of its channels.

    A neuron with hard reset to zero and the threshold :math:`\theta` fires on a current when one
    with the threshold 1 fires on :math:`x / \theta`, through which the threshold can be learnt.

    Parameters
    ----------
    x : Tensor of shape (n_steps, n_samples, n_channels, ...)
        Input current, time first.
    threshold : Tensor of shape (n_channels,) or (1,)
        Threshold of each channel, or of all.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`. Where steps have no axes behind the channels, ``"numba"`` is fused; all
        else is torch's own division.

    Returns
    -------
    y : Tensor of shape (n_steps, n_samples, n_channels, ...)
        The quotient, in the dtype of `x`.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to both. For the backward pass the compiled backend keeps `y` alone, which the
    neurons behind it keep too, and takes the sums over steps and samples in the same pass.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import divide_by_threshold
    >>> divide_by_threshold(torch.ones(1, 1, 2), torch.tensor([0.5, 2.0])).flatten().tolist()
    [2.0, 0.5]
    """
    op = "divide_by_threshold"
    check_input(op, x)
    if x.ndim < 3 or threshold.shape not in ((1,), x.shape[2:3]):
        raise ValueError(
            f"The input of {op} must have shapes (n_steps, n_samples, n_channels, ...) and "
            f"(n_channels,) or (1,). Got {tuple(x.shape)} and {tuple(threshold.shape)} instead."
        )
    threshold = threshold.to(compute_dtype(x.dtype))
    if choose_backend(op, backend, x) == "numba" and x.ndim == 3 and x.shape[2] > 0:
        return _forward_op(x, threshold.expand(x.shape[2]))
    return (x / threshold.reshape(-1, *(1 for _ in x.shape[3:]))).to(x.dtype)


def _run(x, threshold):
    """Return the quotient."""
    from ._divide_by_threshold_numba import forward

    return forward(x, threshold)


def _fake(x, threshold):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _run_backward(y, threshold, dy):
    """Return the gradients to the current and to the thresholds."""
    from ._divide_by_threshold_numba import backward

    return backward(y, threshold, dy)


def _fake_backward(y, threshold, dy):
    return torch.empty_like(y), threshold.new_empty(threshold.shape)


def _setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(output, inputs[1])


def _backward(ctx: Any, dy: Tensor) -> tuple:
    return _backward_op(*ctx.saved_tensors, dy)


_backward_op = define(
    "divide_by_threshold_backward",
    "(Tensor y, Tensor threshold, Tensor dy) -> (Tensor, Tensor)",
    _run_backward,
    _fake_backward,
)
_forward_op = define(
    "divide_by_threshold",
    "(Tensor x, Tensor threshold) -> Tensor",
    _run,
    _fake,
    _setup_context,
    _backward,
)
