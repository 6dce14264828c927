"""The impulse response of diagonal state space models for the CPU: channels in lanes.

As in the reference, a lag is a number of blocks and a rest, and a power the product of two. For a
vector of channels, both tables of powers are made in float64 and rounded once; the sums over modes
go through registers. The backward pass makes the tables once more.

Modes lie packed, as `_linear_scan_numba` has them: (block of channels, mode, part, lane). Lags are
filled up to whole blocks, and blocks to as many as are computed at once.

The names in capitals, `real` and those of `_modes_numba` are compile-time constants.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from .._buffers import aligned
from .._compile_numba import specialize
from .._modes_numba import COLUMNS, make_collect, make_expand
from .._modes_numba import ROWS as ROWS_AT_ONCE
from .._threads import parallel_for
from .._tile_numba import n_lanes
from ._linear_scan_numba import flat, pack, unpack
from ._memory import numpy_dtype
from ._ssm_kernel_reference import BLOCK

# Bound by `specialize`; the values here only tell the linter that the names exist.
LANES, PAIR, LAGS, ROWS, AT_ONCE = 16, 32, 64, 4, 2
real = expand = collect = None

GRAIN = 2**20  # lags times modes, below 1 ms: for less, a second thread costs too much


# --- templates ---


def powers(exponents, factors, at, step, n, n_modes, mode_step, k_step, table):
    """Write ``factor exp(k step a)`` for all k < n, modes and lanes of a block to a table."""
    ratio = np.empty(PAIR)
    power = np.empty(PAIR)
    for mode in range(n_modes):
        of_mode = at + mode * PAIR
        for re in range(LANES):
            im = re + LANES
            z = np.exp(step * complex(exponents[of_mode + re], exponents[of_mode + im]))
            ratio[re], ratio[im] = z.real, z.imag
            power[re], power[im] = factors[of_mode + re], factors[of_mode + im]
        for k in range(n):
            to = table[mode * mode_step + k * k_step : mode * mode_step + k * k_step + PAIR]
            for re in range(LANES):
                im = re + LANES
                a, b = power[re], power[im]
                to[re], to[im] = a, b
                power[re] = a * ratio[re] - b * ratio[im]
                power[im] = a * ratio[im] + b * ratio[re]


def _forward(a, c, ones, kernel, n_rows, n_modes, first, last):
    """Write blocks first..last of kernels, (blocks, n_rows LAGS, lanes)."""
    n_numbers = n_modes * PAIR
    starts = np.empty(n_rows * n_numbers, real)
    rests = np.empty(LAGS * n_numbers, real)
    for block in range(first, last):
        powers(a, c, block * n_numbers, LAGS, n_rows, n_modes, PAIR, n_numbers, starts)
        powers(a, ones, block * n_numbers, 1, LAGS, n_modes, PAIR, n_numbers, rests)
        at = block * n_rows * LAGS * LANES
        for k in range(0, n_rows, ROWS):
            for lag in range(0, LAGS, AT_ONCE):
                to = at + (k * LAGS + lag) * LANES
                w_at, q_at = k * n_numbers, lag * n_numbers
                expand(starts, w_at, rests, q_at, n_modes, kernel, to, LAGS * LANES)


def _backward(a, ones, dkernel, sums, n_rows, n_modes, first, last):
    """Write what the powers, and the lags times them, add up to, (2, blocks, modes, part, lane)."""
    n_numbers = n_modes * PAIR
    starts = np.empty(n_rows * n_numbers, real)
    rests = np.empty(LAGS * n_numbers, real)
    weighed = np.empty(LAGS * n_numbers, real)
    u = np.empty(ROWS * n_numbers, real)
    v = np.empty(ROWS * n_numbers, real)
    for block in range(first, last):
        powers(a, ones, block * n_numbers, LAGS, n_rows, n_modes, PAIR, n_numbers, starts)
        powers(a, ones, block * n_numbers, 1, LAGS, n_modes, LAGS * PAIR, PAIR, rests)
        for i in range(0, LAGS * n_numbers, PAIR):
            lag = real(i // PAIR % LAGS)
            for j in range(i, i + PAIR):
                weighed[j] = lag * rests[j]
        at = block * n_rows * LAGS * LANES
        total, moment = sums[0, block], sums[1, block]
        total[:] = real(0)
        moment[:] = real(0)
        for k in range(0, n_rows, ROWS):
            y_at, step = at + k * LAGS * LANES, LAGS * LANES
            for i in range(0, n_numbers, PAIR):
                collect(dkernel, y_at, step, rests, i * LAGS, LAGS, n_modes, u, i)
                collect(dkernel, y_at, step, weighed, i * LAGS, LAGS, n_modes, v, i)
            for row in range(ROWS):
                for i in range(0, n_numbers, PAIR):
                    for re in range(i, i + LANES):
                        im = re + LANES
                        here, to = row * n_numbers, (k + row) * n_numbers
                        w_re, w_im = starts[to + re], starts[to + im]
                        u_re, u_im = u[here + re], u[here + im]
                        lag = real((k + row) * LAGS)
                        v_re, v_im = v[here + re] + lag * u_re, v[here + im] + lag * u_im
                        total[re] += w_re * u_re + w_im * u_im
                        total[im] += w_re * u_im - w_im * u_re
                        moment[re] += w_re * v_re + w_im * v_im
                        moment[im] += w_re * v_im - w_im * v_re


# --- launchers ---


def forward(a: Tensor, c: Tensor, n_steps: int) -> Tensor:
    """Return the impulse response, (T, H)."""
    exponents, twice_c, n_rows = _exponents(a), pack(2 * c, c.real), _rows(n_steps)
    n_blocks, n_modes, _, lanes = twice_c.shape
    kernel = torch.from_numpy(aligned(n_blocks * n_rows * BLOCK * lanes, numpy_dtype(c.real.dtype)))
    run = _kernel(_forward, numpy_dtype(c.real.dtype))

    arrays = flat(exponents), flat(twice_c), flat(_ones(twice_c)), flat(kernel)

    def body(start: int, stop: int) -> None:
        run(*arrays, n_rows, n_modes, start, stop)

    _run(body, n_blocks, n_rows * n_modes * lanes)
    kernel = kernel.view(n_blocks, -1, lanes)[:, :n_steps].transpose(0, 1)
    return kernel.flatten(1)[:, : a.shape[0]].contiguous()


def backward(a: Tensor, c: Tensor, dkernel: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients to `a` and `c`."""
    exponents, n_steps = _exponents(a), len(dkernel)
    n_blocks, n_modes, _, lanes = exponents.shape
    n_rows = _rows(n_steps)
    padded = pad(dkernel, (0, -dkernel.shape[1] % lanes, 0, n_rows * BLOCK - n_steps))
    padded = padded.unflatten(1, (n_blocks, lanes)).transpose(0, 1).contiguous()
    sums = dkernel.new_empty(2, *exponents.shape)
    run = _kernel(_backward, numpy_dtype(dkernel.dtype))

    arrays = flat(exponents), flat(_ones(sums[0])), flat(padded), sums.view(2, n_blocks, -1).numpy()

    def body(start: int, stop: int) -> None:
        run(*arrays, n_rows, n_modes, start, stop)

    _run(body, n_blocks, n_rows * n_modes * lanes)
    total, moment = (unpack(part, a) for part in sums)
    return 2 * c.conj_physical() * moment, 2 * total


