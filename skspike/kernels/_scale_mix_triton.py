"""Mixing scales in Triton, for CUDA: every map is read once, and no stack of them is made.

A program takes whole maps, or parts of them where there are too few to fill the device. Where the
map is innermost in memory it takes one map, or several small ones; where the channel is, some
channels of one step and sample. Numbers are added up in each program, then over the parts of a map,
and so do not depend on timing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ._lif_triton import both, launch
from ._memory import compute_dtype
from ._scale_mix import has_channels_innermost

# How a launch is cut: threads of a program, bytes that a thread reads at once, channels of a
# program where these are innermost, and how many programs fill the device.
THREADS, VECTOR_BYTES, CHANNELS, MANY_PROGRAMS = 128, 16, 128, 2048


# --- where things are ---


@triton.jit
def place(
    n_rows, n_channels, n_parts, INNERMOST: tl.constexpr, INNER: tl.constexpr, BLOCK: tl.constexpr
):
    """Return step and sample, channel, and whether they exist; the first pixel; and the part.

    `INNER` elements of a block follow each other in memory: pixels, or channels if `INNERMOST`.
    """
    OUTER: tl.constexpr = BLOCK // INNER
    program = tl.program_id(0) // n_parts
    part = tl.program_id(0) % n_parts
    inner = tl.arange(0, BLOCK) % INNER
    outer = tl.arange(0, BLOCK) // INNER
    if INNERMOST:
        n_tiles = tl.cdiv(n_channels, INNER)
        o = tl.cast(program // n_tiles, tl.int64)
        c = program % n_tiles * INNER + inner
        exists = c < n_channels
        pixel = outer
    else:
        r = tl.cast(program, tl.int64) * OUTER
        if OUTER > 1:
            r += outer
        o = r // n_channels
        c = tl.cast(r % n_channels, tl.int32)
        exists = o < n_rows
        pixel = inner
    return o, c, exists, pixel, part


@triton.jit
def offset(o, c, p, n_channels, n_pixels, INNERMOST: tl.constexpr):
    """Return where pixel `p` of a channel is."""
    if INNERMOST:
        at = (o * n_pixels + p) * n_channels + c
    else:
        at = (o * n_channels + c) * n_pixels + p
    return at


@triton.jit
def store_sums(
    values, sums, n_rows, n_channels, n_parts, INNERMOST: tl.constexpr, INNER: tl.constexpr
):
    """Write the sums over the pixels of a program, for each of its maps."""
    BLOCK: tl.constexpr = values.shape[0]
    OUTER: tl.constexpr = BLOCK // INNER
    program = tl.program_id(0) // n_parts
    n_maps = tl.cast(n_rows, tl.int64) * n_channels
    sums += tl.program_id(0) % n_parts * n_maps
    if INNERMOST:
        n_tiles = tl.cdiv(n_channels, INNER)
        c = program % n_tiles * INNER + tl.arange(0, INNER)
        at = tl.cast(program // n_tiles, tl.int64) * n_channels + c
        total = tl.sum(tl.reshape(values, (OUTER, INNER)), axis=0)
        tl.store(sums + at, total, c < n_channels)
    elif OUTER > 1:
        r = tl.cast(program, tl.int64) * OUTER + tl.arange(0, OUTER)
        tl.store(sums + r, tl.sum(tl.reshape(values, (OUTER, INNER)), axis=1), r < n_maps)
    else:
        tl.store(sums + program, tl.sum(values))


# --- kernels ---


@triton.jit(do_not_specialize=["n_steps", "n_samples", "n_parts"])
def _mix(
    out,
    scales,
    weight,
    source,
    n_steps,
    n_samples,
    n_channels,
    n_pixels,
    n_parts,
    chunk,
    INNERMOST: tl.constexpr,
    INNER: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the weighed sum of the scales."""
    real_t: tl.constexpr = weight.dtype.element_ty
    STEP: tl.constexpr = BLOCK // INNER if INNERMOST else INNER
    n_rows = n_steps * n_samples
    o, c, exists, pixel, part = place(n_rows, n_channels, n_parts, INNERMOST, INNER, BLOCK)
    factors = ()
    rows = ()
    for i in tl.static_range(len(scales)):
        row = o
        if source is not None:
            t = o // n_samples
            u = tl.load(source + (i * n_steps + t) * n_channels + c, exists, 0)
            row = u * n_samples + o % n_samples
        of_row = (i * tl.cast(n_rows, tl.int64) + row) * n_channels + c
        factors = factors + (tl.load(weight + of_row, exists, 0),)
        rows = rows + (row,)
    for begin in range(tl.cdiv(chunk, STEP)):
        p = part * chunk + begin * STEP + pixel
        inside = both(p < n_pixels, exists)
        values = ()
        for i in tl.static_range(len(scales)):
            at = offset(rows[i], c, p, n_channels, n_pixels, INNERMOST)
            values = values + (tl.load(scales[i] + at, inside, 0),)
        total = values[0].to(real_t) * factors[0]
        for i in tl.static_range(1, len(scales)):
            total += values[i].to(real_t) * factors[i]
        at = offset(o, c, p, n_channels, n_pixels, INNERMOST)
        tl.store(out + at, total.to(out.dtype.element_ty), inside)


