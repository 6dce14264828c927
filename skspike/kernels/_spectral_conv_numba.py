"""Convolutions of several sizes on one input by way of their spectra, compiled for the CPU.

The spectrum of the input serves all sizes, and a large kernel costs as little there as a small one:
where a convolution multiplies each number by k * k weights, its spectrum takes about 4 products.
Backward, the spectra of all sizes add up before the one transform back to the input.

Maps larger than suits a transform are cut into tiles, which overlap by the reach of the kernels.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .._buffers import LINE, aligned
from .._tile_numba import has_bfloat16_products
from ._memory import compute_dtype, derived, is_dense, numpy_dtype
from ._spectra_numba import Spectra, analyse, correlate, multiply, synthesise
from ._spectra_tables import Grid, Tiling

BUDGET = 2**28  # bytes that the spectra may take, about


def forward(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> list[Tensor]:
    """Return the convolutions of `x`, (M, H, W, C), with the weights, each (C_out, C, k, k)."""
    cut = _cut(x, weights)
    results = [empty_maps(x, w.shape[0]) for w in weights]
    spectra = [
        derived.get(w, (cut, x.dtype), functools.partial(_forward_spectra, w, cut, x.dtype))
        for w in weights
    ]
    for maps in cut.chunks(len(x), by_map=2, by_weight=1):
        x_spectra = analyse(x[maps], *cut.whole, compact=cut.compact)
        for y, bias, w in zip(results, biases, spectra, strict=True):
            synthesise(multiply(x_spectra, w, conjugate=True), y[maps], bias, *cut.inner[1:])
    return results


def backward(
    x: Tensor, weights: Sequence[Tensor], dys: Sequence[Tensor], *, needs_dx: bool, needs_dw: bool
) -> tuple[Tensor | None, list[Tensor], list[Tensor]]:
    """Return the gradients to `x`, the weights and the biases; None and [] where not needed."""
    cut = _cut(x, weights)
    dx = empty_maps(x, x.shape[-1]) if needs_dx else None
    read = weights if needs_dx else []
    w_spectra = [_kernel_spectra(w.permute(0, 2, 3, 1), cut, x.dtype) for w in read]
    dw_spectra: list[Spectra | None] = [None] * len(weights)
    dbiases = [torch.zeros(w.shape[0], dtype=torch.float64) for w in weights]
    for maps in cut.chunks(len(x), by_map=3, by_weight=2):
        dx_spectra = None
        x_spectra = analyse(x[maps], *cut.whole, compact=cut.compact) if needs_dw else None
        for i, dy in enumerate(dys):
            dy_spectra = analyse(dy[maps], *cut.inner, compact=cut.compact)
            dbiases[i] += torch.from_numpy(dy_spectra.total())
            if needs_dx:
                dx_spectra = multiply(dy_spectra, w_spectra[i], into=dx_spectra)
            if x_spectra is not None:
                dw_spectra[i] = correlate(dy_spectra, x_spectra, into=dw_spectra[i])
        if dx is not None and dx_spectra is not None:
            synthesise(dx_spectra, dx[maps], None, *cut.whole[1:])
    real = compute_dtype(x.dtype)
    pairs = zip(dw_spectra, weights, strict=True)
    dweights = [_kernel_gradient(s, w, real) for s, w in pairs if s is not None]
    return dx, dweights, dbiases if needs_dw else []


def _cut(x: Tensor, weights: Sequence[Tensor]) -> Cut:
    """Return how to cut `x`, (M, H, W, C)."""
    outs = tuple((w.shape[0], w.shape[-1]) for w in weights)
    return cut_maps(*x.shape[1:], outs, x.dtype)


def _forward_spectra(w: Tensor, cut: Cut, dtype: torch.dtype) -> Spectra:
    """Return the spectra of a weight, (C_out, C, k, k), as the forward pass takes them."""
    return _kernel_spectra(w.permute(1, 2, 3, 0), cut, dtype)


def _kernel_spectra(w: Tensor, cut: Cut, dtype: torch.dtype) -> Spectra:
    """Return the spectra of a weight, (rows, k, k, channels)."""
    w = w.to(compute_dtype(dtype))
    rows_follow = w.shape[1] == 1 or w.stride(1) == w.shape[2] * w.stride(2)
    w = w if rows_follow and is_dense(w) else w.contiguous()
    return analyse(w, cut.grid, *_kernel_tilings(w.shape[2]), compact=cut.compact)


def _kernel_gradient(spectra: Spectra, w: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the gradient to a weight from its spectra, whose rows go out and channels in."""
    c_out, c_in, k, _ = w.shape
    dw = torch.empty((c_out, k, k, c_in), dtype=dtype)
    synthesise(spectra, dw, None, *_kernel_tilings(k))
    return dw.permute(0, 3, 1, 2)


