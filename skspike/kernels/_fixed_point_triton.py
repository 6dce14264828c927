"""The carried potential by fixed-point rounds in Triton, for CUDA.

A program takes a block of neurons at one step, and reads the inputs of a few steps before it: most
come from the cache, where programs of the same neurons have brought them.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from ._lif_triton import both, launch
from ._memory import compute_dtype, dense_over_time, empty_dense, like_layout

BLOCK, WARPS = 512, 4


@triton.jit(do_not_specialize=["n_steps", "n_neurons", "n_rounds"])
def _fixed_point(
    x,
    v,
    m,
    decay: tl.float64,
    threshold: tl.float64,
    n_steps,
    n_neurons,
    n_rounds,
    BLOCK: tl.constexpr,
):
    """Write the carried potentials of a block of neurons at one step."""
    real_t: tl.constexpr = m.dtype.element_ty
    k = tl.full((), decay, real_t)
    threshold = tl.full((), threshold, real_t)
    t = tl.cast(tl.program_id(0) % n_steps, tl.int64)
    start = tl.cast(tl.program_id(0) // n_steps, tl.int64) * BLOCK
    j = tl.arange(0, BLOCK)
    mask = j < n_neurons - start
    found = tl.full((BLOCK,), 0, real_t)
    if v is not None:
        found = k * tl.load(v + start + j, both(mask, t <= n_rounds), 0)
    for i in range(n_rounds):
        back = n_rounds - i
        row = start + (t - back) * n_neurons
        inside = back <= t
        w = found + tl.load(x + row + j, both(mask, inside), 0).to(real_t)
        found = tl.where(inside, k * tl.where(w >= threshold, 0, w), found)
    tl.store(m + start + t * n_neurons + j, found, mask)


def fixed_point(
    x: Tensor, v: Tensor | None, decay: float, threshold: float, n_rounds: int
) -> Tensor:
    """Return what each step of `x` finds of the potential before it."""
    x = dense_over_time(x)
    m = empty_dense(x, compute_dtype(x.dtype))
    v = None if v is None else like_layout(v, m[0])
    n_steps, n_neurons = x.shape[0], m[0].numel()
    n_rounds = min(n_rounds, n_steps)
    launch(
        _fixed_point,
        n_steps * triton.cdiv(n_neurons, BLOCK),
        x,
        v,
        m,
        decay,
        threshold,
        n_steps,
        n_neurons,
        n_rounds,
        BLOCK=BLOCK,
        num_warps=WARPS,
    )
    return m
