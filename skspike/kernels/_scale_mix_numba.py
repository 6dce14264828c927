"""Mixing scales, compiled for the CPU: each map is read once, and no sum passes through memory.

Two layouts, each with templates of its own. With the map innermost an item of work is one map of
P pixels, ``u = (step, sample, channel)`` counted through, and its weight a number; with the channel
innermost it is one P C block of a step and sample, and its weights a row of C.

Every result is computed by one item alone, in a fixed order: the number of threads changes nothing.
The names in capitals, `real`, `load`, `store` and `add` are compile-time constants.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from .._compile_numba import specialize
from .._floats_numba import add_reordered, load_bfloat16, same, store_bfloat16
from .._threads import parallel_for
from ._memory import compute_dtype, empty_dense, numpy_dtype, row

# Bound by `specialize`; the values here only tell the linter that the names exist.
N_SCALES = 1
HAS_SOURCE = NEEDS_SCALES = NEEDS_WEIGHT = False
real = load = store = add = None

CHUNK = 4096  # numbers of a map at once: they and their sums stay in the first cache
GRAIN = 2**19  # numbers read: for less, a second thread costs more than it brings


# --- templates: the map innermost ---


def _mix(scales, weight, source, out, n_samples, n_channels, start, stop):
    """Write the maps start..stop of `out`; arrays are (T N C, P)."""
    n_pixels = out.shape[1]
    total = np.empty(CHUNK, real)
    for u in range(start, stop):
        t, rest = divmod(u, n_samples * n_channels)
        for first in range(0, n_pixels, CHUNK):
            n = min(CHUNK, n_pixels - first)
            for i in range(N_SCALES):
                r = u
                if HAS_SOURCE:
                    r = source[i, t, rest % n_channels] * n_samples * n_channels + rest
                w = weight[i, r]
                s = scales[i][r, first : first + n]
                if i == 0:
                    for j in range(n):
                        total[j] = w * load(s[j])
                else:
                    for j in range(n):
                        total[j] += w * load(s[j])
            y = out[u, first : first + n]
            for j in range(n):
                y[j] = store(total[j])


def _mix_backward(
    scales,
    weight,
    order,
    begin,
    dout,
    dscales,
    dweight,
    n_samples,
    n_channels,
    start,
    stop,
):
    """Write the gradients of the maps start..stop of every scale, and of their weights.

    ``order[i, begin[i, t, c] : begin[i, t + 1, c], c]`` are the steps that read step t.
    """
    n_pixels = dout.shape[1]
    g = np.empty(CHUNK, real)
    for u in range(start, stop):
        t, rest = divmod(u, n_samples * n_channels)
        c = rest % n_channels
        for first in range(0, n_pixels, CHUNK):
            n = min(CHUNK, n_pixels - first)
            for i in range(N_SCALES):
                if HAS_SOURCE:
                    first_reader, end = begin[i, t, c], begin[i, t + 1, c]
                    if first_reader == end:
                        g[:n] = 0
                    for k in range(first_reader, end):
                        d = dout[order[i, k, c] * n_samples * n_channels + rest, first : first + n]
                        if k == first_reader:
                            for j in range(n):
                                g[j] = load(d[j])
                        else:
                            for j in range(n):
                                g[j] += load(d[j])
                elif i == 0:
                    d = dout[u, first : first + n]
                    for j in range(n):
                        g[j] = load(d[j])
                if NEEDS_SCALES:
                    w = weight[i, u]
                    ds = dscales[i][u, first : first + n]
                    for j in range(n):
                        ds[j] = store(w * g[j])
                if NEEDS_WEIGHT:
                    s = scales[i][u, first : first + n]
                    total = real(0)
                    for j in range(n):
                        total = add(total, g[j] * load(s[j]))
                    dweight[i, u] = total if first == 0 else dweight[i, u] + total
        if NEEDS_WEIGHT and n_pixels == 0:
            dweight[:, u] = 0


def _mean(scales, out, start, stop):
    """Write the means of the maps start..stop."""
    n_pixels = scales[0].shape[1]
    for u in range(start, stop):
        total = real(0)
        for i in range(N_SCALES):
            s = scales[i][u]
            of_scale = real(0)
            for j in range(n_pixels):
                of_scale = add(of_scale, load(s[j]))
            total += of_scale
        out[u] = store(total / real(n_pixels))


# --- templates: the channel innermost ---


def _repeat(row, n, tile):
    """Write a row of C numbers n times, so that a loop over pixels and channels can be one."""
    for j in range(n):
        part = tile[j * row.size : (j + 1) * row.size]
        for c in range(row.size):
            part[c] = row[c]


def _mix_rows(scales, weight, source, out, n_samples, start, stop):
    """Write the blocks start..stop of `out`; arrays are (T N, P C)."""
    n_channels = weight.shape[2]
    width = max(1, CHUNK // n_channels) * n_channels
    total = np.empty(width, real)
    w = np.empty((N_SCALES, width), real)
    steps = np.empty((N_SCALES if HAS_SOURCE else 1, width), np.int32)
    for u in range(start, stop):
        t, b = divmod(u, n_samples)
        for first in range(0, out.shape[1], width):
            n = min(width, out.shape[1] - first)
            for i in range(N_SCALES):
                lowest, highest = t, t
                if HAS_SOURCE:
                    lowest, highest = source[i, t].min(), source[i, t].max()
                total_n = total[:n]
                if i == 0:
                    total_n[:] = 0
                if HAS_SOURCE and lowest != highest and first == 0:
                    _repeat(source[i, t], n // n_channels, steps[i])
                for step in range(lowest, highest + 1):
                    r = step * n_samples + b
                    if first == 0 or lowest != highest:
                        _repeat(weight[i, r], n // n_channels, w[i])
                    s = scales[i][r, first : first + n]
                    w_i = w[i, :n]
                    steps_i = steps[i if HAS_SOURCE else 0, :n]
                    if HAS_SOURCE and lowest != highest:
                        for j in range(n):
                            value = w_i[j] * load(s[j])
                            total_n[j] += value if steps_i[j] == step else real(0)
                    else:
                        for j in range(n):
                            total_n[j] += w_i[j] * load(s[j])
            y = out[u, first : first + n]
            for j in range(n):
                y[j] = store(total[j])


def _mix_rows_backward(
    scales, weight, source, reads, dout, dscales, dweight, n_samples, start, stop
):
    """Write the gradients of the blocks start..stop of every scale, and of their weights.

    ``reads[i, t, r]`` says how many channels of step r read step t.
    """
    n_channels = weight.shape[2]
    width = max(1, CHUNK // n_channels) * n_channels
    g = np.empty(width, real)
    w = np.empty((N_SCALES, width), real)
    dw = np.empty((N_SCALES, width), real)
    steps = np.empty(width, np.int32)
    for u in range(start, stop):
        t, b = divmod(u, n_samples)
        dw[:] = 0
        for first in range(0, dout.shape[1], width):
            n = min(width, dout.shape[1] - first)
            g_n = g[:n]
            for i in range(N_SCALES):
                if HAS_SOURCE:
                    g_n[:] = 0
                    for r in range(reads.shape[1]):
                        d = dout[r * n_samples + b, first : first + n]
                        if reads[i, t, r] == n_channels:
                            for j in range(n):
                                g_n[j] += load(d[j])
                        elif reads[i, t, r] > 0:
                            _repeat(source[i, r], n // n_channels, steps)
                            for j in range(n):
                                g_n[j] += load(d[j]) if steps[j] == t else real(0)
                elif i == 0:
                    d = dout[u, first : first + n]
                    for j in range(n):
                        g_n[j] = load(d[j])
                if NEEDS_SCALES:
                    if first == 0:
                        _repeat(weight[i, u], n // n_channels, w[i])
                    w_i = w[i, :n]
                    ds = dscales[i][u, first : first + n]
                    for j in range(n):
                        ds[j] = store(w_i[j] * g_n[j])
                if NEEDS_WEIGHT:
                    s = scales[i][u, first : first + n]
                    dw_i = dw[i, :n]
                    for j in range(n):
                        dw_i[j] += g_n[j] * load(s[j])
        if NEEDS_WEIGHT:
            for i in range(N_SCALES):
                _fold(dw[i], dweight[i, u])


def _fold(tile, row):
    """Write the sum of the rows of C numbers that follow each other in a tile."""
    row[:] = 0
    for first in range(0, tile.size, row.size):
        part = tile[first : first + row.size]
        for c in range(row.size):
            row[c] += part[c]


def _mean_rows(scales, out, start, stop):
    """Write the means of the blocks start..stop."""
    n_channels = out.shape[1]
    n_pixels = scales[0].shape[1] // n_channels
    width = max(1, CHUNK // n_channels) * n_channels
    total = np.empty(width, real)
    mean = np.empty(n_channels, real)
    for u in range(start, stop):
        total[:] = 0
        for i in range(N_SCALES):
            for first in range(0, scales[0].shape[1], width):
                n = min(width, scales[0].shape[1] - first)
                s = scales[i][u, first : first + n]
                total_n = total[:n]
                for j in range(n):
                    total_n[j] += load(s[j])
        _fold(total, mean)
        for c in range(n_channels):
            out[u, c] = store(mean[c] / real(n_pixels))


# --- launchers ---


def mix(scales: Sequence[Tensor], weight: Tensor, source: Tensor | None) -> Tensor:
    """Return the attended sum of the scales."""
    by_map = scales[0].is_contiguous()
    out = empty_dense(scales[0])
    kernel = _kernel(
        _mix if by_map else _mix_rows, scales[0].dtype, len(scales), HAS_SOURCE=source is not None
    )
    arrays = _maps(scales, by_map), _weights(weight, by_map), _steps(source, scales[0])
    _run(kernel, scales, *arrays, *_maps([out], by_map), *_sizes(out, by_map))
    return out


def mix_backward(
    scales: Sequence[Tensor],
    weight: Tensor,
    source: Tensor | None,
    dout: Tensor,
    needs_scales: bool,
    needs_weight: bool,
) -> tuple[list[Tensor], Tensor]:
    """Return the gradients to the scales and to the weight; empty where none is needed."""
    by_map = dout.is_contiguous()
    dscales = [empty_dense(s) if needs_scales else s.new_empty(0) for s in scales]
    dweight = torch.empty_like(weight) if needs_weight else weight.new_empty(0)
    kernel = _kernel(
        _mix_backward if by_map else _mix_rows_backward,
        dout.dtype,
        len(scales),
        HAS_SOURCE=source is not None,
        NEEDS_SCALES=needs_scales,
        NEEDS_WEIGHT=needs_weight,
    )
    steps = _steps(source, dout)
    readers = _readers(steps) if by_map else (steps, _reads(steps))
    _run(
        kernel,
        scales,
        _maps(scales, by_map),
        _weights(weight, by_map),
        *readers,
        *_maps([dout], by_map),
        # what is not needed is not written: anything of the type will do
        _maps(dscales if needs_scales else scales, by_map),
        _weights(dweight if needs_weight else weight, by_map),
        *_sizes(dout, by_map),
    )
    return dscales, dweight


def mean(scales: Sequence[Tensor]) -> Tensor:
    """Return the mean over the map of the sum of the scales."""
    by_map = scales[0].is_contiguous()
    out = scales[0].new_empty(scales[0].shape[:3])
    kernel = _kernel(_mean if by_map else _mean_rows, out.dtype, len(scales))
    means = row(out) if by_map else row(out).reshape(-1, out.shape[2])
    _run(kernel, scales, _maps(scales, by_map), means)
    return out


def _maps(scales: Sequence[Tensor], by_map: bool) -> tuple[np.ndarray, ...]:
    """View scales in memory order as (T N C, P), or (T N, P C) with the channel innermost."""
    n_steps, n_samples, n_channels = scales[0].shape[:3]
    n_pixels = scales[0].shape[3:].numel()
    if by_map:
        shape: tuple[int, ...] = (n_steps * n_samples * n_channels, n_pixels)
    else:
        shape = (n_steps * n_samples, n_pixels * n_channels)
    return tuple(row(s).reshape(shape) for s in scales)


def _weights(weight: Tensor, by_map: bool) -> np.ndarray:
    """View weights as (n, T N C), or (n, T N, C) with the channel innermost."""
    n, n_steps, n_samples, n_channels = weight.shape
    items = n_steps * n_samples
    return row(weight).reshape((n, items * n_channels) if by_map else (n, items, n_channels))


def _sizes(x: Tensor, by_map: bool) -> tuple[int, ...]:
    """Return the axes behind the step that an item of work counts through."""
    return tuple(x.shape[1:3]) if by_map else (x.shape[1],)


def _steps(source: Tensor | None, x: Tensor) -> np.ndarray:
    """View source steps (n, T, C) as an array, an empty one for None."""
    if source is None:
        return np.empty((0, 0, 0), np.int32)
    steps = source.numpy()
    if steps.size and not 0 <= steps.min() <= steps.max() < len(x):
        raise IndexError(
            f"The 'source' parameter of scale_mix must hold steps in the range [0, {len(x)}). "
            f"Got {steps.min()} to {steps.max()} instead."
        )
    return steps.astype(np.int32)


def _readers(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each scale and channel the steps in the order of what they read.

    And where the readers of a step begin among them: (n, T + 1, C).
    """
    n, n_steps, n_channels = steps.shape
    counts = np.zeros((n, n_steps + 1, n_channels), np.int64)
    scale, channel = np.arange(n)[:, None, None], np.arange(n_channels)
    np.add.at(counts, (scale, steps + 1, channel), 1)
    return np.argsort(steps, axis=1, kind="stable"), counts.cumsum(1)


