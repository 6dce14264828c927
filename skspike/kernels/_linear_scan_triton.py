"""Diagonal state space models step by step in Triton, for CUDA: modes in registers.

A program takes a sample and as many channels as a warp has threads through all steps; each thread
has a few modes of a channel. The backward pass keeps the modes every so many steps, and runs
through those steps once more. Modes lie as (real or imaginary part, ..., mode, channel), so that
threads read neighbours.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ._lif_triton import launch

CHANNELS = 32  # one for each thread of a warp
MODE_BYTES = 64  # of a thread's modes: with what the backward pass adds up, they fill its registers


# --- what kernels share ---


@triton.jit
def place(n_channels, n_modes, MODES: tl.constexpr, BLOCK: tl.constexpr):
    """Return the sample, the channels, where their modes are, and which of both exist."""
    n_blocks = tl.cdiv(n_channels, BLOCK)
    sample = tl.cast(tl.program_id(0) // n_blocks, tl.int64)
    h = tl.program_id(0) % n_blocks * BLOCK + tl.arange(0, BLOCK)
    m = tl.arange(0, MODES)
    at = m[:, None] * n_channels + h[None, :]
    return sample, h, at, h < n_channels, (m < n_modes)[:, None] & (h < n_channels)[None, :]


@triton.jit
def load(z, at, size, inside):
    """Load complex numbers, whose parts are `size` apart."""
    return tl.load(z + at, inside, 0), tl.load(z + size + at, inside, 0)


@triton.jit
def store(z, at, size, inside, re, im):
    """Store complex numbers."""
    tl.store(z + at, re, inside)
    tl.store(z + size + at, im, inside)


@triton.jit
def step(x_t, d_re, d_im, re, im):
    """Return the modes after a step."""
    return d_re * re - d_im * im + x_t[None, :], d_re * im + d_im * re


# --- kernels ---


@triton.jit(do_not_specialize=["n_steps", "n_samples"])
def _forward(
    x,
    d,
    c,
    s,
    y,
    last,
    n_steps,
    n_samples,
    n_channels,
    n_modes,
    MODES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the results, and the modes after the last step."""
    sample, h, at, exists, inside = place(n_channels, n_modes, MODES, BLOCK)
    n_numbers = tl.cast(n_modes * n_channels, tl.int64)
    of_sample = sample * n_numbers + at
    d_re, d_im = load(d, at, n_numbers, inside)
    c_re, c_im = load(c, at, n_numbers, inside)
    re, im = load(s, of_sample, n_samples * n_numbers, inside)
    row = sample * n_channels + h
    for _ in range(n_steps):
        x_t = tl.load(x + row, exists, 0)
        re, im = step(x_t, d_re, d_im, re, im)
        tl.store(y + row, 2 * tl.sum(c_re * re - c_im * im, axis=0), exists)
        row += tl.cast(n_samples, tl.int64) * n_channels
    store(last, of_sample, n_samples * n_numbers, inside, re, im)


