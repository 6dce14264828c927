"""Diagonal state space models step by step for the CPU: modes in registers, channels in lanes.

A piece of work is a sample and a vector of channels, taken in chunks of time that stay in the first
cache; for each chunk, a few modes at once run through it. The backward pass keeps the modes at the
beginning of each chunk, and runs through the chunk once more.

Modes lie packed, (..., block of channels, mode, real or imaginary part, lane), filled up with
zeros; so do their gradients. `c` comes doubled: a mode stands for two conjugates.

The names in capitals, `real` and those of `_modes_numba` are compile-time constants.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from .._compile_numba import specialize
from .._modes_numba import GROUP as MODES_AT_ONCE
from .._modes_numba import make_advance, make_record, make_retreat
from .._threads import parallel_for
from .._tile_numba import make_read, n_lanes
from ._memory import empty_dense, numpy_dtype

# Bound by `specialize`; the values here only tell the linter that the names exist.
LANES, PAIR, GROUP = 16, 32, 2
real = read = advance = record = retreat = None

CHUNK = 64  # steps, whose modes fill half of the first cache
N_PARTS = 16  # the least number of pieces of work for threads, if there are enough samples
GRAIN = 2**18  # modes times steps, below 1 ms: for less, a second thread costs too much


# --- templates ---


def take(x, lay, item, start, n, tile):
    """Copy a chunk of a piece of `x`, (T, N, H), filled up with zeros."""
    n_blocks, n_channels, step = lay
    sample, block = divmod(item, n_blocks)
    width = min(LANES, n_channels - block * LANES)
    at = start * step + sample * n_channels + block * LANES
    for i in range(0, n * LANES, LANES):
        if width == LANES:
            read(x, at, tile, i)
        else:
            for lane in range(width):
                tile[i + lane] = x[at + lane]
            for lane in range(width, LANES):
                tile[i + lane] = real(0)
        at += step


def give(tile, y, lay, item, start, n):
    """Copy a chunk of a piece to `y`, (T, N, H)."""
    n_blocks, n_channels, step = lay
    sample, block = divmod(item, n_blocks)
    width = min(LANES, n_channels - block * LANES)
    at = start * step + sample * n_channels + block * LANES
    for i in range(0, n * LANES, LANES):
        if width == LANES:
            read(tile, i, y, at)
        else:
            for lane in range(width):
                y[at + lane] = tile[i + lane]
        at += step


def run_chunk(x, n, d, c, at, n_modes, s, s_at, y):
    """Run all modes of a piece over a chunk."""
    for i in range(0, n_modes * PAIR, GROUP * PAIR):
        advance(x, 0, n, d, at + i, c, at + i, s, s_at + i, y, 0, i > 0)


def _forward(x, d, c, s, y, lay, n_steps, n_modes, first, last):
    """Write pieces first..last of `y`, and bring their modes to the last step."""
    x_tile = np.empty(CHUNK * LANES, real)
    y_tile = np.empty(CHUNK * LANES, real)
    n_numbers = n_modes * PAIR
    for item in range(first, last):
        at = item % lay[0] * n_numbers
        for start in range(0, n_steps, CHUNK):
            n = min(CHUNK, n_steps - start)
            take(x, lay, item, start, n, x_tile)
            run_chunk(x_tile, n, d, c, at, n_modes, s, item * n_numbers, y_tile)
            give(y_tile, y, lay, item, start, n)


def _backward(x, dy, d, c, s, ds, dd, dc, dx, lay, sizes, first, last):
    """Write pieces first..last of `dx`, take `ds` to the first step, and add to `dd` and `dc`."""
    n_steps, n_samples, n_modes, n_parts = sizes
    n_numbers = n_modes * PAIR
    n_chunks = (n_steps + CHUNK - 1) // CHUNK
    kept = np.empty((n_chunks + 1) * n_numbers, real)
    states = np.empty((CHUNK + 1) * GROUP * PAIR, real)
    x_tile = np.empty(CHUNK * LANES, real)
    dy_tile = np.empty(CHUNK * LANES, real)
    dx_tile = np.empty(CHUNK * LANES, real)
    for work in range(first, last):
        part, block = divmod(work, lay[0])
        at, to = block * n_numbers, work * n_numbers
        for sample in range(n_samples * part // n_parts, n_samples * (part + 1) // n_parts):
            item = sample * lay[0] + block
            of_sample = item * n_numbers
            kept[:n_numbers] = s[of_sample : of_sample + n_numbers]
            for k in range(n_chunks - 1):
                here, then = k * n_numbers, (k + 1) * n_numbers
                kept[then : then + n_numbers] = kept[here:then]
                take(x, lay, item, k * CHUNK, CHUNK, x_tile)
                run_chunk(x_tile, CHUNK, d, c, at, n_modes, kept, then, dx_tile)
            for k in range(n_chunks - 1, -1, -1):
                start = k * CHUNK
                n = min(CHUNK, n_steps - start)
                take(x, lay, item, start, n, x_tile)
                take(dy, lay, item, start, n, dy_tile)
                for i in range(0, n_numbers, GROUP * PAIR):
                    record(x_tile, 0, n, d, at + i, kept, k * n_numbers + i, states, 0)
                    retreat(
                        *(dy_tile, 0, n, d, at + i, c, at + i, states, 0, ds, of_sample + i),
                        *(dd, to + i, dc, to + i, dx_tile, 0, i > 0),
                    )
                give(dx_tile, dx, lay, item, start, n)


# --- launchers ---


def forward(x: Tensor, decay: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return the result for `x`, (T, N, H), and the modes after the last step."""
    x = x.contiguous()
    y = empty_dense(x)
    d, c, s = pack(decay, x), pack(2 * c, x), pack(state, x)
    n_steps, n_samples, _ = x.shape
    lay, n_modes = _layout(x), d.shape[1]
    run = _kernel(_forward, numpy_dtype(x.dtype))

    def body(start: int, stop: int) -> None:
        run(flat(x), flat(d), flat(c), flat(s), flat(y), lay, n_steps, n_modes, start, stop)

    _run(body, n_samples * lay[0], x, n_modes)
    return y, unpack(s, state)


