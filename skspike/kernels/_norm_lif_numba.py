"""Batch norm, neurons and pooling compiled for the CPU, fused over time and over the layers.

As in `_lif_numba`, arrays are (T, M), and blocks of neurons stay in the cache for all T steps. In
memory order a step is made of rows: ``row`` neurons of a line of pixels, ``height`` rows a map. A
neuron's channel is ``(m // run) % C``: a run is a map if that is innermost, else one neuron. Pooled
blocks consist of pairs of rows, of which an odd last one is half.

Statistics and the sums for the gradients are taken in a fixed number of chunks, each by one thread
in a fixed order, so that they do not depend on the number of threads.

LLVM vectorises a loop over up to about five arrays: hence several short loops instead of one.
The names in capitals and those of `neuron_constants` are compile-time constants.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .._compile_numba import specialize
from .._threads import parallel_for
from ._lif_numba import neuron_constants
from ._memory import (
    empty_dense,
    like_layout,
    numpy_dtype,
    row,
    rows,
    step_buffer,
)
from ._norm_lif import _empty_pooled
from ._scale_mix import has_channels_innermost
from ._spec import NeuronSpec

# Bound by `specialize`; the values here only tell the linter that the names exist.
HARD_RESET = INTEGRATE = DECAY_INPUT = DECAY = DETACH_RESET = False
POOL = MAX_POOL = MAP_INNERMOST = STATE_PER_NEURON = LEAK_GRADIENT = FIXED = False
real = derivative = load = store = charge = fires = reset = None

BLOCK = 32768  # neurons at once in the forward pass
SAVED = 131072  # potentials at once in the backward pass
LANES = 128  # partial sums, which vector instructions advance together
SHORT = 128  # runs of fewer neurons are taken several together
GRAIN = 2**20  # neuron-steps: for less, a second thread costs more than it brings
CHUNK = 2**17  # numbers that are added up in one piece, at least
N_CHUNKS = 64  # pieces at most


# --- templates: blocks of neurons ---


def _begin(item, height, row):
    """Return the first neuron of an item: of a pair of rows with pooling, else the neuron."""
    if POOL:
        pairs = (height + 1) // 2
        return (item // pairs * height + item % pairs * 2) * row
    return item


def _spread(values, out, first, n, run):
    """Give each of the neurons first..first + n the value of its channel."""
    n_channels = len(values)
    j = 0
    while j < n:
        c = (first + j) // run % n_channels
        if run == 1:
            length = min(n_channels - c, n - j)
            out[j : j + length] = values[c : c + length]
        else:
            length = min(run - (first + j) % run, n - j)
            out[j : j + length] = values[c]
        j += length


def _collect(values, sums, first, n, run):
    """Add what the neurons first..first + n have to the sum of their channel."""
    n_channels = len(sums)
    j = 0
    while j < n:
        c = (first + j) // run % n_channels
        if run == 1:
            length = min(n_channels - c, n - j)
            for i in range(length):
                sums[c + i] += values[j + i]
        else:
            length = min(run - (first + j) % run, n - j)
            total = 0.0
            for i in range(length):
                total += values[j + i]
            sums[c] += total
        j += length


def _pool(fired, s, item, last_item, height, row, width):
    """Write the pooled spikes `s` of one step, of the pairs of rows item..last_item."""
    pairs = (height + 1) // 2
    inner = row // width
    half = width // 2 * inner
    at = 0
    for k in range(item, last_item):
        if k % pairs * 2 + 1 == height:  # nothing below
            at += row
            continue
        first = (k // pairs * (height // 2) + k % pairs) * half
        y = s[first : first + half]
        top = fired[at : at + row]
        low = fired[at + row : at + 2 * row]
        if MAP_INNERMOST:
            for j in range(half):
                n = load(top[2 * j]) + load(top[2 * j + 1])
                n += load(low[2 * j]) + load(low[2 * j + 1])
                y[j] = store((real(1) if n > real(0) else real(0)) if MAX_POOL else n * real(0.25))
        else:
            for w in range(0, half, inner):
                y_w = y[w : w + inner]
                a, b = top[2 * w : 2 * w + inner], top[2 * w + inner : 2 * w + 2 * inner]
                c, d = low[2 * w : 2 * w + inner], low[2 * w + inner : 2 * w + 2 * inner]
                for j in range(inner):
                    n = load(a[j]) + load(b[j]) + load(c[j]) + load(d[j])
                    y_w[j] = store(
                        (real(1) if n > real(0) else real(0)) if MAX_POOL else n * real(0.25)
                    )
        at += 2 * row


def _unpool(ds, g, item, last_item, height, row, width):
    """Spread the gradients `ds` of one step's pooled spikes over their windows: `g`."""
    pairs = (height + 1) // 2
    inner = row // width
    half = width // 2 * inner
    share = real(1) if MAX_POOL else real(0.25)
    at = 0
    for k in range(item, last_item):
        if k % pairs * 2 + 1 == height:  # nothing below
            g[at : at + row] = 0
            at += row
            continue
        first = (k // pairs * (height // 2) + k % pairs) * half
        d = ds[first : first + half]
        top, low = g[at : at + row], g[at + row : at + 2 * row]
        if MAP_INNERMOST:
            for j in range(half):
                part = share * load(d[j])
                top[2 * j] = part
                top[2 * j + 1] = part
        else:
            for w in range(0, half, inner):
                d_w = d[w : w + inner]
                left = top[2 * w : 2 * w + inner]
                for j in range(inner):
                    left[j] = share * load(d_w[j])
                right = top[2 * w + inner : 2 * w + 2 * inner]
                for j in range(inner):
                    right[j] = left[j]
        for j in range(2 * half, row):
            top[j] = 0
        for j in range(row):
            low[j] = top[j]
        at += 2 * row


def _places(right, low, item, last_item, height, row, width):
    """Tell of the neurons in a block which are on the right, and which below, in their window."""
    pairs = (height + 1) // 2
    inner = row // width
    at = 0
    for k in range(item, last_item):
        n_rows = 1 if k % pairs * 2 + 1 == height else 2
        for i in range(n_rows):
            for w in range(width):
                right[at : at + inner] = w % 2
                low[at : at + inner] = i
                at += inner


def _to_first(h, f, lost, g, right, low, threshold, row, inner, n):
    """Leave of the gradients `g` only those of the first maximum of each window.

    `f` is for the spikes, with room for the row and the neuron before and after the block.
    """
    pad = row + inner
    here = f[pad : pad + n]
    for j in range(n):
        here[j] = real(1) if fires(h[j], threshold) else real(0)
    at_left, at_right = f[pad - inner : pad - inner + n], f[pad + inner : pad + inner + n]
    above, below = f[pad - row : pad - row + n], f[pad + row : pad + row + n]
    above_left = f[:n]
    above_right = f[pad - row + inner : pad - row + inner + n]
    below_right = f[2 * pad : 2 * pad + n]
    for j in range(n):  # silent, or not the first
        upper = above[j] + right[j] * above_left[j] + (real(1) - right[j]) * above_right[j]
        lost[j] = real(1) - here[j] + right[j] * at_left[j] + low[j] * upper
    for j in range(n):  # and not the first of four that are silent
        lost[j] *= right[j] + low[j] + here[j] + at_right[j] + below[j] + below_right[j]
    for j in range(n):
        whole = g[j]
        g[j] = whole if lost[j] == real(0) else real(0)


def _forward(x, scale, shift, leak, v, s, threshold, v_rest, run, height, row, width, start, stop):
    """Write the spikes `s`, and advance the states `v` in place, for the items start..stop."""
    at_once = max(1, BLOCK // (2 * row)) if POOL else BLOCK
    size = at_once * 2 * row if POOL else BLOCK
    scale_b = np.empty(size, real)
    shift_b = np.empty(size, real)
    fired = np.empty(size if POOL else 0, s.dtype)
    k = leak[0]
    for item in range(start, stop, at_once):
        last_item = min(item + at_once, stop)
        first = _begin(item, height, row)
        n = _begin(last_item, height, row) - first
        _spread(scale, scale_b, first, n, run)
        _spread(shift, shift_b, first, n, run)
        v_b = v[first : first + n]
        for t in range(x.shape[0]):
            x_t = x[t, first : first + n]
            s_t = fired[:n] if POOL else s[t, first : first + n]
            for j in range(n):
                h = charge(load(x_t[j]) * scale_b[j] + shift_b[j], v_b[j], k, v_rest)
                spike = fires(h, threshold)
                s_t[j] = store(real(1) if spike else real(0))
                v_b[j] = reset(h, spike, threshold, v_rest)
            if POOL:
                _pool(fired, s[t], item, last_item, height, row, width)


def _recompute(x, scale, shift, k, v0, h, v, threshold, v_rest, first, n):
    """Fill the potentials `h` (T, n) of a block."""
    for j in range(n):
        v[j] = v0[first + j] if STATE_PER_NEURON else v0[0]
    for t in range(x.shape[0]):
        x_t = x[t, first : first + n]
        h_t = h[t]
        for j in range(n):
            h_t[j] = charge(load(x_t[j]) * scale[j] + shift[j], v[j], k, v_rest)
            v[j] = reset(h_t[j], fires(h_t[j], threshold), threshold, v_rest)


def _backward(
    x,
    scale,
    shift,
    mean,
    leak,
    v0,
    ds,
    dv,
    dy,
    sums,
    edges,
    threshold,
    v_rest,
    alpha,
    run,
    height,
    row,
    width,
    start,
    stop,
):
    """Write `dy`, take `dv` to the first state, and fill the `sums` of the chunks start..stop.

    These are for each channel those of dy and dy (x - mean), and in one place that for the leak.
    """
    n_steps = x.shape[0]
    n_channels = len(scale)
    block = max(16, min(8192, SAVED // n_steps))
    at_once = max(1, block // (2 * row)) if POOL else block
    size = at_once * 2 * row if POOL else block
    h = np.empty((n_steps, size), real)
    v = np.empty(size, real)
    g = np.empty(size, real)
    dh = np.empty(size, real)
    scale_b = np.empty(size, real)
    shift_b = np.empty(size, real)
    mean_b = np.empty(size, real)
    sum_dy = np.empty(size, real)
    sum_dy_x = np.empty(size, real)
    dleak = np.empty(size, real)
    inner = row // width
    right = np.empty(size if MAX_POOL else 0, real)
    low = np.empty(size if MAX_POOL else 0, real)
    lost = np.empty(size if MAX_POOL else 0, real)
    fired = np.zeros(size + 2 * (row + inner) if MAX_POOL else 0, real)
    k = leak[0]
    for chunk in range(start, stop):
        sums[chunk] = 0
        for item in range(edges[chunk], edges[chunk + 1], at_once):
            last_item = min(item + at_once, edges[chunk + 1])
            first = _begin(item, height, row)
            n = _begin(last_item, height, row) - first
            _spread(scale, scale_b, first, n, run)
            _spread(shift, shift_b, first, n, run)
            _spread(mean, mean_b, first, n, run)
            if MAX_POOL:
                _places(right, low, item, last_item, height, row, width)
            _recompute(x, scale_b, shift_b, k, v0, h, v, threshold, v_rest, first, n)
            sum_dy[:n] = 0
            sum_dy_x[:n] = 0
            dleak[:n] = 0
            dv_b = dv[first : first + n]
            for t in range(n_steps - 1, -1, -1):
                x_t = x[t, first : first + n]
                dy_t = dy[t, first : first + n]
                h_t = h[t]
                if POOL:
                    _unpool(ds[t], g, item, last_item, height, row, width)
                    if MAX_POOL:
                        _to_first(h_t, fired, lost, g, right, low, threshold, row, inner, n)
                else:
                    ds_t = ds[t, first : first + n]
                    for j in range(n):
                        g[j] = load(ds_t[j])
                for j in range(n):
                    to_spike = g[j]
                    if not DETACH_RESET:
                        to_spike += dv_b[j] * (v_rest - h_t[j] if HARD_RESET else -threshold)
                    spike = fires(h_t[j], threshold)
                    du = to_spike * derivative(h_t[j] - threshold, h_t[j], alpha)
                    dh[j] = du + (real(0) if HARD_RESET and spike else dv_b[j])
                    if INTEGRATE:
                        dv_b[j] = dh[j]
                    elif DECAY:
                        dv_b[j] = dh[j] * k
                    else:
                        dv_b[j] = dh[j] * (real(1) - k)
                if LEAK_GRADIENT:
                    h_before = h[t - 1]
                    for j in range(n):
                        if t > 0:
                            spike = fires(h_before[j], threshold)
                            v_before = reset(h_before[j], spike, threshold, v_rest)
                        else:
                            v_before = v0[first + j] if STATE_PER_NEURON else v0[0]
                        drive = real(0)
                        if DECAY_INPUT:
                            drive = load(x_t[j]) * scale_b[j] + shift_b[j]
                        if DECAY:
                            dleak[j] += dh[j] * (v_before - v_rest)
                        else:
                            dleak[j] += dh[j] * (drive - (v_before - v_rest))
                for j in range(n):
                    d = dh[j] * k if DECAY_INPUT else dh[j]
                    sum_dy[j] += d
                    sum_dy_x[j] += d * (load(x_t[j]) - mean_b[j])
                for j in range(n):
                    d = dh[j] * k if DECAY_INPUT else dh[j]
                    dy_t[j] = store(d * scale_b[j] if FIXED else d)
            _collect(sum_dy, sums[chunk, 0, :n_channels], first, n, run)
            _collect(sum_dy_x, sums[chunk, 1, :n_channels], first, n, run)
            if LEAK_GRADIENT:
                _collect(dleak, sums[chunk, 2, :1], first, n, 1)


# --- templates: all numbers in memory order ---


def _moments_of_runs(x, centre, sums, edges, start, stop):
    """Fill the sums of x - centre and its square; `x` is (T N C, P), a chunk has whole maps."""
    n_channels = len(centre)
    length = x.shape[1]
    first = np.empty(LANES, np.float64)
    second = np.empty(LANES, np.float64)
    for chunk in range(start, stop):
        sums[chunk] = 0
        for r in range(edges[chunk], edges[chunk + 1]):
            c = r % n_channels
            k = centre[c]
            for j in range(LANES):
                first[j] = 0.0
                second[j] = 0.0
            for begin in range(0, length, LANES):
                piece = x[r, begin : min(begin + LANES, length)]
                for j in range(len(piece)):
                    d = np.float64(load(piece[j])) - k
                    first[j] += d
                    second[j] += d * d
            half = LANES
            while half > 1:
                half //= 2
                for j in range(half):
                    first[j] += first[half:][j]
                    second[j] += second[half:][j]
            sums[chunk, 0, c] += first[0]
            sums[chunk, 1, c] += second[0]


def _moments_of_rows(x, centre, sums, edges, start, stop):
    """Fill the sums of x - centre and its square; `x` is flat, in rows as long as `centre`."""
    length = len(centre)
    for chunk in range(start, stop):
        sums[chunk] = 0
        first, second = sums[chunk, 0], sums[chunk, 1]
        for r in range(edges[chunk], edges[chunk + 1]):
            x_r = x[r * length : (r + 1) * length]
            for j in range(len(x_r)):
                d = np.float64(load(x_r[j])) - centre[j]
                first[j] += d
                second[j] += d * d


def _finish_runs(x, dy, a, b, c, mean, start, stop):
    """Overwrite `dy` with the gradient to `x`; both are (T N C, P)."""
    n_channels = len(a)
    for r in range(start, stop):
        i = r % n_channels
        a_r, b_r, c_r, mean_r = a[i], b[i], c[i], mean[i]
        x_r = x[r]
        dy_r = dy[r]
        for j in range(x.shape[1]):
            dy_r[j] = store(a_r * load(dy_r[j]) + b_r * (load(x_r[j]) - mean_r) + c_r)


def _finish_rows(x, dy, a, b, c, mean, start, stop):
    """Overwrite `dy` with the gradient to `x`; both are flat, in rows as long as `a`."""
    length = len(a)
    for r in range(start, stop):
        x_r = x[r * length : (r + 1) * length]
        dy_r = dy[r * length : (r + 1) * length]
        for j in range(len(x_r)):
            dy_r[j] = store(a[j] * load(dy_r[j]) + b[j] * (load(x_r[j]) - mean[j]) + c[j])


# --- launchers ---


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance of each channel."""
    n_channels = x.shape[2]
    n = x.numel() // max(1, n_channels)
    if n == 0:
        zero = x.new_zeros(n_channels, dtype=torch.float64)
        return zero, zero.clone()
    # Numbers near their mean: squares of larger ones would cancel
    centre = x[0, 0].reshape(n_channels, -1)[:, 0].double().contiguous()
    flat, by_run, width = _in_runs(x)
    n_items = len(flat) if by_run else -(-len(flat) // width)
    edges = _edges(n_items, x.numel())
    sums = np.empty((len(edges) - 1, 2, n_channels if by_run else width))
    of_items = row(centre) if by_run else _tiled(centre, x, width)
    kernel = _stream_kernel(_moments_of_runs if by_run else _moments_of_rows, x.dtype)

    def body(start: int, stop: int) -> None:
        kernel(flat, of_items, sums, edges, start, stop)

    _run(body, len(edges) - 1, x.numel())
    total = torch.from_numpy(sums.sum(0))
    if not by_run:
        total = total.reshape(2, -1, n_channels, _run_length(x)).sum((1, 3))
    first, second = total / n
    return centre + first, second - first**2


def forward(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    v: Tensor | None,
    leak: Tensor,
    spec: NeuronSpec,
    pool: str,
) -> tuple[Tensor, Tensor]:
    """Return the (pooled) spikes and the states after the last step."""
    s = _new_spikes(x, pool)
    v_last = step_buffer(x, spec.v_rest if v is None else v)
    kernel = _block_kernel(_forward, x, spec, pool)
    real = numpy_dtype(v_last.dtype).type
    arrays = rows(x), row(scale), row(shift), row(leak), row(v_last), rows(s)
    scalars = real(spec.threshold), real(spec.v_rest)
    n_items, *geometry = _geometry(x, pool)

    def body(start: int, stop: int) -> None:
        kernel(*arrays, *scalars, *geometry, start, stop)

    _run(body, n_items, x.numel())
    return s, v_last


def backward(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    v: Tensor | None,
    leak: Tensor,
    ds: Tensor | None,
    dv: Tensor | None,
    spec: NeuronSpec,
    pool: str,
    fixed: bool,
    learn_leak: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients to the current, `v` and `leak`, and the sums over each channel."""
    dy = empty_dense(x)
    dv = step_buffer(x, 0.0 if dv is None else dv)
    v0 = dv.new_full((1,), spec.v_rest) if v is None else like_layout(v, dv)
    s = _new_spikes(x, pool)
    ds = s.zero_() if ds is None else like_layout(ds, s)
    n_items, *geometry = _geometry(x, pool)
    edges = _edges(n_items, x.numel())
    n_channels = x.shape[2]
    sums = np.empty((len(edges) - 1, 3, max(1, n_channels)))
    kernel = _block_kernel(
        _backward,
        x,
        spec,
        pool,
        STATE_PER_NEURON=v is not None,
        LEAK_GRADIENT=learn_leak,
        FIXED=fixed,
    )
    real = numpy_dtype(dv.dtype).type
    coefficients = row(scale), row(shift), row(mean), row(leak), row(v0)
    gradients = rows(ds), row(dv), rows(dy), sums, edges
    scalars = real(spec.threshold), real(spec.v_rest), real(spec.alpha)

    def body(start: int, stop: int) -> None:
        kernel(rows(x), *coefficients, *gradients, *scalars, *geometry, start, stop)

    _run(body, len(edges) - 1, x.numel())
    sum_dy, sum_dy_x, rest = torch.from_numpy(sums.sum(0))
    dleak = leak.new_full(leak.shape, rest[0].item()) if learn_leak else leak.new_empty(0)
    return dy, dv, dleak, sum_dy[:n_channels], sum_dy_x[:n_channels]


def norm_backward(x: Tensor, dy: Tensor, a: Tensor, b: Tensor, c: Tensor, mean: Tensor) -> Tensor:
    """Return ``a dy + b (x - mean) + c``, written over `dy`."""
    flat, by_run, width = _in_runs(x)
    gradient, _, _ = _in_runs(dy)
    coefficients = [row(value) if by_run else _tiled(value, x, width) for value in (a, b, c, mean)]
    kernel = _stream_kernel(_finish_runs if by_run else _finish_rows, x.dtype)

    def body(start: int, stop: int) -> None:
        kernel(flat, gradient, *coefficients, start, stop)

    _run(body, len(flat) if by_run else -(-len(flat) // max(1, width)), x.numel())
    return dy


def _new_spikes(x: Tensor, pool: str) -> Tensor:
    """Return uninitialised pooled spikes in the layout of `x`."""
    like = _empty_pooled(torch.empty_strided(x.shape, x.stride(), device="meta"), pool)
    flat = empty_dense(x.as_strided((like.numel(),), (1,)))  # as much of x as there will be of s
    return flat.as_strided_(like.shape, like.stride())


def _run_length(x: Tensor) -> int:
    """Return how many neurons of a channel follow each other in memory."""
    return 1 if has_channels_innermost(x) else math.prod(x.shape[3:])


def _geometry(x: Tensor, pool: str) -> tuple[int, ...]:
    """Return the number of items of a step, and run, height, row and width, for the templates."""
    run = max(1, _run_length(x))
    n_neurons = math.prod(x.shape[1:])
    if pool == "none":
        return n_neurons, run, 1, 1, 1
    height, width = x.shape[3:]
    row_length = width * (x.shape[2] if has_channels_innermost(x) else 1)
    n_maps = n_neurons // (height * row_length) if row_length else 0
    return n_maps * ((height + 1) // 2), run, height, row_length, width


def _in_runs(x: Tensor) -> tuple[np.ndarray, bool, int]:
    """View `x` as (T N C, P), or if runs are short flat, to be taken in rows of some length."""
    run, n_channels = _run_length(x), x.shape[2]
    if run >= SHORT:
        return row(x).reshape(-1, run), True, run
    period = max(1, n_channels * run)
    return row(x), False, period * -(-1024 // period)


def _tiled(values: Tensor, x: Tensor, length: int) -> np.ndarray:
    """Repeat the values of the channels as the channels repeat in memory."""
    return np.resize(np.repeat(row(values), _run_length(x)), length)


def _edges(n_items: int, n_numbers: int) -> np.ndarray:
    """Cut items into chunks, in the same way for any number of threads."""
    n_chunks = max(1, min(n_items, n_numbers // CHUNK, N_CHUNKS))
    return np.arange(n_chunks + 1, dtype=np.int64) * n_items // n_chunks


def _block_kernel(
    template: Callable, x: Tensor, spec: NeuronSpec, pool: str, **constants: bool
) -> Callable:
    """Return a compiled template over blocks of neurons."""
    innermost = pool == "none" or not has_channels_innermost(x)  # matters for pooling alone
    return _kernel(template, x.dtype, spec, pool, MAP_INNERMOST=innermost, **constants)


@functools.lru_cache(maxsize=1024)
def _kernel(
    template: Callable, dtype: torch.dtype, spec: NeuronSpec, pool: str, **constants: bool
) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    functions = (_begin, _spread, _collect, _pool, _unpool, _places, _to_first, _recompute)
    return specialize(
        template,
        **neuron_constants(dtype, spec)
        | {function.__name__: function for function in functions}
        | {"POOL": pool != "none", "MAX_POOL": pool == "max", "BLOCK": BLOCK, "SAVED": SAVED},
        **constants,
    )


_NO_NEURON = NeuronSpec(1.0, None, "integrate", False, True, "rectangle", 1.0)


@functools.cache
def _stream_kernel(template: Callable, dtype: torch.dtype) -> Callable:
    """Return a compiled template over all numbers in memory order."""
    return specialize(template, **neuron_constants(dtype, _NO_NEURON), LANES=LANES)


def _run(body: Callable[[int, int], object], n_items: int, n_numbers: int) -> None:
    """Run over all items with as many threads as torch uses, unless there is little to do."""
    grain = max(1, GRAIN * n_items // max(1, n_numbers))
    parallel_for(body, n_items, grain=grain, n_threads=torch.get_num_threads())
