"""Convolutions of one input with kernels of several sizes.

A compiled twin is a module with two functions on detached tensors, `x` of shape (T, N, C, H, W)
and each weight (C_out, C, k, k). What they return lies in memory with the channel innermost.

``forward(x, weights, biases) -> list of (T, N, C_out, H, W)``

``backward(x, weights, dys, needs_dx, needs_dw) -> (dx, dweights, dbiases)``
    What is not needed is a tensor of no element, or an empty list.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor

from ._dispatch import choose_backend
from ._ops import define
from ._scale_conv_reference import scale_conv_reference


def scale_conv(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor | None] | None = None,
    *,
    backend: str = "auto",
) -> list[Tensor]:
    r"""Convolve one input with kernels of several sizes.

    With a kernel :math:`W` of size :math:`k = 2p + 1` and zeros around the map, each result is

    .. math::
        y_{tnoij} = b_o + \sum_{c, a, b} W_{ocab}\, x_{t, n, c, i + a - p, j + b - p}.

    Parameters
    ----------
    x : Tensor of shape (n_steps, n_samples, n_channels, height, width)
        The maps. Must be finite.
    weights : sequence of tensors of shape (n_out, n_channels, k, k)
        The kernels, of odd sizes; `n_out` and `k` may differ from one to the other.
    biases : sequence of tensors of shape (n_out,), or of None, default=None
        What is added to each channel; None adds nothing.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        ``"reference"`` is torch's convolution, and so is ``"triton"``: on CUDA there is none
        faster. ``"numba"`` takes large kernels through their spectra. ``"auto"`` follows
        :func:`skspike.set_config`, then takes the fastest that can serve the call.

    Returns
    -------
    results : list of tensors of shape (n_steps, n_samples, n_out, height, width)
        One for each kernel, in the dtype of `x`.

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
    Gradients flow to `x`, the weights and the biases; only `x` and the weights are kept for that.
    The numba backend estimates for each kernel which of two ways costs less, torch's convolution
    or a product of spectra. A spectrum takes four multiplications or so for each number of the
    map and pair of channels, where a convolution takes :math:`k^2`. Spectra are computed in
    float32 for bfloat16, and in the dtype of `x` otherwise; they take 256 MiB or so at most. Those
    of bfloat16 are rounded to it before they are multiplied where the processor multiplies pairs
    of such numbers (AVX-512 BF16), which is about as precise as torch's convolution.
    An infinity or NaN anywhere in a map spreads over the whole of it. Results lie in memory with
    the channel innermost, and do not depend on the number of threads where they are products of
    spectra. Under autocast, a float32 `x` is rounded as it is for torch's convolution.

    References
    ----------
    .. [1] Mathieu, M. et al., "Fast training of convolutional networks through FFTs", ICLR 2014.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import scale_conv
    >>> x = torch.ones(1, 1, 1, 3, 3)
    >>> small, large = scale_conv(x, [torch.ones(1, 1, 1, 1), torch.ones(1, 1, 3, 3)])
    >>> large[0, 0, 0].tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    _check_input(x)
    biases = [None] * len(weights) if biases is None else list(biases)
    if len(biases) != len(weights):
        raise ValueError(
            "The 'biases' parameter of scale_conv must have one entry for each weight, "
            f"{len(weights)}. Got {len(biases)} instead."
        )
    for w, b in zip(weights, biases, strict=True):
        _check_weight(w, b, x.shape[2])
    backend = choose_backend("scale_conv", backend, x)
    if backend != "numba" or x.numel() == 0 or not weights:
        return scale_conv_reference(x, weights, biases)
    if x.dtype == torch.float32 and torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    # operators of torch have no gradient for lists in which some entries are None
    shifts = [w.new_zeros(len(w)) if b is None else b for w, b in zip(weights, biases, strict=True)]
    return conv_forward(x, list(weights), shifts, backend)


def _check_input(x: Tensor) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(
            f"The 'x' parameter of scale_conv must be a floating point tensor. Got {got}."
        )
    if x.ndim != 5:
        raise ValueError(
            "The 'x' parameter of scale_conv must have shape (n_steps, n_samples, n_channels, "
            f"height, width). Got {tuple(x.shape)} instead."
        )


def _check_weight(w: Tensor, bias: Tensor | None, n_channels: int) -> None:
    if w.ndim != 4 or w.shape[1] != n_channels or w.shape[2] != w.shape[3] or w.shape[3] % 2 == 0:
        raise ValueError(
            f"Each of the 'weights' of scale_conv must have shape (n_out, {n_channels}, k, k) with "
            f"an odd k. Got {tuple(w.shape)} instead."
        )
    if bias is not None and bias.shape != w.shape[:1]:
        raise ValueError(
            f"The bias of a weight of scale_conv must have shape ({w.shape[0]},). "
            f"Got {tuple(bias.shape)} instead."
        )


# --- the operator ---


def twin(backend: str) -> ModuleType:
    """Import the compiled twin."""
    from . import _scale_conv_numba

    return _scale_conv_numba


def _forward(x, weights, biases, backend):
    with torch.autocast("cpu", enabled=False):
        return twin(backend).forward(x, weights, biases)


def _forward_fake(x, weights, biases, backend):
    return [_empty_like(x, w.shape[0]) for w in weights]


def _empty_like(x: Tensor, n_channels: int) -> Tensor:
    """Return an uninitialised tensor like `x` with the channel innermost in memory."""
    n_steps, n_samples, _, height, width = x.shape
    return x.new_empty((n_steps, n_samples, height, width, n_channels)).movedim(-1, 2)


def _backward(x, weights, dys, needs_dx, needs_dw, backend):
    """Return the gradients to x, the weights and the biases; empty where there is none."""
    with torch.autocast("cpu", enabled=False):
        return twin(backend).backward(x, weights, dys, needs_dx, needs_dw)


def _backward_fake(x, weights, dys, needs_dx, needs_dw, backend):
    dx = _empty_like(x, x.shape[2]) if needs_dx else x.new_empty(0)
    if not needs_dw:
        return dx, [], []
    return dx, [torch.empty_like(w) for w in weights], [w.new_empty(w.shape[0]) for w in weights]


def _setup_context(ctx, inputs, output):
    x, weights, _, ctx.backend = inputs
    ctx.save_for_backward(x, *weights)


def _autograd_backward(ctx, dys):
    x, *weights = ctx.saved_tensors
    needs_dx, needs_dweights, needs_dbiases = ctx.needs_input_grad[:3]
    needs_dw = any(needs_dweights) or any(needs_dbiases)
    read = [i for i, dy in enumerate(dys) if dy is not None]
    dx, dws, dbs = conv_backward(
        x, [weights[i] for i in read], [dys[i] for i in read], needs_dx, needs_dw, ctx.backend
    )
    dweights, dbiases = [None] * len(weights), [None] * len(weights)
    if needs_dw:
        for i, dw, db in zip(read, dws, dbs, strict=True):
            dweights[i], dbiases[i] = dw, db
    return dx if needs_dx else None, dweights, dbiases, None


conv_backward = define(
    "scale_conv_backward",
    "(Tensor x, Tensor[] weights, Tensor[] dys, bool needs_dx, bool needs_dw, str backend) "
    "-> (Tensor, Tensor[], Tensor[])",
    _backward,
    _backward_fake,
)
conv_forward = define(
    "scale_conv",
    "(Tensor x, Tensor[] weights, Tensor[] biases, str backend) -> Tensor[]",
    _forward,
    _forward_fake,
    _setup_context,
    _autograd_backward,
)
