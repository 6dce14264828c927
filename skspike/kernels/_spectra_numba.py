"""Two-dimensional Fourier transforms of maps, and products of their spectra, compiled for the CPU.

The transforms are so short that a product with a matrix of cosines and sines serves any length at
the speed of the processor. Channels fill the lanes of the vector registers.

A spectrum is a flat array over (frequency, block of channels, row, real or imaginary part, lane),
where a row is one tile of one map. A compact one has both parts, in bfloat16, in 32 bits a lane.
Real maps need half of the frequencies: columns v up to half of the width, and in those columns that
are their own mirror image (the first, and the middle one if the width is even) rows u up to half of
the height.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._compile_numba import specialize
from .._floats_numba import load_bfloat16, same, store_bfloat16
from .._threads import parallel_for
from .._tile_numba import make_tile, n_lanes, n_rows
from ._memory import aligned, compute_dtype, numpy_dtype
from ._spectra_tables import (
    Grid,
    Tiling,
    column_table,
    inverse_column_tables,
    inverse_row_table,
    round_up,
    row_table,
)

# Bound by `specialize`; the values here only tell the linter that the names exist.
LANES, ROWS, WIDTH = 16, 8, 32
real = load = store = tile = complex_tile = None

COMPACT = np.dtype(np.uint32)  # two bfloat16

GRAIN = 2**21  # multiplications, below 1 ms: for less, a second thread costs more than it brings


# --- templates ---


def read_map(x, m, block, to):
    """Copy a block of channels of map `m` of `x`, (M, H, W, C), filled up with zeros."""
    channel = block * LANES
    n = min(LANES, x.shape[3] - channel)
    at = 0
    for h in range(x.shape[1]):
        for w in range(x.shape[2]):
            x_hw = x[m, h, w, channel : channel + n]
            lanes = to[at : at + LANES]
            at += LANES
            if n == LANES:
                for i in range(LANES):
                    lanes[i] = load(x_hw[i])
            else:
                for i in range(LANES):
                    lanes[i] = load(x_hw[i]) if i < n else real(0)


def write_map(source, start, step, bias, y, m, block):
    """Add the bias to a block of channels and write it to map `m` of `y`, (M, H, W, C)."""
    channel = block * LANES
    n = min(LANES, y.shape[3] - channel)
    shift = bias[channel : channel + LANES]
    for h in range(y.shape[1]):
        for w in range(y.shape[2]):
            y_hw = y[m, h, w, channel : channel + n]
            at = (start + h * step + w) * LANES
            lanes = source[at : at + LANES]
            if n == LANES:
                for i in range(LANES):
                    y_hw[i] = store(lanes[i] + shift[i])
            else:
                for i in range(n):
                    y_hw[i] = store(lanes[i] + shift[i])


def _analyse(x, s, row_table, column_table, starts, high, wide, lay, scratch, first, last):
    """Write the spectra of the tiles of maps first..last of `x`, (M, H, W, C)."""
    n_rows, stride, n_columns, n_blocks, table_step = lay
    ahead = n_rows * WIDTH  # the next block
    at_rows = high.size * wide.size * LANES  # the scratch holds a map, then its transformed rows
    step = n_columns * LANES
    for m, block in np.ndindex(last - first, n_blocks):
        m += first
        read_map(x, m, block, scratch)
        for i_high, i_wide in np.ndindex(high.n, wide.n):
            h_origin = high.origin + i_high * high.step
            h_first = max(0, h_origin - high.halo)
            n_high = min(high.size, h_origin + high.step + high.halo) - h_first
            w_origin = wide.origin + i_wide * wide.step
            w_first = max(0, w_origin - wide.halo)
            n_wide = min(wide.size, w_origin + wide.step + wide.halo) - w_first
            table_at = (w_first - w_origin + wide.halo) * n_columns
            for h in range(n_high):
                at = ((h_first + h) * wide.size + w_first) * LANES
                to = at_rows + h * step
                for j in range(0, n_columns, ROWS):
                    tile(
                        (row_table, table_at + j, n_columns),
                        (scratch, at, LANES),
                        (scratch, to + j * LANES, LANES),
                        n_wide,
                        False,
                        0,
                    )
            s_at = (block * n_rows + (m * high.n + i_high) * wide.n + i_wide) * WIDTH
            table_first = (h_first - h_origin + high.halo) * table_step
            for v in range(len(starts) - 1):
                at = at_rows + v * 2 * LANES
                # Rows beyond the last of a column fall on the next column, which is written later.
                for u in range(0, starts[v + 1] - starts[v], ROWS):
                    table_at = table_first + u // LANES * 2 * LANES + u % LANES
                    to = s_at + (starts[v] + u) * stride
                    complex_tile(
                        (column_table, table_at, table_step),
                        (scratch, at, step),
                        (s, to, stride),
                        n_high,
                        False,
                        ahead,
                    )


def _synthesise(s, y, bias, tables, starts, mirrored, high, wide, lay, scratch, first, last):
    """Write maps first..last of `y`, (M, H, W, C), from the spectra of their tiles.

    Where the tiles overlap, they add up.
    """
    row_table, half_table, full_table = tables
    n_rows, stride, n_padded, n_blocks, table_step, n_across = lay
    width = 2 * LANES
    ahead = n_rows * width  # the next block
    n_columns = len(starts) - 1
    n_high = high.step + 2 * high.halo
    n_wide = wide.step + 2 * wide.halo
    at_columns = high.size * n_across * LANES  # the scratch holds a map with margins, then columns
    step = n_columns * width
    for m, block in np.ndindex(last - first, n_blocks):
        m += first
        scratch[:at_columns] = real(0)
        for i_high, i_wide in np.ndindex(high.n, wide.n):
            s_at = (block * n_rows + (m * high.n + i_high) * wide.n + i_wide) * width
            for v in range(n_columns):
                table = half_table if mirrored[v] else full_table
                at = s_at + starts[v] * stride
                n_u = starts[v + 1] - starts[v]
                for h in range(0, n_high, ROWS):
                    table_at = h // LANES * width + h % LANES
                    to = at_columns + h * step + v * width
                    complex_tile(
                        (table, table_at, table_step),
                        (s, at, stride),
                        (scratch, to, step),
                        n_u,
                        False,
                        ahead,
                    )
            h_origin = high.origin + i_high * high.step - high.halo
            w_origin = wide.origin + i_wide * wide.step
            for h in range(max(0, h_origin), min(high.size, h_origin + n_high)):
                at = at_columns + (h - h_origin) * step
                # Positions beyond the map fall on the margins, those beyond the tile are zero.
                for w in range(0, n_wide, ROWS):
                    to = (h * n_across + w_origin + w) * LANES
                    tile(
                        (row_table, w, n_padded),
                        (scratch, at, LANES),
                        (scratch, to, LANES),
                        2 * n_columns,
                        True,
                        0,
                    )
        write_map(scratch, wide.halo, n_across, bias, y, m, block)


def _multiply(a, b, c, a_rows, b_rows, n_blocks, a_stride, b_stride, c_stride, n, add, first, last):
    """Write the product of `a` (rows, n) and `b` (n, channels) at frequencies first..last."""
    width = 2 * LANES
    ahead = ROWS * width  # the next tile
    for f in range(first, last):
        for block in range(n_blocks):
            at = f * b_stride + block * b_rows * WIDTH
            for r in range(0, a_rows, ROWS):
                a_at = f * a_stride + r * WIDTH
                to = f * c_stride + (block * a_rows + r) * width
                step = a_rows * WIDTH
                complex_tile((a, a_at, step), (b, at, WIDTH), (c, to, width), n, add, ahead)


def _correlate(
    a, b, c, a_blocks, rows, n_blocks, a_stride, b_stride, c_stride, n, add, first, last
):
    """Write the product of the transposed conjugate of `a` with `b`, both of `n` rows."""
    width = 2 * LANES
    ahead = ROWS * width  # the next tile
    for f in range(first, last):
        for block in range(n_blocks):
            at = f * b_stride + block * rows * WIDTH
            for r in range(0, a_blocks * LANES, ROWS):
                a_at = f * a_stride + r // LANES * rows * WIDTH + r % LANES
                to = f * c_stride + (block * a_blocks * LANES + r) * width
                complex_tile((a, a_at, WIDTH), (b, at, WIDTH), (c, to, width), n, add, ahead)


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
        """Return room for spectra, and for the rows that the last tile of a transform spills."""
        spectra = cls(np.empty(0, dtype), grid, n, n_channels)
        n_numbers = (grid.n_frequencies + n_rows(dtype)) * spectra.stride
        return cls(aligned(n_numbers, dtype), grid, n, n_channels)

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
    """Return the spectra of the tiles of `x`, a contiguous (M, H, W, C) tensor."""
    array, real = _array(x), numpy_dtype(compute_dtype(x.dtype))
    n_maps, _, _, n_channels = x.shape
    s = Spectra.empty(grid, n_maps * high.n * wide.n, n_channels, COMPACT if compact else real)
    rows, n_columns = row_table(grid.width, wide.step, wide.halo, n_rows(real), real)
    columns, n_table = column_table(grid.height, high.step, high.halo, n_lanes(real), real)
    lay = s.rows, s.stride, n_columns, s.n_blocks, n_table * 2 * n_lanes(real)
    kernel = _kernel(_analyse, real, x.dtype, compact="out" if compact else "")
    n_scratch = high.size * wide.size + (high.step + 2 * high.halo) * n_columns
    args = array, s.data, rows, columns, grid.starts, high, wide, lay
    _run_maps(kernel, args, n_scratch * n_lanes(real), real, n_maps, _cost(s, n_maps))
    return s


def synthesise(s: Spectra, y: Tensor, bias: Tensor | None, high: Tiling, wide: Tiling) -> None:
    """Write `y`, a contiguous (M, H, W, C) tensor, from the spectra of its tiles."""
    array, real, lanes = _array(y), s.real, n_lanes(s.real)
    n_maps = y.shape[0]
    shift = np.zeros(s.n_blocks * lanes, real)
    if bias is not None:
        shift[: s.n_channels] = bias.detach().to(torch.float64).numpy()
    rows, n_padded = inverse_row_table(s.grid, wide.step, wide.halo, n_rows(real), real)
    half, full, n_table = inverse_column_tables(
        s.grid.height, high.step, high.halo, n_lanes(real), real
    )
    kernel = _kernel(_synthesise, real, y.dtype)
    n_columns = s.grid.width // 2 + 1
    n_across = wide.origin + wide.n * wide.step + 2 * wide.halo + n_rows(real)
    n_scratch = high.size * n_across + n_table * lanes * n_columns * 2
    lay = s.rows, s.stride, n_padded, s.n_blocks, n_table * 2 * lanes, n_across
    frequencies = s.grid.starts, s.grid.mirrored
    args = s.data, array, shift, (rows, half, full), *frequencies, high, wide, lay
    _run_maps(kernel, args, n_scratch * lanes, real, n_maps, _cost(s, n_maps))


def multiply(
    a: Spectra, b: Spectra, into: Spectra | None = None, *, conjugate: bool = False
) -> Spectra:
    """Return the product of `a` (rows, n) with `b` (n, channels), added to `into` if given.

    With `conjugate`, that with the conjugate of `b`.
    """
    c = into or Spectra.empty(a.grid, a.n, b.n_channels, a.real)
    kind = "conjugate" if conjugate else "complex"
    kernel = _kernel(_multiply, a.real, kind=kind, compact="in" if a.compact else "")
    sizes = a.rows, b.rows, b.n_blocks, a.stride, b.stride, c.stride, b.n, into is not None
    _run_frequencies(kernel, (a.data, b.data, c.data, *sizes), a, b)
    return c


def correlate(a: Spectra, b: Spectra, into: Spectra | None = None) -> Spectra:
    """Return the product of the transposed conjugate of `a` with `b`, added to `into`."""
    lanes = n_lanes(a.data.dtype)
    c = into or Spectra.empty(a.grid, a.n_blocks * lanes, b.n_channels, a.real)
    kernel = _kernel(_correlate, a.real, kind="adjoint", compact="in" if a.compact else "")
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
    kind: str = "complex",
    compact: str = "",
) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    short = dtype == torch.bfloat16
    return specialize(
        template,
        real=real.type,
        load=load_bfloat16 if short else same,
        store=store_bfloat16 if short else same,
        read_map=read_map,
        write_map=write_map,
        tile=make_tile(real, "real"),
        complex_tile=make_tile(
            real,
            kind,
            by_row=template is _multiply,
            prefetch="b" if template is _synthesise else "c",
            compact=compact,
        ),
        LANES=n_lanes(real),
        ROWS=n_rows(real),
        WIDTH=n_lanes(real) * (1 if compact else 2),
    )


def _array(x: Tensor) -> np.ndarray:
    """View a tensor as an array; bfloat16 shows its bits."""
    x = x.detach()
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()