def _exponents(a: Tensor) -> Tensor:
    """Return the packed exponents in float64, as many lanes in a block as those of `a` have."""
    return pack(a, a.real).to(torch.float64)


def _ones(like: Tensor) -> Tensor:
    """Return the number one for each packed mode."""
    ones = torch.zeros_like(like)
    ones[:, :, 0] = 1
    return ones


def _rows(n_steps: int) -> int:
    """Return the number of blocks of lags, as many as are computed at once or a multiple."""
    return -(-n_steps // (BLOCK * ROWS_AT_ONCE)) * ROWS_AT_ONCE


def _run(body: Callable[[int, int], None], n: int, cost: int) -> None:
    """Run `n` blocks of channels with as many threads as torch uses."""
    grain = max(1, GRAIN // (BLOCK * cost))
    parallel_for(body, n, grain=grain, n_threads=torch.get_num_threads())


@functools.lru_cache(maxsize=64)
def _kernel(template: Callable, dtype: np.dtype) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    return specialize(
        template,
        real=dtype.type,
        LANES=n_lanes(dtype),
        PAIR=2 * n_lanes(dtype),
        LAGS=BLOCK,
        ROWS=ROWS_AT_ONCE,
        AT_ONCE=COLUMNS,
        expand=make_expand(dtype),
        collect=make_collect(dtype),
        powers=powers,
    )