def _reads(steps: np.ndarray) -> np.ndarray:
    """Return how many channels of step r read step t, (n, t, r)."""
    n, n_steps, _ = steps.shape
    reads = np.zeros((n, n_steps, n_steps), np.int64)
    np.add.at(reads, (np.arange(n)[:, None, None], steps, np.arange(n_steps)[:, None]), 1)
    return reads


@functools.lru_cache(maxsize=1024)
def _kernel(template: Callable, dtype: torch.dtype, n_scales: int, **constants: bool) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    compact = dtype == torch.bfloat16
    return specialize(
        template,
        real=numpy_dtype(compute_dtype(dtype)).type,
        load=load_bfloat16 if compact else same,
        store=store_bfloat16 if compact else same,
        N_SCALES=n_scales,
        CHUNK=CHUNK,
        add=add_reordered,
        _repeat=_repeat,
        _fold=_fold,
        **constants,
    )


def _run(kernel: Callable, scales: Sequence[Tensor], *args: object) -> None:
    """Run a kernel over all items of work with as many threads as torch uses."""
    n_steps, n_samples, n_channels = scales[0].shape[:3]
    n_items = n_steps * n_samples * (n_channels if scales[0].is_contiguous() else 1)
    if n_items == 0:
        return

    def body(start: int, stop: int) -> None:
        kernel(*args, start, stop)

    n_read = len(scales) * scales[0].numel()
    grain = max(1, GRAIN * n_items // max(1, n_read))
    parallel_for(body, n_items, grain=grain, n_threads=torch.get_num_threads())
