"""A gated mixture of few channels compiled for the CPU: one pass forward, and one back.

Rows are a step of a sample each. A run of them is turned, so that rows fill the vector registers
however few the channels are; then it stays in the first cache until its results are written. What
is gated is computed again in the backward pass, which keeps `x` alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .._compile_numba import specialize
from .._floats_numba import add_reordered, exp_float32
from .._threads import parallel_for
from ._memory import empty_dense, numpy_dtype, row

RUN = 256  # rows: a few KiB for each channel
N_CHUNKS = 32  # whose sums are added up in order, whoever takes them
GRAIN = 2**18  # numbers, below 1 ms

# Bound by `specialize`; the values here only tell the linter that the names exist.
real = add = exp = ADDED = None


# --- templates ---


def turn(x, first, n, n_channels, period, turned):
    """Write `n` rows from row `first` on, which begin anew after a period, as rows of channels."""
    done, at = 0, first % period
    while done < n:
        length = min(n - done, period - at)
        for h in range(n_channels):
            to, source = h * RUN + done, at * n_channels + h
            for r in range(length):
                turned[to + r] = x[source + r * n_channels]
        done += length
        at = 0


def mix(weight, at, step, n, start, turned, to):
    """Write the sum of `n` turned channels with weights that lie `step` apart."""
    to[:] = start
    for k in range(n % 4):
        a = weight[at + k * step]
        x = turned[k * RUN : (k + 1) * RUN]
        for r in range(RUN):
            to[r] += a * x[r]
    for k in range(n % 4, n, 4):  # four at once: a sum need not wait in memory for each
        of_k = at + k * step
        a, b = weight[of_k], weight[of_k + step]
        c, d = weight[of_k + 2 * step], weight[of_k + 3 * step]
        x, y = turned[k * RUN : (k + 1) * RUN], turned[(k + 1) * RUN : (k + 2) * RUN]
        z, u = turned[(k + 2) * RUN : (k + 3) * RUN], turned[(k + 3) * RUN : (k + 4) * RUN]
        for r in range(RUN):
            to[r] += a * x[r] + b * y[r] + c * z[r] + d * u[r]


def add_products(x, turned, n, totals):
    """Add the sums of the products of a run with each of `n` turned channels to their totals."""
    for k in range(n % 4):
        y = turned[k * RUN : (k + 1) * RUN]
        a = real(0)
        for r in range(RUN):
            a = add(a, x[r] * y[r])
        totals[k] += a
    for k in range(n % 4, n, 4):
        y, z = turned[k * RUN : (k + 1) * RUN], turned[(k + 1) * RUN : (k + 2) * RUN]
        u, v = turned[(k + 2) * RUN : (k + 3) * RUN], turned[(k + 3) * RUN : (k + 4) * RUN]
        a = b = c = d = real(0)
        for r in range(RUN):
            a, b = add(a, x[r] * y[r]), add(b, x[r] * z[r])
            c, d = add(c, x[r] * u[r]), add(d, x[r] * v[r])
        totals[k] += a
        totals[k + 1] += b
        totals[k + 2] += c
        totals[k + 3] += d


def mix_both(weight, bias, h, n, turned, value, gate):
    """Write what channel `h` of the result is, and what gates it."""
    mix(weight, h * n, 1, n, bias[h], turned, value)
    mix(weight, (n + h) * n, 1, n, bias[n + h], turned, gate)


def _forward(x, residual, weight, bias, y, n_rows, n, start, stop):
    """Write the rows of runs start..stop of `y`, of `n` channels."""
    turned = np.zeros(n * RUN, real)
    value, gate = np.empty(RUN, real), np.empty(RUN, real)
    one = real(1)
    for run in range(start, stop):
        first = run * RUN
        length = min(RUN, n_rows - first)
        turn(x, first, length, n, n_rows, turned)
        for h in range(n):
            mix_both(weight, bias, h, n, turned, value, gate)
            for r in range(RUN):
                value[r] /= one + exp(-gate[r])
            at = first * n + h
            if ADDED:
                for r in range(length):
                    y[at + r * n] = residual[at + r * n] + value[r]
            else:
                for r in range(length):
                    y[at + r * n] = value[r]


def _backward(x, weight, bias, dy, dx, sums, n_rows, n, period, start, stop):
    """Write the rows of chunks start..stop of `dx`, and what they give to weight and bias."""
    turned, dy_turned = np.ones((n + 1) * RUN, real), np.empty(n * RUN, real)
    dmixed = np.empty(2 * n * RUN, real)
    value, gate = np.empty(RUN, real), np.empty(RUN, real)
    one = real(1)
    n_runs = -(-n_rows // RUN)
    for chunk in range(start, stop):
        sums[chunk] = 0.0
        for run in range(n_runs * chunk // len(sums), n_runs * (chunk + 1) // len(sums)):
            first = run * RUN
            length = min(RUN, n_rows - first)
            if length < RUN:
                dy_turned[:] = real(0)  # what is there of other rows must not count
            turn(x, first, length, n, n_rows, turned)
            turn(dy, first, length, n, period, dy_turned)
            for h in range(n):
                mix_both(weight, bias, h, n, turned, value, gate)
                dvalue, dgate = dmixed[h * RUN :], dmixed[(n + h) * RUN :]
                for r in range(RUN):
                    share = one / (one + exp(-gate[r]))
                    dvalue[r] = share * dy_turned[h * RUN + r]
                    dgate[r] = dvalue[r] * value[r] * (one - share)
            for j in range(2 * n):  # behind the channels there are ones, for the bias
                add_products(dmixed[j * RUN : (j + 1) * RUN], turned, n + 1, sums[chunk, j])
            for k in range(n):
                mix(weight, k, n, 2 * n, real(0), dmixed, value)
                at = first * n + k
                for r in range(length):
                    dx[at + r * n] = value[r]


# --- launchers ---


def forward(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None) -> Tensor:
    """Return the gated mixture, added to a residual if there is one."""
    x = x.contiguous()
    y = empty_dense(x)
    added = y if residual is None else residual.contiguous()
    arrays = [row(a.contiguous()) for a in (x, added, weight, bias, y)]
    n_rows, n_channels = x[..., 0].numel(), x.shape[-1]
    kernel = _kernel(_forward, x.dtype, residual is not None)
    _run(kernel, -(-n_rows // RUN), x.numel(), *arrays, n_rows, n_channels)
    return y


def backward(x: Tensor, weight: Tensor, bias: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients to the input, the weight and the bias."""
    x = x.contiguous()
    dx = empty_dense(x)
    if dy.stride(0) == 0:  # as that of a mean over steps is
        dy = dy[:1]
    n_rows, n_channels, period = x[..., 0].numel(), x.shape[-1], dy[..., 0].numel()
    sums = np.empty((min(N_CHUNKS, -(-n_rows // RUN)), 2 * n_channels, n_channels + 1))
    arrays = [row(a.contiguous()) for a in (x, weight, bias, dy, dx)]
    sizes = n_rows, n_channels, period
    _run(_kernel(_backward, x.dtype), len(sums), x.numel(), *arrays, sums, *sizes)
    total = torch.from_numpy(sums.sum(0)).to(weight)
    return dx, total[:, :-1].contiguous(), total[:, -1].contiguous()


@functools.lru_cache(maxsize=8)
def _kernel(template: Callable, dtype: torch.dtype, added: bool = False) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    return specialize(
        template,
        real=numpy_dtype(dtype).type,
        RUN=RUN,
        ADDED=added,
        add=add_reordered,
        exp=exp_float32 if dtype == torch.float32 else math.exp,
        turn=turn,
        mix=mix,
        mix_both=mix_both,
        add_products=add_products,
    )


def _run(kernel: Callable, n_items: int, n_numbers: int, *arrays: object) -> None:
    """Run over all items with as many threads as torch uses, unless there is little to do."""

    def body(start: int, stop: int) -> None:
        kernel(*arrays, start, stop)

    grain = max(1, GRAIN * n_items // max(1, n_numbers))
    parallel_for(body, n_items, grain=grain, n_threads=torch.get_num_threads())
