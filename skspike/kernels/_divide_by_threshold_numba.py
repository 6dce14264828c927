"""Division by the thresholds of channels compiled for the CPU, and the sums of its gradient.

The channels follow each other in memory. Numbers are taken in rows of several times all channels,
so that few channels fill a vector too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .._compile_numba import specialize
from .._threads import parallel_for
from ._lif_numba import float_constants
from ._memory import empty_dense, like_layout, row

ROW = 1024  # numbers at least, where there are so many
N_CHUNKS = 32  # whose sums are added up in order, whoever takes them
RUN = 32  # rows whose sums are taken in the precision of the numbers
GRAIN = 2**20  # numbers, below 1 ms

# Bound by `specialize`; the values here only tell the linter that the names exist.
real = load = store = None


def _divide(x, threshold, y, start, stop):
    """Write the quotients `y` of the rows start..stop."""
    length = len(threshold)
    for r in range(start, stop):
        x_r = x[r * length : (r + 1) * length]
        y_r = y[r * length : (r + 1) * length]
        for j in range(len(x_r)):
            y_r[j] = store(load(x_r[j]) / threshold[j])


def _divide_backward(y, threshold, dy, dx, sums, edges, start, stop):
    """Write the gradients `dx`, and the `sums` of y dy over the rows of the chunks start..stop."""
    length = len(threshold)
    run = np.empty(length, threshold.dtype)
    for chunk in range(start, stop):
        sums[chunk] = 0.0
        run[:] = real(0)
        for r in range(edges[chunk], edges[chunk + 1]):
            y_r = y[r * length : (r + 1) * length]
            dy_r = dy[r * length : (r + 1) * length]
            dx_r = dx[r * length : (r + 1) * length]
            for j in range(len(y_r)):
                g = load(dy_r[j])
                run[j] += g * load(y_r[j])
                dx_r[j] = store(g / threshold[j])
            if (r + 1) % RUN == 0 or r + 1 == edges[chunk + 1]:
                for j in range(length):
                    sums[chunk, j] += run[j]
                    run[j] = real(0)


def forward(x: Tensor, threshold: Tensor) -> Tensor:
    """Return the quotient."""
    x = x.contiguous()
    y = empty_dense(x)
    n_rows, of_row = _rows(x, threshold)
    _run(_kernel(_divide, x), n_rows, x.numel(), row(x), of_row, row(y))
    return y


def backward(y: Tensor, threshold: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients to the current and to the thresholds."""
    dx = empty_dense(y)
    n_rows, of_row = _rows(y, threshold)
    n_chunks = max(1, min(n_rows, N_CHUNKS))
    edges = np.arange(n_chunks + 1) * n_rows // n_chunks
    sums = np.empty((n_chunks, len(of_row)))
    arrays = row(y), of_row, row(like_layout(dy, y)), row(dx), sums, edges
    _run(_kernel(_divide_backward, y), n_chunks, y.numel(), *arrays)
    of_channels = sums.sum(0).reshape(-1, len(threshold)).sum(0)
    return dx, torch.from_numpy(of_channels).to(threshold) / -threshold


def _rows(x: Tensor, threshold: Tensor) -> tuple[int, np.ndarray]:
    """Return the number of rows, and what divides the numbers of each."""
    n_channels = len(threshold)
    of_row = np.tile(threshold.numpy(), -(-ROW // max(1, n_channels)))
    return -(-x.numel() // max(1, len(of_row))), of_row


def _kernel(template: Callable, x: Tensor) -> Callable:
    """Return a compiled template."""
    return specialize(template, **float_constants(x.dtype), RUN=RUN)


def _run(kernel: Callable, n_items: int, n_numbers: int, *arrays: np.ndarray) -> None:
    """Run over all items with as many threads as torch uses, unless there is little to do."""

    def body(start: int, stop: int) -> None:
        kernel(*arrays, start, stop)

    grain = max(1, GRAIN * n_items // max(1, n_numbers))
    parallel_for(body, n_items, grain=grain, n_threads=torch.get_num_threads())
