"""The carried potential by fixed-point rounds, compiled for the CPU: one pass.

A potential after K rounds depends on K inputs: each is computed anew from these, and so without
waiting for another. A panel is a range of neurons so narrow that K of its rows stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .._compile_numba import specialize
from .._threads import parallel_for
from ._lif_numba import GRAIN, float_constants
from ._memory import (
    compute_dtype,
    dense_over_time,
    empty_dense,
    like_layout,
    numpy_dtype,
    row,
    rows,
)

PANEL = 2**13  # neurons

# Bound by `specialize`; the values here only tell the linter that the names exist.
real = load = None


def _fixed_point(x, v, m, decay, threshold, n_rounds, panel, start, stop):
    """Write the carried potentials `m` of the rows start..stop, counted panel after panel."""
    n_steps, n_neurons = x.shape
    for i in range(start, stop):
        t = i % n_steps
        first = i // n_steps * panel
        last = min(first + panel, n_neurons)
        m_t = m[t, first:last]
        for j in range(last - first):
            m_t[j] = decay * v[first + j] if t <= n_rounds else real(0)
        for back in range(min(t, n_rounds), 0, -1):
            x_i = x[t - back, first:last]
            for j in range(last - first):
                w = m_t[j] + load(x_i[j])
                m_t[j] = decay * (real(0) if w >= threshold else w)


def fixed_point(
    x: Tensor, v: Tensor | None, decay: float, threshold: float, n_rounds: int
) -> Tensor:
    """Return what each step of `x` finds of the potential before it."""
    x = dense_over_time(x)
    m = empty_dense(x, compute_dtype(x.dtype))
    v = m.new_zeros(m[0].numel()) if v is None else like_layout(v, m[0])
    kernel = specialize(_fixed_point, **float_constants(x.dtype))
    number = numpy_dtype(m.dtype).type
    run_in_panels(
        kernel, rows(x), row(v), rows(m), number(decay), number(threshold), n_rounds, panel=PANEL
    )
    return m


def run_in_panels(kernel: Callable, x: np.ndarray, *args: object, panel: int) -> None:
    """Run a kernel over all rows of all panels with as many threads as torch uses."""
    n_steps, n_neurons = x.shape

    def body(start: int, stop: int) -> None:
        kernel(x, *args, panel, start, stop)

    n_rows = n_steps * -(-n_neurons // panel)
    grain = max(1, GRAIN // max(1, min(panel, n_neurons)))
    parallel_for(body, n_rows, grain=grain, n_threads=torch.get_num_threads())
