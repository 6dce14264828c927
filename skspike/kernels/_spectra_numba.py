"""Two-dimensional Fourier transforms of maps, and products of their spectra, compiled for the CPU.

The transforms are so short that a product with a matrix of cosines and sines serves any length at
the speed of the processor. Channels fill the lanes of the vector registers.

A spectrum is a flat array over (frequency, block of channels, row, real or imaginary part, lane),
where a row is one tile of one map. Real maps need half of the frequencies: columns v up to half
of the width, and in those columns that are their own mirror image (the first, and the middle one
if the width is even) rows u up to half of the height.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._compile_numba import specialize
from .._floats_numba import load_bfloat16, same, store_bfloat16
from .._threads import parallel_for
from .._tile_numba import make_tile, n_lanes, n_rows
from ._memory import aligned, compute_dtype, numpy_dtype

# Bound by `specialize`; the values here only tell the linter that the names exist.
LANES, ROWS = 16, 8
real = load = store = tile = complex_tile = None

GRAIN = 2**21  # multiplications, below 1 ms: for less, a second thread costs more than it brings


class Tiling(NamedTuple):
    """How one axis of a map is cut: tile i reads `size` positions from ``origin + i * step`` on.

    `halo` more positions belong to a tile on either side, as far as the map reaches.
    """

    size: int
    origin: int
    step: int
    n: int
    halo: int


# --- templates ---


def _analyse(x, s, row_table, column_table, starts, high, wide, lay, scratch, first, last):
    """Write the spectra of the tiles of maps first..last of `x`, (M, H, W, C)."""
    n_rows, stride, n_columns, n_blocks, table_blocks = lay
    n_channels = x.shape[3]
    width = 2 * LANES
    at_rows = high.size * wide.size * LANES  # the scratch holds a map, then its transformed rows
    for m in range(first, last):
        for block in range(n_blocks):
            channel = block * LANES
            for h in range(high.size):
                for w in range(wide.size):
                    x_hw = x[m, h, w]
                    to = (h * wide.size + w) * LANES
                    if channel + LANES <= n_channels:
                        for i in range(LANES):
                            scratch[to + i] = load(x_hw[channel + i])
                    else:
                        for i in range(LANES):
                            inside = channel + i < n_channels
                            scratch[to + i] = load(x_hw[channel + i]) if inside else real(0)
            for i_high in range(high.n):
                h_origin = high.origin + i_high * high.step
                h_first = max(0, h_origin - high.halo)
                h_last = min(high.size, h_origin + high.step + high.halo)
                for i_wide in range(wide.n):
                    w_origin = wide.origin + i_wide * wide.step
                    w_first = max(0, w_origin - wide.halo)
                    w_last = min(wide.size, w_origin + wide.step + wide.halo)
                    w_at = (w_first - w_origin + wide.halo) * n_columns
                    for h in range(h_first, h_last):
                        x_at = (h * wide.size + w_first) * LANES
                        to = at_rows + (h - h_first) * n_columns * LANES
                        for j in range(0, n_columns, ROWS):
                            to_j = to + j * LANES
                            tile(
                                row_table,
                                w_at + j,
                                n_columns,
                                scratch,
                                x_at,
                                LANES,
                                scratch,
                                to_j,
                                LANES,
                                w_last - w_first,
                                False,
                            )
                    row = (m * high.n + i_high) * wide.n + i_wide
                    s_at = (block * n_rows + row) * width
                    h_at = (h_first - h_origin + high.halo) * table_blocks * width
                    for v in range(len(starts) - 1):
                        # Rows beyond the last of a column fall on the next column, written later.
                        for u in range(0, starts[v + 1] - starts[v], ROWS):
                            table_at = h_at + u // LANES * width + u % LANES
                            to = s_at + (starts[v] + u) * stride
                            complex_tile(
                                column_table,
                                table_at,
                                table_blocks * width,
                                scratch,
                                at_rows + v * width,
                                n_columns * LANES,
                                s,
                                to,
                                stride,
                                h_last - h_first,
                                False,
                            )


def _synthesise(
    s,
    y,
    bias,
    row_table,
    half_table,
    full_table,
    starts,
    mirrored,
    high,
    wide,
    lay,
    scratch,
    first,
    last,
):
    """Write maps first..last of `y`, (M, H, W, C), from the spectra of their tiles.

    Where the tiles overlap, they add up.
    """
    n_rows, stride, n_padded, n_blocks, table_blocks = lay
    n_channels = y.shape[3]
    width = 2 * LANES
    n_columns = len(starts) - 1
    n_high = high.step + 2 * high.halo
    n_wide = wide.step + 2 * wide.halo
    # the scratch holds a map, then transformed columns, then one row
    at_columns = high.size * wide.size * LANES
    at_row = at_columns + table_blocks * LANES * n_columns * width
    for m in range(first, last):
        for block in range(n_blocks):
            for i in range(high.size * wide.size * LANES):
                scratch[i] = real(0)
            for i_high in range(high.n):
                for i_wide in range(wide.n):
                    row = (m * high.n + i_high) * wide.n + i_wide
                    s_at = (block * n_rows + row) * width
                    for v in range(n_columns):
                        n_u = starts[v + 1] - starts[v]
                        column_table = half_table if mirrored[v] else full_table
                        for h in range(0, n_high, ROWS):
                            table_at = h // LANES * width + h % LANES
                            to = at_columns + (h * n_columns + v) * width
                            complex_tile(
                                column_table,
                                table_at,
                                table_blocks * width,
                                s,
                                s_at + starts[v] * stride,
                                stride,
                                scratch,
                                to,
                                n_columns * width,
                                n_u,
                                False,
                            )
                    h_origin = high.origin + i_high * high.step - high.halo
                    w_origin = wide.origin + i_wide * wide.step - wide.halo
                    w_first, w_last = max(0, w_origin), min(wide.size, w_origin + n_wide)
                    for h in range(max(0, h_origin), min(high.size, h_origin + n_high)):
                        column_at = at_columns + (h - h_origin) * n_columns * width
                        for w in range(0, n_wide, ROWS):
                            to = at_row + w * LANES
                            tile(
                                row_table,
                                w,
                                n_padded,
                                scratch,
                                column_at,
                                LANES,
                                scratch,
                                to,
                                LANES,
                                2 * n_columns,
                                False,
                            )
                        for w in range(w_first, w_last):
                            to = (h * wide.size + w) * LANES
                            at = at_row + (w - w_origin) * LANES
                            for i in range(LANES):
                                scratch[to + i] += scratch[at + i]
            channel = block * LANES
            for h in range(high.size):
                for w in range(wide.size):
                    y_hw = y[m, h, w]
                    at = (h * wide.size + w) * LANES
                    if channel + LANES <= n_channels:
                        for i in range(LANES):
                            y_hw[channel + i] = store(scratch[at + i] + bias[channel + i])
                    else:
                        for i in range(n_channels - channel):
                            y_hw[channel + i] = store(scratch[at + i] + bias[channel + i])


def _multiply(a, b, c, a_rows, b_rows, n_blocks, a_stride, b_stride, c_stride, n, add, first, last):
    """Write the product of `a` (rows, n) and `b` (n, channels) at frequencies first..last."""
    width = 2 * LANES
    for f in range(first, last):
        for block in range(n_blocks):
            b_at = f * b_stride + block * b_rows * width
            for r in range(0, a_rows, ROWS):
                to = f * c_stride + (block * a_rows + r) * width
                complex_tile(
                    a,
                    f * a_stride + r * width,
                    a_rows * width,
                    b,
                    b_at,
                    width,
                    c,
                    to,
                    width,
                    n,
                    add,
                )


def _correlate(
    a, b, c, a_blocks, rows, n_blocks, a_stride, b_stride, c_stride, n, add, first, last
):
    """Write the product of the transposed `a` and the conjugate of `b`, both of `n` rows."""
    width = 2 * LANES
    for f in range(first, last):
        for block in range(n_blocks):
            b_at = f * b_stride + block * rows * width
            for r in range(0, a_blocks * LANES, ROWS):
                a_at = f * a_stride + r // LANES * rows * width + r % LANES
                to = f * c_stride + (block * a_blocks * LANES + r) * width
                complex_tile(a, a_at, width, b, b_at, width, c, to, width, n, add)


# --- launchers ---


class Grid(NamedTuple):
    """The size of a transform: positions of a tile, height and width."""

    height: int
    width: int

    @property
    def starts(self) -> np.ndarray:
        """First frequency of each column, and at the end the number of all."""
        sizes = np.where(self.mirrored, self.height // 2 + 1, self.height)
        return np.cumsum([0, *sizes])

    @property
    def mirrored(self) -> np.ndarray:
        """Whether a column is its own mirror image, so that half of it is enough."""
        return 2 * np.arange(self.width // 2 + 1) % self.width == 0

    @property
    def n_frequencies(self) -> int:
        """Number of frequencies that determine a real tile."""
        return int(self.starts[-1])


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
    def rows(self) -> int:
        """Rows, rounded up to whole tiles of the product."""
        return _round_up(self.n, n_rows(self.data.dtype))

    @property
    def n_blocks(self) -> int:
        """Blocks of channels."""
        return -(-self.n_channels // n_lanes(self.data.dtype))

    @property
    def stride(self) -> int:
        """Distance from one frequency to the next; never a power of two, which caches dislike."""
        return (self.n_blocks * self.rows + 1) * 2 * n_lanes(self.data.dtype)

    def total(self) -> np.ndarray:
        """Return the sum of all positions of all rows, for each channel."""
        lanes = n_lanes(self.data.dtype)
        first = self.data[: self.n_blocks * self.rows * 2 * lanes]
        first = first.reshape(self.n_blocks, self.rows, 2, lanes)[:, : self.n, 0]
        return first.sum(1, dtype=np.float64).reshape(-1)[: self.n_channels]


def analyse(x: Tensor, grid: Grid, high: Tiling, wide: Tiling) -> Spectra:
    """Return the spectra of the tiles of `x`, a contiguous (M, H, W, C) tensor."""
    array, real = _array(x), numpy_dtype(compute_dtype(x.dtype))
    n_maps, _, _, n_channels = x.shape
    s = Spectra.empty(grid, n_maps * high.n * wide.n, n_channels, real)
    rows, n_columns = _row_table(grid.width, wide.step, wide.halo, real)
    columns, n_table = _column_table(grid.height, high.step, high.halo, real)
    lay = s.rows, s.stride, n_columns, s.n_blocks, n_table
    kernel = _kernel(_analyse, real, x.dtype, "complex", by_row=False)
    n_scratch = high.size * wide.size + (high.step + 2 * high.halo) * n_columns
    args = array, s.data, rows, columns, grid.starts, high, wide, lay
    _run_maps(kernel, args, n_scratch * n_lanes(real), real, n_maps, _cost(s, n_maps))
    return s


def synthesise(s: Spectra, y: Tensor, bias: Tensor | None, high: Tiling, wide: Tiling) -> None:
    """Write `y`, a contiguous (M, H, W, C) tensor, from the spectra of its tiles."""
    array, real, lanes = _array(y), s.data.dtype, n_lanes(s.data.dtype)
    n_maps = y.shape[0]
    shift = np.zeros(s.n_blocks * lanes, real)
    if bias is not None:
        shift[: s.n_channels] = bias.detach().to(torch.float64).numpy()
    rows, n_padded = _inverse_row_table(s.grid, wide.step, wide.halo, real)
    half, full, n_table = _inverse_column_tables(s.grid.height, high.step, high.halo, real)
    lay = s.rows, s.stride, n_padded, s.n_blocks, n_table
    kernel = _kernel(_synthesise, real, y.dtype, "complex", by_row=False)
    n_columns = s.grid.width // 2 + 1
    n_scratch = high.size * wide.size + n_table * lanes * n_columns * 2 + n_padded
    frequencies = s.grid.starts, s.grid.mirrored
    args = s.data, array, shift, rows, half, full, *frequencies, high, wide, lay
    _run_maps(kernel, args, n_scratch * lanes, real, n_maps, _cost(s, n_maps))


def multiply(a: Spectra, b: Spectra, into: Spectra | None = None) -> Spectra:
    """Return the product of `a` (rows, n) with `b` (n, channels), added to `into` if given."""
    c = into or Spectra.empty(a.grid, a.n, b.n_channels, a.data.dtype)
    kernel = _kernel(_multiply, a.data.dtype, None, "complex", by_row=True)
    sizes = a.rows, b.rows, b.n_blocks, a.stride, b.stride, c.stride, b.n, into is not None
    _run_frequencies(kernel, (a.data, b.data, c.data, *sizes), a, b)
    return c


def correlate(a: Spectra, b: Spectra, into: Spectra | None = None) -> Spectra:
    """Return the product of the transposed `a` with the conjugate of `b`, added to `into`."""
    lanes = n_lanes(a.data.dtype)
    c = into or Spectra.empty(a.grid, a.n_blocks * lanes, b.n_channels, a.data.dtype)
    kernel = _kernel(_correlate, a.data.dtype, None, "conjugate", by_row=False)
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


@functools.lru_cache(maxsize=1024)
def _kernel(
    template: Callable, real: np.dtype, dtype: torch.dtype | None, kind: str, *, by_row: bool
) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    compact = dtype == torch.bfloat16
    return specialize(
        template,
        real=real.type,
        load=load_bfloat16 if compact else same,
        store=store_bfloat16 if compact else same,
        tile=make_tile(real, "real"),
        complex_tile=make_tile(real, kind, by_row=by_row),
        LANES=n_lanes(real),
        ROWS=n_rows(real),
    )


def _array(x: Tensor) -> np.ndarray:
    """View a tensor as an array; bfloat16 shows its bits."""
    x = x.detach()
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


# --- tables ---


def _turns(a: np.ndarray, b: np.ndarray, length: int) -> np.ndarray:
    """Return exp(2 pi i a b / length), for all pairs."""
    angle = 2 * math.pi * (np.outer(a, b) % length) / length
    return np.cos(angle) + 1j * np.sin(angle)


def _positions(step: int, halo: int) -> np.ndarray:
    return np.arange(-halo, step + halo)


@functools.lru_cache(maxsize=256)
def _row_table(length: int, step: int, halo: int, real: np.dtype) -> tuple[np.ndarray, int]:
    """Return the matrix (position, column and part) of a real transform, and its row length."""
    turns = _turns(_positions(step, halo), np.arange(length // 2 + 1), length)
    parts = np.stack([turns.real, -turns.imag], -1).reshape(len(turns), -1)
    return _pad(parts, n_rows(real), real)


@functools.lru_cache(maxsize=256)
def _column_table(length: int, step: int, halo: int, real: np.dtype) -> tuple[np.ndarray, int]:
    """Return the matrix (position, u) of a complex transform, as a spectrum lays out its rows."""
    turns = _turns(_positions(step, halo), np.arange(length), length).conj()
    return _in_blocks(turns, real)


@functools.lru_cache(maxsize=256)
def _inverse_column_tables(
    length: int, step: int, halo: int, real: np.dtype
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the matrices (u, position) for columns of which half is kept, and for the others."""
    turns = _turns(np.arange(length), _positions(step, halo), length)
    # A mirrored column is the real part of a sum over the kept half, where most count twice.
    half = turns[: length // 2 + 1] * _weights(length)[:, None]
    return _in_blocks(half, real)[0], *_in_blocks(turns, real)


@functools.lru_cache(maxsize=256)
def _inverse_row_table(grid: Grid, step: int, halo: int, real: np.dtype) -> tuple[np.ndarray, int]:
    """Return the matrix (column and part, position) of a transform to real numbers."""
    weights = _weights(grid.width)
    turns = _turns(np.arange(len(weights)), _positions(step, halo), grid.width)
    turns *= weights[:, None] / (grid.height * grid.width)
    turns[weights == 1] = turns[weights == 1].real  # only that part of mirrored columns is right
    parts = np.stack([turns.real, -turns.imag], 1).reshape(2 * len(turns), -1)
    return _pad(parts, n_rows(real), real)


def _weights(length: int) -> np.ndarray:
    """Return how many frequencies each of the kept half stands for."""
    return np.array([1 if 2 * u % length == 0 else 2 for u in range(length // 2 + 1)])


def _pad(matrix: np.ndarray, multiple: int, real: np.dtype) -> tuple[np.ndarray, int]:
    """Flatten a matrix whose rows are filled up with zeros; return their length too."""
    width = _round_up(matrix.shape[1], multiple)
    return np.pad(matrix, ((0, 0), (0, width - matrix.shape[1]))).astype(real).ravel(), width


def _in_blocks(matrix: np.ndarray, real: np.dtype) -> tuple[np.ndarray, int]:
    """Flatten a complex matrix to (row, block, part, lane); return the number of blocks too."""
    lanes = n_lanes(real)
    n_blocks = -(-matrix.shape[1] // lanes)
    padded = np.pad(matrix, ((0, 0), (0, n_blocks * lanes - matrix.shape[1])))
    blocks = padded.reshape(len(matrix), n_blocks, 1, lanes)
    return np.concatenate([blocks.real, blocks.imag], 2).astype(real).ravel(), n_blocks
