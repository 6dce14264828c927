"""Batch norm, neurons and pooling in Triton, for CUDA: fused over time and over the layers.

A program takes a block of neurons, or with pooling of windows of 2 x 2 neurons, through all steps.
Where the map is innermost in memory they are of one channel, from one map or several; where the
channel is, they are some channels of some pixels. Sums over a channel are taken by each program,
then over the programs, and so do not depend on timing.

The backward pass first runs the neurons forward, to keep their states at the start of each segment
of STEPS steps; the rows of `x` that it then reads again are still in a cache.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ._lif_triton import (
    DERIVATIVES,
    both,
    charge,
    fires,
    launch,
    per_neuron,
    reset,
    through_reset,
    to_leak,
    to_state,
)
from ._memory import compute_dtype, empty_dense
from ._norm_lif import _empty_pooled
from ._scale_mix import has_channels_innermost
from ._spec import NeuronSpec

# How a launch is cut: threads of a program, numbers that a thread takes (of 16 bytes at most; with
# pooling, one window), rows that it reads before the first is needed, and for the moments, of which
# a program may take more, how many programs fill the device.
THREADS, PER_THREAD, UNROLL, MANY_PROGRAMS = 128, 4, 8, 4096
STEPS, POOLED_STEPS = 8, 4  # of a segment; a window of each fits into the registers
CHANNELS = 128  # of a program at most, where the channel is innermost


# --- blocks ---


@triton.jit
def known_even(width, PAIRS: tl.constexpr):
    """Return the width; with PAIRS, Triton learns that a row begins where two can be read."""
    wide = tl.cast(width, tl.int64)
    if PAIRS:
        wide = wide // 2 * 2
    return wide


@triton.jit
def neighbours(n_channels, width, INNERMOST: tl.constexpr, PAIRS: tl.constexpr):
    """Return how far away in memory the pixels to the right and below are."""
    wide = known_even(width, PAIRS)
    if INNERMOST:
        beside = tl.cast(n_channels, tl.int64)
        beneath = wide * n_channels
    else:
        beside = tl.cast(1, tl.int64)
        beneath = wide
    return beside, beneath


@triton.jit
def place(
    program,
    n_outer,
    n_channels,
    height,
    width,
    POOL: tl.constexpr,
    INNERMOST: tl.constexpr,
    PAIRS: tl.constexpr,
    INNER: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Return where in a step the pixels of a program are, or the first ones of its windows.

    `INNER` of them follow each other in memory: pixels, or if these are `INNERMOST`, channels.
    The results are channel, first channel, number of the program among those that have it, offset,
    offset in the pooled step, and whether the pixel, the one right of it and the one below exist.
    """
    j = tl.arange(0, BLOCK)
    inner = j % INNER
    outer = tl.cast(j // INNER, tl.int64)
    channels = tl.cast(n_channels, tl.int64)
    wide = known_even(width, PAIRS)
    if POOL:
        columns = (width + 1) // 2
        n_windows = (height + 1) // 2 * columns
    else:
        columns = width
        n_windows = width
    if INNERMOST:
        n_tiles = tl.cdiv(n_channels, INNER)
        first = program % n_tiles * INNER
        part = program // n_tiles
        at = tl.cast(part, tl.int64) * (BLOCK // INNER) + outer
        o = at // n_windows
        w = tl.cast(at % n_windows, tl.int32)
        c = first + inner
        inside = (c < n_channels) & (o < n_outer)
    else:
        n_tiles = tl.cdiv(n_windows, INNER)
        w = program % n_tiles * INNER + inner
        rest = program // n_tiles
        first = rest % n_channels
        c = first
        part = rest // n_channels * n_tiles + program % n_tiles
        o = tl.cast(rest // n_channels, tl.int64) * (BLOCK // INNER) + outer
        at = o
        inside = (w < n_windows) & (o < n_outer)
    right = inside
    below = inside
    pooled = o
    if POOL:
        i = w // columns
        k = w % columns
        right = inside & (2 * k + 1 < width)
        below = inside & (2 * i + 1 < height)
        half = width // 2
        area = tl.cast(height // 2, tl.int64) * half
        if INNERMOST:
            offset = ((o * height + 2 * i) * wide + 2 * k) * channels + c
            pooled = (o * area + i * half + k) * channels + c
        else:
            offset = ((o * channels + c) * height + 2 * i) * wide + 2 * k
            pooled = (o * channels + c) * area + i * half + k
    elif INNERMOST:
        offset = at * channels + c
    else:
        offset = (o * channels + c) * wide + w
    return c, first, part, offset, pooled, inside, right, below


@triton.jit
def load_window(
    x, inside, right, below, there, beside, beneath, POOL: tl.constexpr, PAIRS: tl.constexpr
):
    """Return what is at the pointers `x`, and with pooling right, below, and right below of it."""
    if PAIRS:  # right is at the next address, and there wherever the left is
        pair = x[:, None] + tl.arange(0, 2)[None, :]
        a, b = tl.split(tl.load(pair, both(inside, there)[:, None], 0))
        c, d = tl.split(tl.load(pair + beneath, both(below, there)[:, None], 0))
        window = (a, b, c, d)
    elif POOL:
        a = tl.load(x, both(inside, there), 0)
        b = tl.load(x + beside, both(right, there), 0)
        c = tl.load(x + beneath, both(below, there), 0)
        d = tl.load(x + beneath + beside, both(right & below, there), 0)
        window = (a, b, c, d)
    else:
        window = (tl.load(x, both(inside, there), 0),)
    return window


@triton.jit
def store_window(
    x, window, inside, right, below, there, beside, beneath, POOL: tl.constexpr, PAIRS: tl.constexpr
):
    """Write what `load_window` would read."""
    if PAIRS:
        pair = x[:, None] + tl.arange(0, 2)[None, :]
        tl.store(pair, tl.join(window[0], window[1]), both(inside, there)[:, None])
        tl.store(pair + beneath, tl.join(window[2], window[3]), both(below, there)[:, None])
    elif POOL:
        tl.store(x, window[0], both(inside, there))
        tl.store(x + beside, window[1], both(right, there))
        tl.store(x + beneath, window[2], both(below, there))
        tl.store(x + beneath + beside, window[3], both(right & below, there))
    else:
        tl.store(x, window[0], both(inside, there))


@triton.jit
def sum_by_channel(
    values, sums, first, part, n_channels, INNERMOST: tl.constexpr, INNER: tl.constexpr
):
    """Write the sums of a block's values over each of its channels, from `first` on."""
    sums += tl.cast(part, tl.int64) * n_channels + first
    values = values.to(tl.float64)
    if INNERMOST:
        rows: tl.constexpr = values.shape[0] // INNER
        channel = tl.arange(0, INNER)
        total = tl.sum(tl.reshape(values, (rows, INNER)), axis=0)
        tl.store(sums + channel, total, first + channel < n_channels)
    else:
        tl.store(sums, tl.sum(values))


@triton.jit
def step(
    y, v, k, threshold, v_rest, CHARGE: tl.constexpr, HARD_RESET: tl.constexpr, STRICT: tl.constexpr
):
    """Return the potential before reset, whether it fires, and the potential after."""
    h = charge(y, v, k, v_rest, CHARGE)
    fired = fires(h, threshold, STRICT)
    return h, fired, reset(h, fired, threshold, v_rest, HARD_RESET)


# --- kernels ---


@triton.jit(do_not_specialize=["n_outer", "n_parts"])
def _moments(
    x,
    centre,
    sum_1,
    sum_2,
    n_outer,
    n_channels,
    n_pixels,
    n_parts,
    INNERMOST: tl.constexpr,
    INNER: tl.constexpr,
    UNROLL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the sums of x - centre and of its square over parts of the channels."""
    real_t: tl.constexpr = centre.dtype.element_ty
    program = tl.program_id(0)
    outer = tl.arange(0, BLOCK) // INNER
    inner = tl.arange(0, BLOCK) % INNER
    n_tiles = tl.cdiv(n_channels if INNERMOST else n_pixels, INNER)
    tile = program % n_tiles
    rest = program // n_tiles
    if INNERMOST:
        first = tile * INNER
        c = first + inner
        part = rest
        share = rest
        inside = c < n_channels
        apart = tl.cast(n_channels, tl.int64)
        x += c
    else:
        first = rest % n_channels
        c = first
        share = rest // n_channels
        part = share * n_tiles + tile
        pixel = tile * INNER + inner
        inside = pixel < n_pixels
        apart = tl.cast(n_channels, tl.int64) * n_pixels
        x += tl.cast(c, tl.int64) * n_pixels + pixel
    middle = tl.load(centre + c, c < n_channels, 0)
    total_1 = tl.full((BLOCK,), 0, tl.float64)
    total_2 = tl.full((BLOCK,), 0, tl.float64)
    size = tl.cast(BLOCK // INNER, tl.int64)
    stride = size * n_parts
    for begin in range(tl.cdiv(n_outer, stride * UNROLL)):
        o = tl.cast(begin, tl.int64) * UNROLL * stride + share * size + outer
        xs = ()
        for i in tl.static_range(UNROLL):
            row = o + i * stride
            xs = xs + (tl.load(x + row * apart, inside & (row < n_outer), 0),)
        # a few numbers are added up in their own precision, then in float64
        part_1 = tl.full((BLOCK,), 0, real_t)
        part_2 = tl.full((BLOCK,), 0, real_t)
        for i in tl.static_range(UNROLL):
            exists = inside & (o + i * stride < n_outer)
            d = tl.where(exists, xs[i].to(real_t) - middle, 0)
            part_1 += d
            part_2 += d * d
        total_1 += part_1
        total_2 += part_2
    sum_by_channel(total_1, sum_1, first, part, n_channels, INNERMOST, INNER)
    sum_by_channel(total_2, sum_2, first, part, n_channels, INNERMOST, INNER)


@triton.jit(do_not_specialize=["n_steps", "n_outer"])
def _forward(
    x,
    scale,
    shift,
    leak,
    v0,
    s,
    v_last,
    threshold: tl.float64,
    v_rest: tl.float64,
    n_steps,
    n_outer,
    n_channels,
    height,
    width,
    n_neurons,
    n_pooled,
    CHARGE: tl.constexpr,
    HARD_RESET: tl.constexpr,
    STRICT: tl.constexpr,
    POOL: tl.constexpr,
    INNERMOST: tl.constexpr,
    PAIRS: tl.constexpr,
    INNER: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the (pooled) spikes and the last states of a block."""
    real_t: tl.constexpr = v_last.dtype.element_ty
    Q: tl.constexpr = 1 if POOL == "none" else 4
    WINDOWS: tl.constexpr = POOL != "none"
    threshold = tl.full((), threshold, real_t)
    v_rest = tl.full((), v_rest, real_t)
    c, _first, _part, offset, pooled, inside, right, below = place(
        tl.program_id(0),
        n_outer,
        n_channels,
        height,
        width,
        WINDOWS,
        INNERMOST,
        PAIRS,
        INNER,
        BLOCK,
    )
    beside, beneath = neighbours(n_channels, width, INNERMOST, PAIRS)
    factor = tl.load(scale + c, c < n_channels, 0)
    addend = tl.load(shift + c, c < n_channels, 0)
    k = tl.load(leak)
    always = n_steps > 0
    rest = tl.full((BLOCK,), 0, real_t) + v_rest
    v = (rest,) if Q == 1 else (rest, rest, rest, rest)
    if v0 is not None:
        v = load_window(v0 + offset, inside, right, below, always, beside, beneath, WINDOWS, PAIRS)
    for segment in range((n_steps + STEPS - 1) // STEPS):
        t = tl.cast(segment * STEPS, tl.int64)
        xs = ()
        for i in tl.static_range(STEPS):
            top = x + (t + i) * n_neurons + offset
            xs = xs + load_window(
                top, inside, right, below, t + i < n_steps, beside, beneath, WINDOWS, PAIRS
            )
        for i in tl.static_range(STEPS):
            there = t + i < n_steps
            total = tl.full((BLOCK,), 0, real_t)
            after = ()
            for q in tl.static_range(Q):
                y = xs[i * Q + q].to(real_t) * factor + addend
                _h, fired, v_q = step(y, v[q], k, threshold, v_rest, CHARGE, HARD_RESET, STRICT)
                total += fired.to(real_t)
                after = after + (tl.where(there, v_q, v[q]),)
            v = after
            if POOL == "max":
                total = (total > 0).to(real_t)
            elif POOL == "avg":
                total = total * 0.25
            out = s + (t + i) * n_pooled + (pooled if WINDOWS else offset)
            tl.store(out, total.to(s.dtype.element_ty), both(right & below, there))
    store_window(v_last + offset, v, inside, right, below, always, beside, beneath, WINDOWS, PAIRS)


@triton.jit(do_not_specialize=["n_steps", "n_outer"])
def _backward(
    x,
    scale,
    shift,
    mean,
    leak,
    v0,
    ds,
    dv_last,
    kept,
    dy,
    dv_first,
    sum_dy,
    sum_dy_x,
    dleak,
    threshold: tl.float64,
    v_rest: tl.float64,
    alpha: tl.float64,
    n_steps,
    n_outer,
    n_channels,
    height,
    width,
    n_neurons,
    n_pooled,
    CHARGE: tl.constexpr,
    HARD_RESET: tl.constexpr,
    STRICT: tl.constexpr,
    DETACH_RESET: tl.constexpr,
    DERIVATIVE: tl.constexpr,
    FIXED: tl.constexpr,
    POOL: tl.constexpr,
    INNERMOST: tl.constexpr,
    PAIRS: tl.constexpr,
    INNER: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the gradients to the current and the first states of a block, and its sums."""
    real_t: tl.constexpr = dv_first.dtype.element_ty
    Q: tl.constexpr = 1 if POOL == "none" else 4
    WINDOWS: tl.constexpr = POOL != "none"
    threshold = tl.full((), threshold, real_t)
    v_rest = tl.full((), v_rest, real_t)
    alpha = tl.full((), alpha, real_t)
    c, first, part, offset, pooled, inside, right, below = place(
        tl.program_id(0),
        n_outer,
        n_channels,
        height,
        width,
        WINDOWS,
        INNERMOST,
        PAIRS,
        INNER,
        BLOCK,
    )
    beside, beneath = neighbours(n_channels, width, INNERMOST, PAIRS)
    factor = tl.load(scale + c, c < n_channels, 0)
    addend = tl.load(shift + c, c < n_channels, 0)
    middle = tl.load(mean + c, c < n_channels, 0)
    k = tl.load(leak)
    always = n_steps > 0
    zero = tl.full((BLOCK,), 0, real_t)
    rest = zero + v_rest
    v = (rest,) if Q == 1 else (rest, rest, rest, rest)
    if v0 is not None:
        v = load_window(v0 + offset, inside, right, below, always, beside, beneath, WINDOWS, PAIRS)
    start = v

    # forward, for the states at the start of each segment
    n_segments = (n_steps + STEPS - 1) // STEPS
    for early in range(n_segments - 1):
        t = tl.cast(early * STEPS, tl.int64)
        xs = ()
        for i in tl.static_range(STEPS):
            top = x + (t + i) * n_neurons + offset
            xs = xs + load_window(
                top, inside, right, below, always, beside, beneath, WINDOWS, PAIRS
            )
        for i in tl.static_range(STEPS):
            after = ()
            for q in tl.static_range(Q):
                y = xs[i * Q + q].to(real_t) * factor + addend
                h, fired, v_q = step(y, v[q], k, threshold, v_rest, CHARGE, HARD_RESET, STRICT)
                after = after + (v_q,)
            v = after
        state = kept + tl.cast(early, tl.int64) * n_neurons + offset
        store_window(state, v, inside, right, below, always, beside, beneath, WINDOWS, PAIRS)
    tl.debug_barrier()  # what one thread wrote, another may read

    dv = (zero,) if Q == 1 else (zero, zero, zero, zero)
    if dv_last is not None:
        dv = load_window(
            dv_last + offset, inside, right, below, always, beside, beneath, WINDOWS, PAIRS
        )
    total = zero
    total_x = zero
    total_leak = zero
    for back in range(n_segments):
        segment = tl.cast(n_segments - 1 - back, tl.int64)
        t = segment * STEPS
        xs = ()
        dss = ()
        for i in tl.static_range(STEPS):
            there = t + i < n_steps
            top = x + (t + i) * n_neurons + offset
            xs = xs + load_window(top, inside, right, below, there, beside, beneath, WINDOWS, PAIRS)
        for i in tl.static_range(STEPS):
            out = ds + (t + i) * n_pooled + (pooled if WINDOWS else offset)
            dss = dss + (tl.load(out, both(right & below, t + i < n_steps), 0),)
        state = kept + (segment - 1) * n_neurons + offset
        held = load_window(
            state, inside, right, below, segment > 0, beside, beneath, WINDOWS, PAIRS
        )
        v = ()
        for q in tl.static_range(Q):
            v = v + (tl.where(segment > 0, held[q], start[q]),)
        before = v

        # potentials; those after the last step are never used
        hs = ()
        for i in tl.static_range(STEPS):
            after = ()
            for q in tl.static_range(Q):
                y = xs[i * Q + q].to(real_t) * factor + addend
                h, fired, v_q = step(y, v[q], k, threshold, v_rest, CHARGE, HARD_RESET, STRICT)
                hs = hs + (h,)
                after = after + (v_q,)
            v = after

        for i in tl.static_range(STEPS - 1, -1, -1):
            there = t + i < n_steps
            whole = dss[i].to(real_t)
            if POOL == "avg":
                whole = whole * 0.25
            window = ()
            after = ()
            if POOL == "max":
                other = fires(hs[i * 4 + 1], threshold, STRICT)
                for q in tl.static_range(2, 4):
                    other = other | fires(hs[i * 4 + q], threshold, STRICT)
            for q in tl.static_range(Q):
                h = hs[i * Q + q]
                fired = fires(h, threshold, STRICT)
                to_spike = whole
                if (
                    POOL == "max"
                ):  # its gradient is that of the first that fires, or if none the first
                    if q == 0:
                        mine = fired | (other == 0)
                        earlier = fired
                    else:
                        mine = fired & (earlier == 0)
                        earlier = earlier | fired
                    to_spike = tl.where(mine, whole, 0)
                if not DETACH_RESET:
                    to_spike += through_reset(h, dv[q], threshold, v_rest, HARD_RESET)
                du = to_spike * DERIVATIVE(h - threshold, h, alpha)
                dh = du + (tl.where(fired, 0, dv[q]) if HARD_RESET else dv[q])
                dh = tl.where(there, dh, 0)
                d = dh * k if CHARGE == "decay_input" else dh
                value = xs[i * Q + q].to(real_t)
                total += d
                total_x += d * (value - middle)
                window = window + ((d * factor if FIXED else d).to(dy.dtype.element_ty),)
                if dleak is not None:
                    v_q = before[q]
                    if i > 0:
                        h = hs[(i - 1) * Q + q]
                        fired = fires(h, threshold, STRICT)
                        v_q = reset(h, fired, threshold, v_rest, HARD_RESET)
                    y = value * factor + addend
                    total_leak += to_leak(dh, y, v_q, v_rest, CHARGE)
                after = after + (tl.where(there, to_state(dh, k, CHARGE), dv[q]),)
            dv = after
            top = dy + (t + i) * n_neurons + offset
            store_window(top, window, inside, right, below, there, beside, beneath, WINDOWS, PAIRS)

    store_window(
        dv_first + offset, dv, inside, right, below, always, beside, beneath, WINDOWS, PAIRS
    )
    sum_by_channel(total, sum_dy, first, part, n_channels, INNERMOST, INNER)
    sum_by_channel(total_x, sum_dy_x, first, part, n_channels, INNERMOST, INNER)
    if dleak is not None:
        tl.store(dleak + tl.program_id(0), tl.sum(total_leak.to(tl.float64)))


@triton.jit(do_not_specialize=["n_outer"])
def _finish(
    x,
    dy,
    a,
    b,
    c,
    mean,
    n_outer,
    n_channels,
    n_pixels,
    INNERMOST: tl.constexpr,
    INNER: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Overwrite `dy` with the gradient to `x`."""
    real_t: tl.constexpr = a.dtype.element_ty
    channel, _, _, offset, _, inside, _, _ = place(
        tl.program_id(0), n_outer, n_channels, 1, n_pixels, False, INNERMOST, False, INNER, BLOCK
    )
    exists = channel < n_channels
    d = tl.load(dy + offset, inside, 0).to(real_t)
    centred = tl.load(x + offset, inside, 0).to(real_t) - tl.load(mean + channel, exists, 0)
    dx = tl.load(a + channel, exists, 0) * d + tl.load(b + channel, exists, 0) * centred
    dx += tl.load(c + channel, exists, 0)
    tl.store(dy + offset, dx.to(dy.dtype.element_ty), inside)


# --- launchers ---


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance of each channel."""
    n_channels = x.shape[2]
    n = x.numel() // max(1, n_channels)
    if n == 0:
        return (x.new_full((n_channels,), math.nan, dtype=torch.float64),) * 2
    # Numbers near their mean: squares of larger ones would cancel
    centre = x[0, 0].reshape(n_channels, -1)[:, 0].to(compute_dtype(x.dtype)).contiguous()
    cut = _cut(x, x.shape[0] * x.shape[1], PER_THREAD)
    n_tiles, by_channel = cut.pop("n_tiles"), 1 if cut["INNERMOST"] else n_channels
    most = triton.cdiv(cut.pop("n_parts"), UNROLL)
    n_parts = min(most, triton.cdiv(MANY_PROGRAMS, n_tiles * by_channel))
    sums = centre.new_empty(
        (2, n_parts * (1 if cut["INNERMOST"] else n_tiles), n_channels), dtype=torch.float64
    )
    n_programs = n_tiles * by_channel * n_parts
    n_pixels = cut.pop("width")
    launch(
        _moments,
        n_programs,
        x,
        centre,
        *sums,
        **cut,
        n_channels=n_channels,
        n_pixels=n_pixels,
        n_parts=n_parts,
        UNROLL=UNROLL,
        num_warps=THREADS // 32,
    )
    first, second = sums.sum(1) / n
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
    s = _empty_pooled(x, pool)
    v_last = empty_dense(x[0], compute_dtype(x.dtype))
    n_programs, _, options = _options(x, s, spec, pool)
    launch(
        _forward,
        n_programs,
        x,
        scale.contiguous(),
        shift.contiguous(),
        leak,
        per_neuron(v, v_last),
        s,
        v_last,
        spec.threshold,
        spec.v_rest,
        **options,
    )
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
    dv_first = empty_dense(x[0], compute_dtype(x.dtype))
    ds = _pooled_layout(ds, x, pool)
    n_programs, n_parts, options = _options(x, ds, spec, pool)
    sums = torch.zeros if n_programs == 0 else torch.empty
    shape = max(1, n_parts), x.shape[2]
    sum_dy, sum_dy_x = sums((2, *shape), dtype=torch.float64, device=x.device)
    dleak = sums(max(1, n_programs), dtype=torch.float64, device=x.device) if learn_leak else None
    n_kept = triton.cdiv(x.shape[0], options["STEPS"]) - 1
    launch(
        _backward,
        n_programs,
        x,
        scale.contiguous(),
        shift.contiguous(),
        mean.contiguous(),
        leak,
        per_neuron(v, dv_first),
        ds,
        per_neuron(dv, dv_first),
        dv_first.new_empty(n_kept * dv_first.numel()),
        dy,
        dv_first,
        sum_dy,
        sum_dy_x,
        dleak,
        spec.threshold,
        spec.v_rest,
        spec.alpha,
        **options,
        DETACH_RESET=spec.detach_reset,
        DERIVATIVE=DERIVATIVES[spec.surrogate],
        FIXED=fixed,
    )
    to_leak = leak.new_empty(0)
    if dleak is not None:
        to_leak = dleak.sum().to(leak.dtype).reshape(leak.shape)
    return dy, dv_first, to_leak, sum_dy.sum(0), sum_dy_x.sum(0)


def norm_backward(x: Tensor, dy: Tensor, a: Tensor, b: Tensor, c: Tensor, mean: Tensor) -> Tensor:
    """Return ``a dy + b (x - mean) + c``, written over `dy`."""
    cut = _cut(x, x.shape[0] * x.shape[1], PER_THREAD)
    n_tiles, n_parts, n_pixels = cut.pop("n_tiles"), cut.pop("n_parts"), cut.pop("width")
    n_programs = n_tiles * n_parts * (1 if cut["INNERMOST"] else x.shape[2])
    coefficients = (value.contiguous() for value in (a, b, c, mean))
    sizes = {"n_channels": x.shape[2], "n_pixels": n_pixels}
    launch(_finish, n_programs, x, dy, *coefficients, **cut, **sizes, num_warps=THREADS // 32)
    return dy


def _pooled_layout(ds: Tensor | None, x: Tensor, pool: str) -> Tensor:
    """Return the gradient to the spikes in the layout that these have."""
    abstract = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")
    if ds is not None and ds.stride() == _empty_pooled(abstract, pool).stride():
        return ds
    fresh = _empty_pooled(x, pool)
    return fresh.zero_() if ds is None else fresh.copy_(ds)


def _cut(x: Tensor, n_maps: int, per_thread: int, pool: str = "none") -> dict[str, Any]:
    """Return how `n_maps` maps of all channels of `x` are cut into blocks; see `place`."""
    innermost = has_channels_innermost(x)
    block = THREADS * min(per_thread, 16 // compute_dtype(x.dtype).itemsize)
    n_pixels = math.prod(x.shape[3:])
    n_windows, n_outer, width = n_pixels, n_maps, n_pixels
    if pool != "none":
        height, width = x.shape[3:]
        n_windows = (height + 1) // 2 * ((width + 1) // 2)
    n_rows = n_maps * n_windows if innermost else n_maps
    if innermost and pool == "none":
        n_outer, width = n_rows, 1
    length = x.shape[2] if innermost else n_windows
    inner = min(block, triton.next_power_of_2(max(1, length)), CHANNELS if innermost else block)
    return {
        "n_outer": n_outer,
        "n_tiles": triton.cdiv(length, inner),
        "n_parts": triton.cdiv(n_rows, block // inner),
        "width": width,
        "INNERMOST": innermost,
        "INNER": inner,
        "BLOCK": block,
    }


def _options(x: Tensor, s: Tensor, spec: NeuronSpec, pool: str) -> tuple[int, int, dict[str, Any]]:
    """Return the number of programs, of those that share a channel, and what both passes take."""
    cut = _cut(x, x.shape[1], PER_THREAD if pool == "none" else 1, pool)
    n_tiles, n_parts = cut.pop("n_tiles"), cut.pop("n_parts")
    n_programs = n_tiles * n_parts * (1 if cut["INNERMOST"] else x.shape[2])
    if not cut["INNERMOST"]:
        n_parts *= n_tiles
    if x.numel() == 0:
        n_programs = 0
    options = cut | {
        "n_steps": x.shape[0],
        "n_channels": x.shape[2],
        "height": 1 if pool == "none" else x.shape[3],
        "n_neurons": math.prod(x.shape[1:]),
        "n_pooled": math.prod(s.shape[1:]),
        "CHARGE": spec.charge,
        "HARD_RESET": spec.v_reset is not None,
        "STRICT": spec.strict,
        "POOL": pool,
        "PAIRS": pool != "none" and x.shape[4] % 2 == 0 and not cut["INNERMOST"],
        "STEPS": STEPS if pool == "none" else POOLED_STEPS,
        "num_warps": THREADS // 32,
    }
    return n_programs, n_parts, options