def backward(
    x: Tensor, decay: Tensor, c: Tensor, state: Tensor, dy: Tensor | None, dstate: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients to `x`, the decays, `c` and the modes before the first step."""
    x = x.contiguous()
    dy = torch.zeros_like(x) if dy is None else dy.contiguous()
    dx = empty_dense(x)
    d, twice_c, s = pack(decay, x), pack(2 * c, x), pack(state, x)
    ds = torch.zeros_like(s) if dstate is None else pack(dstate, x)
    n_steps, n_samples, _ = x.shape
    lay, n_modes = _layout(x), d.shape[1]
    n_parts = max(1, min(n_samples, N_PARTS // max(1, lay[0])))
    dd, dc = (x.new_zeros(n_parts, *d.shape) for _ in range(2))
    run = _kernel(_backward, numpy_dtype(x.dtype))

    def body(start: int, stop: int) -> None:
        arrays = [flat(a) for a in (x, dy, d, twice_c, s, ds, dd, dc, dx)]
        run(*arrays, lay, (n_steps, n_samples, n_modes, n_parts), start, stop)

    _run(body, n_parts * lay[0], x, n_modes)
    return dx, unpack(dd.sum(0), decay), 2 * unpack(dc.sum(0), c), unpack(ds, state)


def pack(z: Tensor, x: Tensor) -> Tensor:
    """Return (..., H, modes) as (..., blocks, modes, 2, lanes), in fresh memory."""
    lanes = n_lanes(numpy_dtype(x.dtype))
    n_channels, n_modes = z.shape[-2:]
    parts = torch.view_as_real(z.resolve_conj()).transpose(-3, -1)  # (..., 2, modes, H)
    parts = pad(parts, (0, -n_channels % lanes, 0, -n_modes % MODES_AT_ONCE))
    parts = parts.unflatten(-1, (-1, lanes)).movedim(-2, -4).transpose(-3, -2)
    return parts.clone(memory_format=torch.contiguous_format)


def unpack(parts: Tensor, like: Tensor) -> Tensor:
    """Undo :func:`pack`."""
    n_channels, n_modes = like.shape[-2:]
    parts = parts.transpose(-3, -2).movedim(-4, -2).flatten(-2)[..., :n_modes, :n_channels]
    return torch.view_as_complex(parts.transpose(-3, -1).contiguous())


def flat(x: Tensor) -> np.ndarray:
    """View a contiguous tensor as a flat array."""
    return x.detach().view(-1).numpy()


def _layout(x: Tensor) -> tuple[int, int, int]:
    """Return the number of blocks of channels, of channels, and the size of a step."""
    _, n_samples, n_channels = x.shape
    return -(-n_channels // n_lanes(numpy_dtype(x.dtype))), n_channels, n_samples * n_channels


def _run(body: Callable[[int, int], None], n: int, x: Tensor, n_modes: int) -> None:
    """Run `n` pieces of work on `x` with as many threads as torch uses."""
    grain = max(1, GRAIN * n // max(1, x.numel() * n_modes))
    parallel_for(body, n, grain=grain, n_threads=torch.get_num_threads())


@functools.lru_cache(maxsize=64)
def _kernel(template: Callable, dtype: np.dtype) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    return specialize(
        template,
        real=dtype.type,
        LANES=n_lanes(dtype),
        PAIR=2 * n_lanes(dtype),
        GROUP=MODES_AT_ONCE,
        CHUNK=CHUNK,
        read=make_read(dtype),
        advance=make_advance(dtype),
        record=make_record(dtype),
        retreat=make_retreat(dtype),
        take=take,
        give=give,
        run_chunk=run_chunk,
    )
