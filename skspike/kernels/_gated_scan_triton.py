"""Gated leaky integrators in Triton, for CUDA: a program takes a block of them through all steps.

Memory is seen as (T, M): M integrators, each independent of the others. The steps that come next
are read while one is computed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ._lif_triton import launch

BLOCK, WARPS = 64, 2  # few integrators each: many programs, whose waits for memory overlap


@triton.jit
def sigmoid(x):
    """Return the logistic function, by an exponential that cannot overflow."""
    e = tl.exp(-tl.abs(x))
    return tl.where(x < 0, e, 1) / (1 + e)


@triton.jit
def locate(n_steps, n, REVERSE: tl.constexpr, BLOCK: tl.constexpr):
    """Return a block of integrators, which of them exist, the place of their first step and the
    way from there to the next."""
    j = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    way = tl.cast(n, tl.int64)
    if REVERSE:
        return j, j < n, (n_steps - 1) * way + j, -way
    return j, j < n, 0 * way + j, way


@triton.jit(do_not_specialize=["n_steps"])
def _forward(x, gate, state, h, n_steps, n, REVERSE: tl.constexpr, BLOCK: tl.constexpr):
    """Write the states after each step."""
    j, exists, at, way = locate(n_steps, n, REVERSE, BLOCK)
    value = tl.load(state + j, exists, 0)
    for _ in range(n_steps):
        share = sigmoid(tl.load(gate + at, exists, 0))
        value += share * (tl.load(x + at, exists, 0) - value)
        tl.store(h + at, value, exists)
        at += way


@triton.jit(do_not_specialize=["n_steps"])
def _backward(
    x,
    gate,
    state,
    h,
    dh,
    dx,
    dgate,
    dstate,
    n_steps,
    n,
    REVERSE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the gradients to the input, the gates and the first state."""
    j, exists, first, way = locate(n_steps, n, REVERSE, BLOCK)
    at = first + (n_steps - 1) * way
    back = tl.zeros((BLOCK,), dx.dtype.element_ty)
    for i in range(n_steps):
        if i < n_steps - 1:
            before = tl.load(h + at - way, exists, 0)
        else:
            before = tl.load(state + j, exists, 0)
        share = sigmoid(tl.load(gate + at, exists, 0))
        total = back + tl.load(dh + at, exists, 0)
        through = share * total
        tl.store(dx + at, through, exists)
        step = tl.load(x + at, exists, 0) - before
        tl.store(dgate + at, through * (1 - share) * step, exists)
        back = total - through
        at -= way
    tl.store(dstate + j, back, exists)


def forward(x: Tensor, gate: Tensor, state: Tensor, reverse: bool) -> Tensor:
    """Return the states after each step of `x`, (T, ...), from the one before, (...)."""
    x, gate, state = (a.contiguous() for a in (x, gate, state))
    h, n = torch.empty_like(x), state.numel()
    _launch(_forward, n, x, gate, state, h, len(x), n, reverse)
    return h


def backward(
    x: Tensor, gate: Tensor, state: Tensor, h: Tensor, dh: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients to the input, the gates and the first state."""
    x, gate, state, h, dh = (a.contiguous() for a in (x, gate, state, h, dh))
    dx, dgate, dstate = (torch.empty_like(a) for a in (x, gate, state))
    n = state.numel()
    _launch(_backward, n, x, gate, state, h, dh, dx, dgate, dstate, len(x), n, reverse)
    return dx, dgate, dstate


def _launch(kernel, n: int, *args) -> None:
    """Run a kernel over all integrators."""
    *args, reverse = args
    n_programs = triton.cdiv(n, BLOCK)
    launch(kernel, n_programs, *args, REVERSE=reverse, BLOCK=BLOCK, num_warps=WARPS)
