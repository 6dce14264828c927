"""Gated leaky integrators compiled for the CPU: one pass forward, and one back.

A piece of work is a range of integrators so narrow that what they remember stays in the first
cache, taken through all steps.

The names in capitals, `real` and `exp` are compile-time constants.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .._compile_numba import specialize
from .._floats_numba import exp_float32
from .._threads import parallel_for
from ._memory import empty_dense, numpy_dtype, row, rows

# Bound by `specialize`; the values here only tell the linter that the names exist.
real = exp = REVERSE = None

WIDTH = 256  # integrators of a piece of work: 1 KiB of float32
GRAIN = 2**17  # numbers, below 1 ms


# --- templates ---


def _forward(x, gate, state, h, start, stop):
    """Write `h`, (T, M), for pieces start..stop of the integrators."""
    n_steps, n = x.shape
    one = real(1)
    for piece in range(start, stop):
        first, last = piece * WIDTH, min((piece + 1) * WIDTH, n)
        before = state[first:last]
        for i in range(n_steps):
            t = n_steps - 1 - i if REVERSE else i
            x_t, g_t, h_t = x[t, first:last], gate[t, first:last], h[t, first:last]
            for j in range(last - first):
                share = one / (one + exp(-g_t[j]))
                h_t[j] = before[j] + share * (x_t[j] - before[j])
            before = h_t


def _backward(x, gate, state, h, dh, dx, dgate, dstate, start, stop):
    """Write the gradients for pieces start..stop; `dstate` holds what comes back on the way."""
    n_steps, n = x.shape
    one = real(1)
    for piece in range(start, stop):
        first, last = piece * WIDTH, min((piece + 1) * WIDTH, n)
        back = dstate[first:last]
        back[:] = real(0)
        for i in range(n_steps - 1, -1, -1):
            t = n_steps - 1 - i if REVERSE else i
            before = state[first:last]
            if i > 0:
                before = h[t + 1 if REVERSE else t - 1, first:last]
            x_t, g_t, dh_t = x[t, first:last], gate[t, first:last], dh[t, first:last]
            dx_t, dg_t = dx[t, first:last], dgate[t, first:last]
            for j in range(last - first):
                share = one / (one + exp(-g_t[j]))
                total = back[j] + dh_t[j]
                through = share * total
                dx_t[j] = through
                dg_t[j] = through * (one - share) * (x_t[j] - before[j])
                back[j] = total - through


# --- launchers ---


def forward(x: Tensor, gate: Tensor, state: Tensor, reverse: bool) -> Tensor:
    """Return the states after each step of `x`, (T, ...), from the one before, (...)."""
    x, gate, state = (a.contiguous() for a in (x, gate, state))
    h = empty_dense(x)
    _run(_kernel(_forward, x.dtype, reverse), rows(x), rows(gate), row(state), rows(h))
    return h


def backward(
    x: Tensor, gate: Tensor, state: Tensor, h: Tensor, dh: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients to the input, the gates and the first state."""
    x, gate, state, h, dh = (a.contiguous() for a in (x, gate, state, h, dh))
    dx, dgate, dstate = (empty_dense(a) for a in (x, gate, state))
    inputs = rows(x), rows(gate), row(state), rows(h), rows(dh)
    _run(_kernel(_backward, x.dtype, reverse), *inputs, rows(dx), rows(dgate), row(dstate))
    return dx, dgate, dstate


@functools.lru_cache(maxsize=16)
def _kernel(template: Callable, dtype: torch.dtype, reverse: bool) -> Callable:
    """Return a compiled template."""
    return specialize(
        template,
        real=numpy_dtype(dtype).type,
        exp=exp_float32 if dtype == torch.float32 else math.exp,
        WIDTH=WIDTH,
        REVERSE=reverse,
    )


def _run(kernel: Callable, x: np.ndarray, *arrays: np.ndarray) -> None:
    """Run over all pieces with as many threads as torch uses, unless there is little to do."""

    def body(start: int, stop: int) -> None:
        kernel(x, *arrays, start, stop)

    n_pieces = -(-x.shape[1] // WIDTH)
    grain = max(1, GRAIN // max(1, len(x) * min(WIDTH, x.shape[1])))
    parallel_for(body, n_pieces, grain=grain, n_threads=torch.get_num_threads())
