"""The surrogate dynamic network compiled for the CPU: all of it in registers, neurons as lanes.

A tile of steps and neurons is copied to where its rows have a known distance, with the inputs
before it, or silence. From there, eight rows make a row of potentials, and no activation is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .._compile_numba import specialize
from .._threads import parallel_for
from ._lif_numba import float_constants
from ._memory import compute_dtype, dense_over_time, empty_dense, rows
from ._sdn_reference import packed

TAPS = 8  # and as many units in both layers
STEPS, NEURONS = 64, 128  # of a tile: its inputs fill half of the first cache
GRAIN = 16  # tiles, below 1 ms

# Bound by `specialize`; the values here only tell the linter that the names exist.
real = load = None


def total(w, i, x0, x1, x2, x3, x4, x5, x6, x7):
    """Return the bias ``w[i]`` and eight numbers weighed by what follows it, added up."""
    low = w[i] + w[i + 1] * x0 + w[i + 2] * x1 + w[i + 3] * x2 + w[i + 4] * x3
    return low + w[i + 5] * x4 + w[i + 6] * x5 + w[i + 7] * x6 + w[i + 8] * x7


def unit(w, i, x0, x1, x2, x3, x4, x5, x6, x7):
    """Return what a unit answers, its bias and weights from ``w[i]`` on."""
    y = total(w, i, x0, x1, x2, x3, x4, x5, x6, x7)
    return y if y > real(0) else real(0)


def _sdn(x, w, m, start, stop):
    """Write the potentials `m` of the tiles start..stop, all steps of some neurons first."""
    n_steps, n_neurons = x.shape
    n_tiles = (n_steps + STEPS - 1) // STEPS
    seen = np.empty((STEPS + TAPS) * NEURONS, m.dtype)
    for i in range(start, stop):
        first = i // n_tiles * NEURONS
        n = min(NEURONS, n_neurons - first)
        begin = i % n_tiles * STEPS
        end = min(begin + STEPS, n_steps)
        for t in range(begin - TAPS, end):
            seen_t = seen[(t - begin + TAPS) * NEURONS :]
            if t < 0:
                seen_t[:n] = real(0)
            else:
                x_t = x[t, first : first + n]
                for j in range(n):
                    seen_t[j] = load(x_t[j])
        for t in range(begin, end):
            seen_t = seen[(t - begin) * NEURONS :]
            m_t = m[t, first : first + n]
            for j in range(n):
                x0 = seen_t[j]
                x1 = seen_t[j + NEURONS]
                x2 = seen_t[j + 2 * NEURONS]
                x3 = seen_t[j + 3 * NEURONS]
                x4 = seen_t[j + 4 * NEURONS]
                x5 = seen_t[j + 5 * NEURONS]
                x6 = seen_t[j + 6 * NEURONS]
                x7 = seen_t[j + 7 * NEURONS]
                h0 = unit(w, 0, x0, x1, x2, x3, x4, x5, x6, x7)
                h1 = unit(w, 9, x0, x1, x2, x3, x4, x5, x6, x7)
                h2 = unit(w, 18, x0, x1, x2, x3, x4, x5, x6, x7)
                h3 = unit(w, 27, x0, x1, x2, x3, x4, x5, x6, x7)
                h4 = unit(w, 36, x0, x1, x2, x3, x4, x5, x6, x7)
                h5 = unit(w, 45, x0, x1, x2, x3, x4, x5, x6, x7)
                h6 = unit(w, 54, x0, x1, x2, x3, x4, x5, x6, x7)
                h7 = unit(w, 63, x0, x1, x2, x3, x4, x5, x6, x7)
                g0 = unit(w, 72, h0, h1, h2, h3, h4, h5, h6, h7)
                g1 = unit(w, 81, h0, h1, h2, h3, h4, h5, h6, h7)
                g2 = unit(w, 90, h0, h1, h2, h3, h4, h5, h6, h7)
                g3 = unit(w, 99, h0, h1, h2, h3, h4, h5, h6, h7)
                g4 = unit(w, 108, h0, h1, h2, h3, h4, h5, h6, h7)
                g5 = unit(w, 117, h0, h1, h2, h3, h4, h5, h6, h7)
                g6 = unit(w, 126, h0, h1, h2, h3, h4, h5, h6, h7)
                g7 = unit(w, 135, h0, h1, h2, h3, h4, h5, h6, h7)
                m_t[j] = total(w, 144, g0, g1, g2, g3, g4, g5, g6, g7)


def sdn(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Return the network's response to the inputs before each step of `x`."""
    x = dense_over_time(x)
    m = empty_dense(x, compute_dtype(x.dtype))
    functions = {"total": total, "unit": unit, "TAPS": TAPS, "STEPS": STEPS, "NEURONS": NEURONS}
    kernel = specialize(_sdn, **float_constants(x.dtype), **functions)
    numbers = packed(weights).numpy()
    x_rows, m_rows = rows(x), rows(m)
    n_steps, n_neurons = x_rows.shape

    def body(start: int, stop: int) -> None:
        kernel(x_rows, numbers, m_rows, start, stop)

    n_tiles = -(-n_steps // STEPS) * -(-n_neurons // NEURONS)
    parallel_for(body, n_tiles, grain=GRAIN, n_threads=torch.get_num_threads())
    return m
