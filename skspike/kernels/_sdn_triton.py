"""The surrogate dynamic network in Triton, for CUDA: all of it in registers.

A program takes a block of neurons through some steps. The weights are numbers that all threads
read, from the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from ._lif_triton import both, launch
from ._memory import compute_dtype, dense_over_time, empty_dense
from ._sdn_reference import packed

BLOCK, WARPS, STEPS = 256, 4, 4


@triton.jit
def layer(w, i, xs, N: tl.constexpr):
    """Return what the units of a layer answer, the biases and weights of the first from `i` on."""
    ys = ()
    for c in tl.static_range(N):
        y = tl.load(w + i + 9 * c) + xs[0] * 0
        for k in tl.static_range(8):
            y += tl.load(w + i + 9 * c + 1 + k) * xs[k]
        ys = ys + (y,)
    return ys


@triton.jit
def positive(xs):
    """Return numbers, those below zero as zero."""
    ys = ()
    for k in tl.static_range(8):
        ys = ys + (tl.maximum(xs[k], 0),)
    return ys


@triton.jit(do_not_specialize=["n_steps", "n_neurons"])
def _sdn(x, w, m, n_steps, n_neurons, STEPS: tl.constexpr, BLOCK: tl.constexpr):
    """Write the potentials of a block of neurons at a few steps."""
    real_t: tl.constexpr = m.dtype.element_ty
    n_tiles = (n_steps + STEPS - 1) // STEPS
    begin = tl.cast(tl.program_id(0) % n_tiles, tl.int64) * STEPS
    start = tl.cast(tl.program_id(0) // n_tiles, tl.int64) * BLOCK
    j = tl.arange(0, BLOCK)
    mask = j < n_neurons - start
    for step in range(STEPS):
        t = begin + step
        xs = ()
        for k in tl.static_range(8):
            before = t - 8 + k
            inside = both(mask, (before >= 0) & (t < n_steps))
            xs = xs + (tl.load(x + start + before * n_neurons + j, inside, 0).to(real_t),)
        hs = positive(layer(w, 0, xs, 8))
        hs = positive(layer(w, 72, hs, 8))
        answer = layer(w, 144, hs, 1)[0]
        tl.store(m + start + t * n_neurons + j, answer, both(mask, t < n_steps))


def sdn(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Return the network's response to the inputs before each step of `x`."""
    x = dense_over_time(x)
    m = empty_dense(x, compute_dtype(x.dtype))
    n_steps, n_neurons = x.shape[0], m[0].numel()
    n_programs = triton.cdiv(n_steps, STEPS) * triton.cdiv(n_neurons, BLOCK)
    options = {"STEPS": STEPS, "BLOCK": BLOCK, "num_warps": WARPS}
    launch(_sdn, n_programs, x, packed(weights), m, n_steps, n_neurons, **options)
    return m