@triton.jit(do_not_specialize=["n_steps", "n_samples", "n_parts"])
def _mix_backward(
    dout,
    scales,
    dscales,
    weight,
    order,
    begins,
    sums,
    n_steps,
    n_samples,
    n_channels,
    n_pixels,
    n_parts,
    chunk,
    INNERMOST: tl.constexpr,
    INNER: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the gradients to the scales, and the parts of those to the weight."""
    real_t: tl.constexpr = weight.dtype.element_ty
    STEP: tl.constexpr = BLOCK // INNER if INNERMOST else INNER
    SEVERAL: tl.constexpr = INNERMOST or BLOCK > INNER
    n_rows = n_steps * n_samples
    o, c, exists, pixel, part = place(n_rows, n_channels, n_parts, INNERMOST, INNER, BLOCK)
    u = o // n_samples
    b = o % n_samples
    zero = tl.full((BLOCK,), 0, real_t)
    factors = ()
    totals = ()
    firsts = ()
    lasts = ()
    counts = ()
    for i in tl.static_range(len(scales)):
        of_row = (i * tl.cast(n_rows, tl.int64) + o) * n_channels + c
        factors = factors + (tl.load(weight + of_row, exists, 0),)
        totals = totals + (zero,)
        if order is not None:
            # the steps that read this one: order[i, first:last, c]
            of_step = begins + (i * (n_steps + 1) + u) * n_channels + c
            first = tl.load(of_step, exists, 0)
            last = tl.load(of_step + n_channels, exists, 0)
            firsts = firsts + (first,)
            lasts = lasts + (last,)
            counts = counts + (tl.max(last - first) if SEVERAL else last - first,)
    for begin in range(tl.cdiv(chunk, STEP)):
        p = part * chunk + begin * STEP + pixel
        inside = both(p < n_pixels, exists)
        at = offset(o, c, p, n_channels, n_pixels, INNERMOST)
        values = ()
        if sums is not None:
            for i in tl.static_range(len(scales)):
                values = values + (tl.load(scales[i] + at, inside, 0),)
        if order is None:
            g = tl.load(dout + at, inside, 0).to(real_t)
        after = ()
        for i in tl.static_range(len(scales)):
            if order is not None:
                g = zero
                for k in range(counts[i]):
                    reads = exists & (firsts[i] + k < lasts[i])
                    reader = order + (i * n_steps + firsts[i] + k) * n_channels + c
                    row = tl.load(reader, reads, 0) * n_samples + b
                    there = offset(row, c, p, n_channels, n_pixels, INNERMOST)
                    g += tl.load(dout + there, both(inside, reads), 0).to(real_t)
            if sums is not None:
                after = after + (totals[i] + g * values[i].to(real_t),)
            else:
                after = after + (zero,)
            if dscales is not None:
                tl.store(dscales[i] + at, (g * factors[i]).to(dout.dtype.element_ty), inside)
        totals = after
    if sums is not None:
        for i in tl.static_range(len(scales)):
            of_scale = sums + i * n_parts * tl.cast(n_rows, tl.int64) * n_channels
            store_sums(totals[i], of_scale, n_rows, n_channels, n_parts, INNERMOST, INNER)


@triton.jit(do_not_specialize=["n_rows", "n_parts"])
def _mean(
    sums,
    scales,
    n_rows,
    n_channels,
    n_pixels,
    n_parts,
    chunk,
    INNERMOST: tl.constexpr,
    INNER: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the parts of the sums of all scales over their maps."""
    real_t: tl.constexpr = sums.dtype.element_ty
    STEP: tl.constexpr = BLOCK // INNER if INNERMOST else INNER
    o, c, exists, pixel, part = place(n_rows, n_channels, n_parts, INNERMOST, INNER, BLOCK)
    total = tl.full((BLOCK,), 0, real_t)
    for begin in range(tl.cdiv(chunk, STEP)):
        p = part * chunk + begin * STEP + pixel
        inside = both(p < n_pixels, exists)
        at = offset(o, c, p, n_channels, n_pixels, INNERMOST)
        values = ()
        for i in tl.static_range(len(scales)):
            values = values + (tl.load(scales[i] + at, inside, 0),)
        for i in tl.static_range(len(scales)):
            total += values[i].to(real_t)
    store_sums(total, sums, n_rows, n_channels, n_parts, INNERMOST, INNER)


# --- launchers ---


def mix(scales: Sequence[Tensor], weight: Tensor, source: Tensor | None) -> Tensor:
    """Return the weighed sum of the scales, each read at its source steps."""
    out = torch.empty_like(scales[0])
    n_programs, options = _cut(scales[0])
    sizes = _sizes(scales[0])
    launch(_mix, n_programs, out, tuple(scales), weight, source, *sizes, **options)
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
    s = scales[0]
    n_programs, options = _cut(s)
    dscales = [torch.empty_like(a) if needs_scales else a.new_empty(0) for a in scales]
    sums = weight.new_empty(len(scales), options["n_parts"], weight[0].numel())
    launch(
        _mix_backward,
        n_programs if needs_scales or needs_weight else 0,
        dout,
        tuple(scales),
        tuple(dscales) if needs_scales else None,
        weight,
        *((None, None) if source is None else _readers(source)),
        sums if needs_weight else None,
        *_sizes(s),
        **options,
    )
    if not needs_weight:
        return dscales, weight.new_empty(0)
    if n_programs == 0:
        return dscales, torch.zeros_like(weight)
    return dscales, sums.sum(1).reshape(weight.shape)


def mean(scales: Sequence[Tensor]) -> Tensor:
    """Return the mean over the map of the sum of the scales."""
    s = scales[0]
    n_steps, n_samples, n_channels, n_pixels = _sizes(s)
    n_programs, options = _cut(s)
    n_maps = n_steps * n_samples * n_channels
    sums = s.new_empty(options["n_parts"], n_maps, dtype=compute_dtype(s.dtype))
    if n_pixels == 0:
        return s.new_full(s.shape[:3], math.nan)
    sizes = n_steps * n_samples, n_channels, n_pixels
    launch(_mean, n_programs, sums, tuple(scales), *sizes, **options)
    return (sums.sum(0) / n_pixels).to(s.dtype).reshape(s.shape[:3])


def _readers(source: Tensor) -> tuple[Tensor, Tensor]:
    """Return the steps sorted by what they read, and where those that read each step begin."""
    order = torch.sort(source, dim=1, stable=True).indices
    steps = torch.arange(source.shape[1] + 1, device=source.device)
    # of the sources (n, T, C), how many lie before each step
    begins = (source[:, None] < steps[:, None, None]).sum(2)
    return order.contiguous(), begins.contiguous()


def _sizes(s: Tensor) -> tuple[int, int, int, int]:
    """Return the numbers of steps, samples, channels and pixels."""
    return s.shape[0], s.shape[1], s.shape[2], math.prod(s.shape[3:])


def _cut(s: Tensor) -> tuple[int, dict[str, Any]]:
    """Return the number of programs, and how they share the maps."""
    n_steps, n_samples, n_channels, n_pixels = _sizes(s)
    innermost = has_channels_innermost(s)
    per_thread = VECTOR_BYTES // s.dtype.itemsize
    if innermost:  # 8 channels with weights and readers of their own do not fit into the registers
        per_thread = min(per_thread, 4)
    block = THREADS * per_thread
    length = min(n_channels, CHANNELS) if innermost else n_pixels
    inner = min(block, triton.next_power_of_2(max(1, length)))
    n_rows = n_steps * n_samples
    if innermost:
        n_programs, step = n_rows * triton.cdiv(n_channels, inner), block // inner
    else:
        n_programs, step = triton.cdiv(n_rows * n_channels, block // inner), inner
    n_blocks = max(1, triton.cdiv(n_pixels, step))
    n_parts = min(n_blocks, triton.cdiv(MANY_PROGRAMS, max(1, n_programs)))
    chunk = triton.cdiv(n_blocks, n_parts) * step
    n_parts = max(1, triton.cdiv(n_pixels, chunk))
    options = {
        "n_parts": n_parts,
        "chunk": chunk,
        "INNERMOST": innermost,
        "INNER": inner,
        "BLOCK": block,
        "num_warps": THREADS // 32,
    }
    return n_programs * n_parts if n_pixels else 0, options
