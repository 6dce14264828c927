"""A gated mixture of few channels compiled for the CPU: one pass forward, and one back.

Numbers are taken in runs, as they lie in memory: what is computed of a run stays in the first cache
until its results are written. What gates is computed again in the backward pass, which keeps `x`
alone.

The names in capitals, `real` and those of `_groups_numba` are compile-time constants.
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
from .._groups_numba import make_collect, make_mix, partners
from .._threads import parallel_for
from .._tile_numba import n_lanes
from ._memory import empty_dense, numpy_dtype, row

# Bound by `specialize`; the values here only tell the linter that the names exist.
LANES, SIZE = 16, 64
real = exp = mix = collect = ADDED = None

RUN = 512  # numbers: 2 KiB each of what is computed on the way
N_CHUNKS = 32  # whose sums are added up in order, whoever takes them
GRAIN = 2**18  # numbers, below 1 ms


# --- templates ---


def repeat(x, first, n, to):
    """Copy `n` numbers from the first one on, of what begins anew after its end."""
    done, at = 0, first % len(x)
    while done < n:
        length = min(n - done, len(x) - at)
        source, target = x[at : at + length], to[done : done + length]
        for i in range(length):
            target[i] = source[i]
        done += length
        at = 0


def whole_run(x, first, n, edge):
    """Return where there is a whole run of numbers, the last one filled up with zeros."""
    if n == RUN:
        return x, first
    edge[:] = real(0)
    edge[:n] = x[first : first + n]
    return edge, 0


def _forward(x, residual, tables, y, start, stop):
    """Write runs start..stop of `y`."""
    edge, value, gate = np.empty((3, RUN), real)
    one, n_vectors = real(1), RUN // LANES
    for first in range(start * RUN, min(stop * RUN, len(x)), RUN):
        n = min(RUN, len(x) - first)
        x_run, at = whole_run(x, first, n, edge)
        mix(x_run, at, n_vectors, tables, 0, value, 0, False)
        mix(x_run, at, n_vectors, tables, SIZE, gate, 0, False)
        y_run, before = y[first : first + n], residual[first : first + n]
        for i in range(n):
            gated = value[i] / (one + exp(-gate[i]))
            y_run[i] = before[i] + gated if ADDED else gated


def _backward(x, tables, dy, dx, sums, start, stop):
    """Write chunks start..stop of `dx`, and what they give to weight and bias."""
    edge, dy_run, value, gate = np.empty((4, RUN), real)
    totals = np.empty(2 * SIZE, real)
    one, n_vectors = real(1), RUN // LANES
    n_runs = -(-len(x) // RUN)
    for chunk in range(start, stop):
        sums[chunk] = 0.0
        for run in range(n_runs * chunk // len(sums), n_runs * (chunk + 1) // len(sums)):
            first = run * RUN
            n = min(RUN, len(x) - first)
            x_run, at = whole_run(x, first, n, edge)
            mix(x_run, at, n_vectors, tables, 0, value, 0, False)
            mix(x_run, at, n_vectors, tables, SIZE, gate, 0, False)
            dy_run[n:] = real(0)  # what is there of another run must not count
            repeat(dy, first, n, dy_run)
            for i in range(RUN):
                share = one / (one + exp(-gate[i]))
                dvalue = share * dy_run[i]
                gate[i] = dvalue * value[i] * (one - share)
                value[i] = dvalue
            totals[:] = real(0)
            collect(x_run, at, n_vectors, value, 0, totals, 0)
            collect(x_run, at, n_vectors, gate, 0, totals, SIZE)
            for i in range(2 * SIZE):
                sums[chunk, i] += totals[i]
            mix(value, 0, n_vectors, tables, 2 * SIZE, dy_run, 0, False)
            mix(gate, 0, n_vectors, tables, 3 * SIZE, dy_run, 0, True)
            dx_run = dx[first : first + n]
            for i in range(n):
                dx_run[i] = dy_run[i]


# --- launchers ---


def serves(dtype: torch.dtype, n_channels: int) -> bool:
    """Tell whether samples of so many channels fill a vector register."""
    return n_channels > 0 and n_lanes(numpy_dtype(dtype)) % n_channels == 0


def forward(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None) -> Tensor:
    """Return the gated mixture, added to a residual if there is one."""
    x = x.contiguous()
    y = empty_dense(x)
    added = y if residual is None else residual.contiguous()
    kernel = _kernel(_forward, x.dtype, x.shape[-1], residual is not None)
    n_runs = -(-x.numel() // RUN)
    _run(kernel, n_runs, x.numel(), row(x), row(added), _tables(weight, bias), row(y))
    return y


def backward(x: Tensor, weight: Tensor, bias: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients to the input, the weight and the bias."""
    x = x.contiguous()
    dx = empty_dense(x)
    if dy.stride(0) == 0:  # as that of a mean over steps is
        dy = dy[:1]
    n_channels, n_chunks = x.shape[-1], min(N_CHUNKS, -(-x.numel() // RUN))
    tables = _tables(weight, bias)
    sums = np.empty((n_chunks, tables.size // 2))
    arrays = row(x), tables, row(dy.contiguous()), row(dx), sums
    _run(_kernel(_backward, x.dtype, n_channels), n_chunks, x.numel(), *arrays)
    total = sums.sum(0).reshape(2, n_channels + 1, -1, n_channels).sum(2)
    # (halves, turns and the bias, channels)
    total = sums.sum(0).reshape(2, n_channels + 1, -1, n_channels).sum(2)
    channel = np.arange(n_channels)[:, None]
    turns = (channel.T - channel) % n_channels
    dweight, dbias = total[:, turns, channel].reshape(weight.shape), total[:, -1].ravel()
    return dx, torch.from_numpy(dweight).to(weight), torch.from_numpy(dbias).to(bias)


def _tables(weight: Tensor, bias: Tensor) -> np.ndarray:
    """Return what both halves, and then their gradients, are multiplied by and added to."""
    w = weight.numpy().reshape(2, -1, weight.shape[1])
    n_channels, lanes = w.shape[1], n_lanes(w.dtype)
    channel, other = np.arange(lanes) % n_channels, partners(n_channels, lanes) % n_channels
    tables = np.zeros((4, n_channels + 1, lanes), w.dtype)
    tables[:2, :-1], tables[2:, :-1] = w[:, channel, other], w[:, other, channel]
    tables[:2, -1] = bias.numpy().reshape(2, -1)[:, channel]
    return tables.ravel()


@functools.lru_cache(maxsize=32)
def _kernel(
    template: Callable, dtype: torch.dtype, n_channels: int, added: bool = False
) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    real = numpy_dtype(dtype)
    return specialize(
        template,
        real=real.type,
        RUN=RUN,
        LANES=n_lanes(real),
        SIZE=(n_channels + 1) * n_lanes(real),
        ADDED=added,
        exp=exp_float32 if dtype == torch.float32 else math.exp,
        mix=make_mix(real, n_channels),
        collect=make_collect(real, n_channels),
        repeat=repeat,
        whole_run=whole_run,
    )


def _run(kernel: Callable, n_items: int, n_numbers: int, *arrays: object) -> None:
    """Run over all items with as many threads as torch uses, unless there is little to do."""

    def body(start: int, stop: int) -> None:
        kernel(*arrays, start, stop)

    grain = max(1, GRAIN * n_items // max(1, n_numbers))
    parallel_for(body, n_items, grain=grain, n_threads=torch.get_num_threads())
