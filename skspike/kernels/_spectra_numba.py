"""Two-dimensional Fourier transforms of maps, and products of their spectra, compiled for the CPU.

The transforms are so short that a product with a matrix of cosines and sines serves any length at
the speed of the processor. What is even about the center of a tile needs the cosines only, what is
odd the sines, and both serve a frequency and its mirror image: a third of the multiplications.
Channels fill the lanes of the vector registers.

A spectrum is a flat array over (frequency, block of channels, row, real or imaginary part, lane),
where a row is one tile of one map. A compact one has both parts, in bfloat16, in 32 bits a lane.
Real maps need half of the frequencies: columns v up to half of the width, and in those columns that
are their own mirror image (the first, and the middle one if the width is even) rows u up to half of
the height.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._buffers import aligned
from .._compile_numba import specialize
from .._floats_numba import load_bfloat16, same, store_bfloat16
from .._threads import parallel_for
from .._tile_numba import (
    make_butterfly,
    make_put,
    make_read,
    make_tile,
    make_write,
    n_lanes,
    n_real_rows,
    n_rows,
)
from ._memory import compute_dtype, numpy_dtype
from ._spectra_tables import Grid, Tiling, inverse_turns, round_up, turns

# Bound by `specialize`; the values here only tell the linter that the names exist.
LANES, ROWS, PAIR, WIDTH = 16, 8, 32, 32
real = load = store = read = write = tile = split = split_ahead = add_split = put = None

COMPACT = np.dtype(np.uint32)  # two bfloat16

GRAIN = 2**21  # multiplications, below 1 ms: for less, a second thread costs more than it brings


# --- templates ---


def read_map(x, lay, m, block, to):
    """Copy a block of channels of map `m` of `x`, (M, H * W, C), filled up with zeros."""
    n_pixels, n_channels, map_step, pixel_step, channel_step = lay
    channel = block * LANES
    n = min(LANES, n_channels - channel)
    at = m * map_step + channel * channel_step
    for i in range(0, n_pixels * LANES, LANES):
        if n == LANES and channel_step == 1:
            read(x, at, to, i)
        else:
            for lane in range(n):
                to[i + lane] = load(x[at + lane * channel_step])
            for lane in range(n, LANES):
                to[i + lane] = real(0)
        at += pixel_step


def write_map(source, bias, y, lay, m, block):
    """Add the bias to a block of channels and write it to map `m` of `y`, (M, H * W, C)."""
    n_pixels, n_channels = lay
    channel = block * LANES
    n = min(LANES, n_channels - channel)
    at = m * n_pixels * n_channels + channel
    for i in range(0, n_pixels * LANES, LANES):
        if n == LANES:
            write(source, i, bias, channel, y, at)
        else:
            for lane in range(n):
                y[at + lane] = store(source[i + lane] + bias[channel + lane])
        at += n_channels


def vector_at(i, first, stop, at, step, otherwise):
    """Return where vector `i` of a line begins, if it is one from `first` up to `stop` - 1.

    Two vectors lie side by side, and it is `step` from those to the next two.
    """
    return at + (i >> 1) * step + (i & 1) * LANES if first <= i < stop else otherwise


def fold(source, line, center, reach, even, odd, zero):
    """Write what is even and what is odd about the center of a line of vectors."""
    first, stop, at, step = line
    for j in range(reach):
        a = vector_at(center + j, first, stop, at, step, zero)
        b = vector_at(center - j, first, stop if j > 0 else first, at, step, zero)
        split(source, a, source, b, source, even + j * PAIR, odd + j * PAIR, 0)


def turn(scratch, table, n_to, n_from, at, to):
    """Multiply a line of pairs of vectors by a matrix (n_from, n_to)."""
    for j in range(0, n_to, ROWS):
        c_at = to + j * PAIR
        tile(table, j, n_to, scratch, at, PAIR, scratch, c_at, PAIR, n_from, False, 0)


def _analyse(x, x_lay, s, tables, starts, mirrored, high, wide, lay, places, scratch, first, last):
    """Write the spectra of the tiles of maps first..last of `x`, (M, H, W, C)."""
    row_cos, row_sin, column_cos, column_sin = tables
    n_rows, stride, n_blocks, n_v, n_u, h_reach, w_reach, height = lay
    zero, even, odd, cos_sum, sin_sum, re, im, result = places
    ahead = n_rows * WIDTH  # the next block
    row_step = n_v * PAIR
    scratch[zero : zero + LANES] = real(0)
    for m, block in np.ndindex(last - first, n_blocks):
        m += first
        read_map(x, x_lay, m, block, scratch)
        for i_high, i_wide in np.ndindex(high.n, wide.n):
            h_origin = high.origin + i_high * high.step
            h_first = max(0, h_origin - high.halo)
            n_high = min(high.size, h_origin + high.step + high.halo) - h_first
            w_origin = wide.origin + i_wide * wide.step
            w_first = max(0, w_origin - wide.halo)
            w_stop = min(wide.size, w_origin + wide.step + wide.halo)
            center = w_origin + wide.center
            for i in range(0, n_high, 2):  # two rows at a time
                for r in range(2):
                    at = (h_first + i + r) * wide.size * LANES
                    line = w_first, w_stop if i + r < n_high else w_first, at, PAIR
                    to = r * LANES
                    fold(scratch, line, center, w_reach, even + to, odd + to, zero)
                to = i // 2 * row_step
                turn(scratch, row_cos, n_v, w_reach, even, re + to)
                turn(scratch, row_sin, n_v, w_reach, odd, im + to)
            s_at = (block * n_rows + (m * high.n + i_high) * wide.n + i_wide) * WIDTH
            center = h_origin + high.center - h_first
            for v in range(len(starts) - 1):
                line = 0, n_high, re + v * PAIR, row_step
                fold(scratch, line, center, h_reach, even, odd, zero)
                line = 0, n_high, im + v * PAIR, row_step
                fold(scratch, line, center, h_reach, even + LANES, odd + LANES, zero)
                turn(scratch, column_cos, n_u, h_reach, even, cos_sum)
                turn(scratch, column_sin, n_u, h_reach, odd, sin_sum)
                for u in range(height // 2 + 1):
                    # The results at u and -u are cos_sum +- i sin_sum.
                    a, b = cos_sum + u * PAIR, sin_sum + u * PAIR
                    c, d = result, result + PAIR
                    split(scratch, a, scratch, b + LANES, scratch, d, c, 0)
                    c, d = c + LANES, d + LANES
                    split(scratch, a + LANES, scratch, b, scratch, c, d, 0)
                    put(scratch, result, s, s_at + (starts[v] + u) * stride, ahead)
                    if not mirrored[v] and 0 < u < height - u:
                        to = s_at + (starts[v] + height - u) * stride
                        put(scratch, result + PAIR, s, to, ahead)


def _synthesise(
    s, y, y_lay, bias, tables, starts, mirrored, high, wide, lay, places, scratch, first, last
):
    """Write maps first..last of `y`, (M, H, W, C), from the spectra of their tiles.

    Where the tiles overlap, they add up.
    """
    row_cos, row_sin, column_cos, column_sin = tables
    n_rows, stride, n_blocks, n_h, n_w, h_reach, w_reach, height = lay
    zero, even, odd, cos_sum, sin_sum, re, im, dump = places
    ahead = n_rows * WIDTH  # the next block
    n_columns = len(starts) - 1
    row_step, n_half = n_columns * PAIR, height // 2 + 1
    scratch[zero : zero + LANES] = real(0)
    for m, block in np.ndindex(last - first, n_blocks):
        m += first
        scratch[: high.size * wide.size * LANES] = real(0)
        for i_high, i_wide in np.ndindex(high.n, wide.n):
            h_origin = high.origin + i_high * high.step
            h_first = max(0, h_origin - high.halo)
            n_high = min(high.size, h_origin + high.step + high.halo) - h_first
            w_origin = wide.origin + i_wide * wide.step
            w_first = max(0, w_origin - wide.halo)
            w_stop = min(wide.size, w_origin + wide.step + wide.halo)
            s_at = (block * n_rows + (m * high.n + i_high) * wide.n + i_wide) * WIDTH
            center = h_origin + high.center - h_first
            for v in range(n_columns):
                for u in range(n_half):
                    a = s_at + (starts[v] + u) * stride
                    c, d = even + u * PAIR, odd + u * PAIR
                    if u == 0 or 2 * u == height:
                        split_ahead(s, a, scratch, zero, scratch, c, d, ahead)
                        a, c, d = a + LANES, c + LANES, d + LANES
                        split_ahead(s, a, scratch, zero, scratch, c, d, ahead)
                    elif mirrored[v]:  # at -u is the conjugate
                        split_ahead(s, a, s, a, scratch, c, d, ahead)
                        a, c, d = a + LANES, c + LANES, d + LANES
                        split_ahead(s, a, s, a, scratch, d, c, ahead)
                    else:
                        b = s_at + (starts[v] + height - u) * stride
                        split_ahead(s, a, s, b, scratch, c, d, ahead)
                        a, b, c, d = a + LANES, b + LANES, c + LANES, d + LANES
                        split_ahead(s, a, s, b, scratch, c, d, ahead)
                turn(scratch, column_cos, n_h, n_half, even, cos_sum)
                turn(scratch, column_sin, n_h, n_half, odd, sin_sum)
                for j in range(h_reach):
                    # The results at distances j and -j are cos_sum -+ i sin_sum.
                    a, b = cos_sum + j * PAIR, sin_sum + j * PAIR
                    after, before, stop = center + j, center - j, n_high if j > 0 else 0
                    c = vector_at(after, 0, n_high, re + v * PAIR, row_step, dump)
                    d = vector_at(before, 0, stop, re + v * PAIR, row_step, dump)
                    split(scratch, a, scratch, b + LANES, scratch, c, d, 0)
                    c = vector_at(after, 0, n_high, im + v * PAIR, row_step, dump)
                    d = vector_at(before, 0, stop, im + v * PAIR, row_step, dump)
                    split(scratch, a + LANES, scratch, b, scratch, d, c, 0)
            center = w_origin + wide.center
            for i in range(0, n_high, 2):
                at = i // 2 * row_step
                turn(scratch, row_cos, n_w, n_columns, re + at, cos_sum)
                turn(scratch, row_sin, n_w, n_columns, im + at, sin_sum)
                for r in range(min(2, n_high - i)):
                    at = (h_first + i + r) * wide.size * LANES
                    for j in range(w_reach):
                        a = cos_sum + j * PAIR + r * LANES
                        b = sin_sum + j * PAIR + r * LANES
                        stop = w_stop if j > 0 else w_first
                        c = vector_at(center + j, w_first, w_stop, at, PAIR, dump)
                        d = vector_at(center - j, w_first, stop, at, PAIR, dump)
                        add_split(scratch, a, scratch, b, scratch, c, d, 0)
        write_map(scratch, bias, y, y_lay, m, block)


def _multiply(a, b, c, a_rows, b_rows, n_blocks, a_stride, b_stride, c_stride, n, add, first, last):
    """Write the product of `a` (rows, n) and `b` (n, channels) at frequencies first..last."""
    ahead = ROWS * PAIR  # the next tile
    for f in range(first, last):
        for block in range(n_blocks):
            at = f * b_stride + block * b_rows * WIDTH
            for r in range(0, a_rows, ROWS):
                a_at = f * a_stride + r * WIDTH
                to = f * c_stride + (block * a_rows + r) * PAIR
                step = a_rows * WIDTH
                tile(a, a_at, step, b, at, WIDTH, c, to, PAIR, n, add, ahead)


def _correlate(
    a, b, c, a_blocks, rows, n_blocks, a_stride, b_stride, c_stride, n, add, first, last
):
    """Write the product of the transposed conjugate of `a` with `b`, both of `n` rows."""
    ahead = ROWS * PAIR  # the next tile
    for f in range(first, last):
        for block in range(n_blocks):
            at = f * b_stride + block * rows * WIDTH
            for r in range(0, a_blocks * LANES, ROWS):
                a_at = f * a_stride + r // LANES * rows * WIDTH + r % LANES
                to = f * c_stride + (block * a_blocks * LANES + r) * PAIR
                tile(a, a_at, WIDTH, b, at, WIDTH, c, to, PAIR, n, add, ahead)


# --- launchers ---


@dataclass(frozen=True)
class Spectra:
    """Spectra of `n` rows with `n_channels` each, in a flat array."""

    data: np.ndarray
    grid: Grid
    n: int
    n_channels: int

    @classmethod
    def empty(cls, grid: Grid, n: int, n_channels: int, dtype: np.dtype) -> Spectra:
        """Return room for spectra."""
        spectra = cls(np.empty(0, dtype), grid, n, n_channels)
        return cls(aligned(grid.n_frequencies * spectra.stride, dtype), grid, n, n_channels)

    @property
    def compact(self) -> bool:
        """Whether both parts of a number are bfloat16, and together take 32 bits."""
        return self.data.dtype == COMPACT

    @property
    def real(self) -> np.dtype:
        """Type of the numbers that are computed with."""
        return np.dtype(np.float32) if self.compact else self.data.dtype

    @property
    def rows(self) -> int:
        """Rows, rounded up to whole tiles of the product."""
        return round_up(self.n, n_rows(self.data.dtype))

    @property
    def n_blocks(self) -> int:
        """Blocks of channels."""
        return -(-self.n_channels // n_lanes(self.data.dtype))

    @property
    def width(self) -> int:
        """Distance from one row to the next."""
        return n_lanes(self.data.dtype) * (1 if self.compact else 2)

    @property
    def stride(self) -> int:
        """Distance from one frequency to the next; never a power of two, which caches dislike."""
        return (self.n_blocks * self.rows + 1) * self.width

    def total(self) -> np.ndarray:
        """Return the sum of all positions of all rows, for each channel."""
        lanes = n_lanes(self.data.dtype)
        first = self.data[: self.n_blocks * self.rows * self.width]
        first = first.reshape(self.n_blocks, self.rows, -1, lanes)[:, : self.n, 0]
        if self.compact:  # the lower half is the upper one of a float32
            first = (first << 16).view(np.float32)
        return first.sum(1, dtype=np.float64).reshape(-1)[: self.n_channels]


def analyse(x: Tensor, grid: Grid, high: Tiling, wide: Tiling, *, compact: bool = False) -> Spectra:
    """Return the spectra of the tiles of `x`, (M, H, W, C), whose rows follow each other."""
    array, real = _array(x), numpy_dtype(compute_dtype(x.dtype))
    n_maps, _, _, n_channels = x.shape
    s = Spectra.empty(grid, n_maps * high.n * wide.n, n_channels, COMPACT if compact else real)
    reach, multiple = (high.reach, wide.reach), n_real_rows(real)
    row_cos, row_sin, n_v = turns(grid.width, reach[1], grid.width // 2 + 1, multiple, real)
    cos, sin, n_u = turns(grid.height, reach[0], grid.height // 2 + 1, multiple, real)
    places, n_scratch = _places(high, wide, max(reach), n_u, n_v, n_lanes(real))
    lay = s.rows, s.stride, s.n_blocks, n_v, n_u, *reach, grid.height
    frequencies = grid.starts, grid.mirrored
    pixels = x.flatten(1, 2)  # a view
    x_lay = high.size * wide.size, n_channels, *pixels.stride()
    args = array, x_lay, s.data, (row_cos, row_sin, cos, sin), *frequencies, high, wide, lay, places
    kernel = _kernel(_analyse, real, x.dtype, compact=compact)
    _run_maps(kernel, args, n_scratch, real, n_maps, _cost(s, n_maps))
    return s


def synthesise(s: Spectra, y: Tensor, bias: Tensor | None, high: Tiling, wide: Tiling) -> None:
    """Write `y`, a contiguous (M, H, W, C) tensor, from the spectra of its tiles."""
    array, real, grid = _array(y), s.real, s.grid
    n_maps = y.shape[0]
    shift = np.zeros(s.n_blocks * n_lanes(real), real)
    if bias is not None:
        shift[: s.n_channels] = bias.detach().to(torch.float64).numpy()
    reach, multiple = (high.reach, wide.reach), n_real_rows(real)
    n_columns, n_half = grid.width // 2 + 1, grid.height // 2 + 1
    row_cos, row_sin, n_w = inverse_turns(grid, reach[1], multiple, real)
    cos, sin, n_h = turns(grid.height, n_half, reach[0], multiple, real)
    places, n_scratch = _places(high, wide, n_half, max(n_h, n_w), n_columns, n_lanes(real))
    lay = s.rows, s.stride, s.n_blocks, n_h, n_w, *reach, grid.height
    tables = row_cos, row_sin, cos, sin
    y_lay = high.size * wide.size, s.n_channels
    args = s.data, array, y_lay, shift, tables, grid.starts, grid.mirrored, high, wide, lay, places
    kernel = _kernel(_synthesise, real, y.dtype)
    _run_maps(kernel, args, n_scratch, real, n_maps, _cost(s, n_maps))


def _places(
    high: Tiling, wide: Tiling, n_folded: int, n_sums: int, n_columns: int, lanes: int
) -> tuple[tuple[int, ...], int]:
    """Return where in the scratch the parts of a transform lie behind the map, and its size."""
    sizes = {
        "map": high.size * wide.size,
        "zero": 1,
        "even": 2 * n_folded,
        "odd": 2 * n_folded,
        "cos_sum": 2 * n_sums,
        "sin_sum": 2 * n_sums,
        "re": -(-high.extent // 2) * 2 * n_columns,
        "im": -(-high.extent // 2) * 2 * n_columns,
        "result": 4,
    }
    *places, size = itertools.accumulate(n * lanes for n in sizes.values())
    return tuple(places), size


def multiply(
    a: Spectra, b: Spectra, into: Spectra | None = None, *, conjugate: bool = False
) -> Spectra:
    """Return the product of `a` (rows, n) with `b` (n, channels), added to `into` if given.

    With `conjugate`, that with the conjugate of `b`.
    """
    c = into or Spectra.empty(a.grid, a.n, b.n_channels, a.real)
    kind = "conjugate" if conjugate else "complex"
    kernel = _kernel(_multiply, a.real, kind=kind, compact=a.compact)
    sizes = a.rows, b.rows, b.n_blocks, a.stride, b.stride, c.stride, b.n, into is not None
    _run_frequencies(kernel, (a.data, b.data, c.data, *sizes), a, b)
    return c


def correlate(a: Spectra, b: Spectra, into: Spectra | None = None) -> Spectra:
    """Return the product of the transposed conjugate of `a` with `b`, added to `into`."""
    lanes = n_lanes(a.data.dtype)
    c = into or Spectra.empty(a.grid, a.n_blocks * lanes, b.n_channels, a.real)
    kernel = _kernel(_correlate, a.real, kind="adjoint", compact=a.compact)
    sizes = a.n_blocks, a.rows, b.n_blocks, a.stride, b.stride, c.stride, a.n, into is not None
    _run_frequencies(kernel, (a.data, b.data, c.data, *sizes), a, b)
    return c


def _run_maps(
    kernel: Callable, args: tuple, n_scratch: int, real: np.dtype, n_maps: int, cost: int
) -> None:
    """Run a transform over all maps."""

    def body(start: int, stop: int) -> None:
        kernel(*args, aligned(n_scratch, real), start, stop)

    grain = max(1, GRAIN // max(cost, 1))
    parallel_for(body, n_maps, grain=grain, n_threads=torch.get_num_threads())


def _run_frequencies(kernel: Callable, args: tuple, a: Spectra, b: Spectra) -> None:
    """Run a product over all frequencies."""

    def body(start: int, stop: int) -> None:
        kernel(*args, start, stop)

    grain = max(1, GRAIN // max(a.n * a.n_channels * b.n_channels, 1))
    parallel_for(body, a.grid.n_frequencies, grain=grain, n_threads=torch.get_num_threads())


def _cost(s: Spectra, n_maps: int) -> int:
    """Estimate the multiplications of the transform of one map."""
    return 4 * s.grid.n_frequencies * sum(s.grid) * s.n_channels * s.n // max(n_maps, 1)


@functools.lru_cache(maxsize=64)
def _kernel(
    template: Callable,
    real: np.dtype,
    dtype: torch.dtype | None = None,
    kind: str = "real",
    compact: bool = False,
) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    short, lanes = dtype == torch.bfloat16, n_lanes(real)
    reads_compact = compact and kind != "real"
    by_row = template is _multiply
    return specialize(
        template,
        real=real.type,
        load=load_bfloat16 if short else same,
        store=store_bfloat16 if short else same,
        read_map=read_map,
        write_map=write_map,
        vector_at=vector_at,
        fold=fold,
        turn=turn,
        tile=make_tile(real, kind, by_row=by_row, prefetch=kind != "real", compact=reads_compact),
        split=make_butterfly(real),
        split_ahead=make_butterfly(real, prefetch=True),
        add_split=make_butterfly(real, add=True),
        put=make_put(real, compact=compact),
        read=make_read(real, compact=short),
        write=make_write(real, compact=short),
        LANES=lanes,
        ROWS=n_real_rows(real) if kind == "real" else n_rows(real),
        PAIR=2 * lanes,
        WIDTH=lanes if compact else 2 * lanes,
    )


def _array(x: Tensor) -> np.ndarray:
    """View the memory of a dense tensor as a flat array; bfloat16 shows its bits."""
    x = x.detach().as_strided((x.numel(),), (1,))
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()
