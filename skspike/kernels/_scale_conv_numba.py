"""Convolutions of several sizes on one input for the CPU: each in the way that costs least.

Large kernels go through their spectra, small ones and small problems through torch. Maps are
channels-last here, (M, H, W, C): a copy, if the input is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from ._spectral_conv_numba import backward as spectral_backward
from ._spectral_conv_numba import cut_maps
from ._spectral_conv_numba import forward as spectral_forward

# What a multiplication costs, where one in a product of spectra costs 1: measured on an AMD Zen 5.
# torch convolves bfloat16 at twice the speed of float32, and float64 without oneDNN.
DIRECT = {torch.float64: 6.0, torch.float32: 0.85, torch.bfloat16: 0.45}
TRANSFORM = 3.0  # that of a transform waits for memory
OVERHEAD = 2e7  # and going through spectra at all takes some more calls


def forward(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> list[Tensor]:
    """Return the convolutions of `x`, (T, N, C, H, W), channels-last."""
    maps = _maps(x)
    spectral = choose_spectral(maps, weights, n_products=1)
    results = {i: _direct(maps, weights[i], biases[i]) for i in _others(spectral, weights)}
    chosen = [[values[i] for i in spectral] for values in (weights, biases)]
    if spectral:
        results |= zip(spectral, spectral_forward(maps, *chosen), strict=True)
    return [_unfold(results[i], x) for i in range(len(weights))]


def backward(
    x: Tensor, weights: Sequence[Tensor], dys: Sequence[Tensor], needs_dx: bool, needs_dw: bool
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return the gradients to `x`, the weights and the biases; empty where not needed."""
    maps, dy_maps = _maps(x), [_maps(dy.to(x.dtype)) for dy in dys]
    spectral = choose_spectral(maps, weights, n_products=2)
    dx: Tensor | None = None
    dweights: dict[int, Tensor] = {}
    dbiases: dict[int, Tensor] = {}
    if spectral:
        chosen = [[values[i] for i in spectral] for values in (weights, dy_maps)]
        dx, *gradients = spectral_backward(maps, *chosen, needs_dx=needs_dx, needs_dw=needs_dw)
        if needs_dw:
            dweights, dbiases = (dict(zip(spectral, g, strict=True)) for g in gradients)
    for i in _others(spectral, weights):
        needs = [needs_dx, needs_dw, needs_dw]
        dx_i, dw, db = _direct_backward(maps, weights[i], dy_maps[i], needs)
        if needs_dx:
            dx = dx_i if dx is None else dx.add_(dx_i)
        if needs_dw:
            dweights[i], dbiases[i] = dw, db
    none = x.new_empty(0)
    order = range(len(weights) if needs_dw else 0)
    return (
        none if dx is None else _unfold(dx, x),
        [_laid_out_as(weights[i], dweights[i]) for i in order],
        [dbiases[i].to(weights[i].dtype) for i in order],
    )


def _laid_out_as(w: Tensor, dw: Tensor) -> Tensor:
    """Return the gradient to a weight in its dtype and layout, which autograd takes uncopied."""
    like = torch.empty_like(w)
    return dw if (dw.dtype, dw.stride()) == (like.dtype, like.stride()) else like.copy_(dw)


def choose_spectral(x: Tensor, weights: Sequence[Tensor], n_products: int) -> list[int]:
    """Return which convolutions of `x`, (M, H, W, C), cost less through their spectra.

    A forward pass takes one product for each, a backward pass two.
    """
    n_maps, height, width, c_in = x.shape
    # The larger a kernel, the more it gains: only sets of the largest need looking at.
    largest_first = sorted(range(len(weights)), key=lambda i: -weights[i].shape[-1])

    def cost(n: int) -> float:
        chosen, others = largest_first[:n], largest_first[n:]
        n_direct = n_maps * height * width * sum(weights[i].numel() for i in others)
        direct = DIRECT[x.dtype] * n_products * n_direct
        if not chosen:
            return direct
        outs = tuple((weights[i].shape[0], weights[i].shape[-1]) for i in chosen)
        cut = cut_maps(height, width, c_in, outs, x.dtype)
        c_out = sum(c for c, _ in outs)
        n_turns = cut.n_turns * n_maps * (n_products * c_in + c_out)
        n_turns += cut.n_kernel_turns * n_products * c_in
        products = cut.n_products * n_products * n_maps * c_in * c_out
        return direct + products + TRANSFORM * n_turns + OVERHEAD

    best = min(range(len(weights) + 1), key=cost)
    return sorted(largest_first[:best])


def _others(chosen: Sequence[int], weights: Sequence[Tensor]) -> list[int]:
    return [i for i in range(len(weights)) if i not in chosen]


def _maps(x: Tensor) -> Tensor:
    """Return (T, N, C, H, W) as contiguous (M, H, W, C)."""
    return x.movedim(2, -1).flatten(0, 1).contiguous()


def _unfold(maps: Tensor, x: Tensor) -> Tensor:
    """Return (M, H, W, C) as (T, N, C, H, W) like `x`."""
    return _plain(maps).unflatten(0, x.shape[:2]).movedim(-1, 2)


def _plain(x: Tensor) -> Tensor:
    """Return a contiguous tensor whose strides say so also for axes of length one."""
    return x.contiguous().view(-1).view(x.shape)


def _direct(x: Tensor, w: Tensor, bias: Tensor) -> Tensor:
    """Return a convolution of `x`, (M, H, W, C)."""
    x = x.movedim(-1, 1)
    y = conv2d(x, w.to(x.dtype), bias.to(x.dtype), padding=w.shape[-1] // 2)
    return y.movedim(1, -1)


def _direct_backward(x: Tensor, w: Tensor, dy: Tensor, needs: list[bool]) -> list[Tensor]:
    """Return the gradients to `x`, (M, H, W, C), the weight and the bias, as far as needed."""
    reach = w.shape[-1] // 2
    dx, dw, db = torch.ops.aten.convolution_backward(
        *(dy.movedim(-1, 1), x.movedim(-1, 1), w.to(x.dtype), [w.shape[0]]),
        *([1, 1], [reach, reach], [1, 1], False, [0, 0], 1, needs),
    )
    return [dx.movedim(1, -1) if needs[0] else dx, dw, db]