def _kernel_tilings(k: int) -> tuple[Tiling, Tiling]:
    """Return how a kernel is read: as one tile, with its middle at the origin."""
    tiling = Tiling(k, k // 2, k - k // 2, 1, k // 2, center=0)
    return tiling, tiling


def empty_maps(x: Tensor, n_channels: int) -> Tensor:
    """Return uninitialised maps like `x`, (M, H, W, C), with another number of channels."""
    shape = *x.shape[:3], n_channels
    return (
        torch.from_numpy(aligned(math.prod(shape), numpy_dtype(x.dtype))).view(x.dtype).view(shape)
    )


# --- how to cut the maps ---


class Cut(NamedTuple):
    """How maps are cut into tiles, and how many maps are worked on at once."""

    grid: Grid
    high: Tiling
    wide: Tiling
    n_kernel_turns: int  # multiplications of the transforms of the weights, for each channel in
    weight_bytes: int  # of the spectra of all weights
    map_bytes: int  # of the spectra of one map
    compact: bool  # whether what is multiplied are pairs of bfloat16

    @property
    def whole(self) -> tuple[Grid, Tiling, Tiling]:
        """How to read input: each tile with its surroundings."""
        return self.grid, self.high, self.wide

    @property
    def inner(self) -> tuple[Grid, Tiling, Tiling]:
        """How to write output: each tile for itself."""
        return self.grid, self.high._replace(halo=0), self.wide._replace(halo=0)

    @property
    def n_products(self) -> int:
        """Multiplications of a product of spectra, for each map and pair of channels.

        What counts is time: two products of bfloat16 take that of one of float32.
        """
        each = 2 if self.compact else 4
        return each * self.grid.n_frequencies * self.high.n * self.wide.n

    @property
    def n_turns(self) -> int:
        """Multiplications of a transform of a map, for each channel."""
        return _turns(self.grid, self.high, self.wide) * self.high.n * self.wide.n

    def chunks(self, n_maps: int, *, by_map: int, by_weight: int) -> Iterator[slice]:
        """Split maps so that so many spectra of a chunk, and of the weights, are in budget."""
        room = max(BUDGET - by_weight * self.weight_bytes, BUDGET // 4)
        size = max(1, room // (by_map * self.map_bytes))
        return (slice(first, first + size) for first in range(0, n_maps, size))


@functools.lru_cache(maxsize=1024)
def cut_maps(
    height: int, width: int, c_in: int, outs: tuple[tuple[int, int], ...], dtype: torch.dtype
) -> Cut:
    """Choose the tiles that need the fewest multiplications while the weights stay in budget.

    `outs` holds the number of channels and the kernel size of each convolution.
    """
    reach = max(k for _, k in outs) // 2
    c_out = sum(c for c, _ in outs)
    compact = dtype == torch.bfloat16 and has_bfloat16_products()
    itemsize = compute_dtype(dtype).itemsize
    lanes = LINE // itemsize
    widest = -(-max(c_in, *(c for c, _ in outs)) // lanes) * lanes
    cuts = []
    for high, wide in itertools.product(_tilings(height, reach), _tilings(width, reach)):
        grid = Grid(_length(high), _length(wide))
        n_bytes = 2 * itemsize * grid.n_frequencies
        map_bytes = n_bytes * high.n * wide.n * widest
        kernel_turns = sum(c * _turns(grid, *_kernel_tilings(k)) for c, k in outs)
        weight_bytes = n_bytes * c_in * c_out
        cuts.append(Cut(grid, high, wide, kernel_turns, weight_bytes, map_bytes, compact))

    def cost(cut: Cut) -> int:
        return cut.n_products * c_in * c_out + cut.n_turns * (c_in + c_out)

    fitting = [cut for cut in cuts if cut.weight_bytes <= BUDGET // 2]
    return min(fitting, key=cost) if fitting else min(cuts, key=lambda cut: cut.weight_bytes)


def _turns(grid: Grid, high: Tiling, wide: Tiling) -> int:
    """Return the multiplications of the transform of one tile."""
    n_columns, n_half = grid.width // 2 + 1, grid.height // 2 + 1
    return 2 * n_columns * (high.extent * wide.reach + 2 * n_half * high.reach)


def _tilings(size: int, reach: int) -> Iterator[Tiling]:
    """Yield ways to cut an axis, into tiles from the whole down to 8 positions."""
    steps = {-(-size // n) for n in range(1, -(-size // 8) + 1)}
    for step in sorted(steps):
        yield Tiling(size, 0, step, -(-size // step), reach, center=(step - 1) // 2)


def _length(tiling: Tiling) -> int:
    """Return how long a transform must be for results not to wrap around onto each other."""
    # A single tile has nothing but zeros around it, and its two margins can share them.
    return tiling.step + tiling.halo * (1 if tiling.n == 1 else 2)