@triton.jit(do_not_specialize=["n_steps", "n_samples", "length"])
def _backward(
    x,
    dy,
    d,
    c,
    s,
    ds,
    dx,
    first_ds,
    dd,
    dc,
    kept,
    states,
    n_steps,
    n_samples,
    length,
    n_channels,
    n_modes,
    MODES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the gradients to `x` and the first modes, and those of each sample to `d` and `c`.

    Segments have `length` steps. `kept` holds the modes before each, `states` those of one.
    """
    sample, h, at, exists, inside = place(n_channels, n_modes, MODES, BLOCK)
    n_numbers = tl.cast(n_modes * n_channels, tl.int64)
    of_sample = sample * n_numbers + at
    size = n_samples * n_numbers
    stride = tl.cast(n_samples, tl.int64) * n_channels
    row = sample * n_channels + h
    d_re, d_im = load(d, at, n_numbers, inside)
    c_re, c_im = load(c, at, n_numbers, inside)

    re, im = load(s, of_sample, size, inside)
    n_segments = (n_steps + length - 1) // length
    for k in range(n_segments):
        store(kept + tl.cast(k, tl.int64) * 2 * size, of_sample, size, inside, re, im)
        if k < n_segments - 1:
            for i in range(length):
                t = tl.cast(k, tl.int64) * length + i
                re, im = step(tl.load(x + t * stride + row, exists, 0), d_re, d_im, re, im)

    g_re, g_im = load(ds, of_sample, size, inside)
    dd_re, dd_im = tl.zeros_like(d_re), tl.zeros_like(d_re)
    dc_re, dc_im = tl.zeros_like(d_re), tl.zeros_like(d_re)
    for back in range(n_segments):
        segment = tl.cast(n_segments - 1 - back, tl.int64)
        first = segment * length
        n = tl.minimum(n_steps - first, length)
        tl.debug_barrier()  # other threads may have written what is read here
        re, im = load(kept + segment * 2 * size, of_sample, size, inside)
        store(states, of_sample, size, inside, re, im)
        for i in range(n):
            x_t = tl.load(x + (first + i) * stride + row, exists, 0)
            re, im = step(x_t, d_re, d_im, re, im)
            after = states + (tl.cast(i, tl.int64) + 1) * 2 * size
            store(after, of_sample, size, inside, re, im)
        tl.debug_barrier()
        for j in range(n):
            u = tl.cast(n - 1 - j, tl.int64)
            dy_t = 2 * tl.load(dy + (first + u) * stride + row, exists, 0)[None, :]
            before_re, before_im = load(states + u * 2 * size, of_sample, size, inside)
            dc_re += re * dy_t
            dc_im -= im * dy_t
            g_re += c_re * dy_t
            g_im -= c_im * dy_t
            tl.store(dx + (first + u) * stride + row, tl.sum(g_re, axis=0), exists)
            dd_re += before_re * g_re + before_im * g_im
            dd_im += before_re * g_im - before_im * g_re
            g_re, g_im = d_re * g_re + d_im * g_im, d_re * g_im - d_im * g_re
            re, im = before_re, before_im

    store(first_ds, of_sample, size, inside, g_re, g_im)
    store(dd, of_sample, size, inside, dd_re, dd_im)
    store(dc, of_sample, size, inside, dc_re, dc_im)


# --- launchers ---


def forward(x: Tensor, decay: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return the result for `x`, (T, N, H), and the modes after the last step."""
    x, s = x.contiguous(), pack(state)
    y, last = torch.empty_like(x), torch.empty_like(s)
    n_programs, sizes, options = _cut(x, decay)
    tensors = x, pack(decay), pack(c), s, y, last
    launch(_forward, n_programs, *tensors, len(x), *sizes, **options)
    return y, unpack(last)


def backward(
    x: Tensor, decay: Tensor, c: Tensor, state: Tensor, dy: Tensor | None, dstate: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients to `x`, the decays, `c` and the modes before the first step."""
    x, s = x.contiguous(), pack(state)
    dy = torch.zeros_like(x) if dy is None else dy.contiguous()
    ds = torch.zeros_like(s) if dstate is None else pack(dstate)
    dx = torch.empty_like(x)
    first_ds, dd, dc = (torch.empty_like(s) for _ in range(3))
    length = math.isqrt(len(x) - 1) + 1
    kept = s.new_empty(-(-len(x) // length), *s.shape)
    states = s.new_empty(length + 1, *s.shape)
    n_programs, (n_samples, *sizes), options = _cut(x, decay)
    inputs = x, dy, pack(decay), pack(c), s, ds
    outputs = dx, first_ds, dd, dc, kept, states
    launch(_backward, n_programs, *inputs, *outputs, len(x), n_samples, length, *sizes, **options)
    return dx, unpack(dd.sum(1)), unpack(dc.sum(1)), unpack(first_ds)


def pack(z: Tensor) -> Tensor:
    """Return (..., H, modes) as (2, ..., modes, H)."""
    return torch.view_as_real(z.resolve_conj()).movedim(-1, 0).transpose(-1, -2).contiguous()


def unpack(parts: Tensor) -> Tensor:
    """Undo :func:`pack`."""
    return torch.view_as_complex(parts.transpose(-1, -2).movedim(0, -1).contiguous())


def _cut(x: Tensor, decay: Tensor) -> tuple[int, tuple[int, int, int], dict[str, Any]]:
    """Return the number of programs, the sizes, and how they are cut."""
    _, n_samples, n_channels = x.shape
    n_modes = decay.shape[1]
    n_programs = n_samples * triton.cdiv(n_channels, CHANNELS)
    modes = triton.next_power_of_2(max(1, n_modes))
    warps = min(16, max(1, modes * decay.element_size() // MODE_BYTES))
    options = {"MODES": modes, "BLOCK": CHANNELS, "num_warps": warps}
    return n_programs, (n_samples, n_channels, n_modes), options
