"""Transforms and products of spectra against numpy's, in float64 and float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skspike._tile_numba import has_bfloat16_products
from skspike.kernels._spectra_numba import Spectra, analyse, correlate, multiply, synthesise
from skspike.kernels._spectra_tables import Grid, Tiling

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}
GRIDS = [Grid(1, 1), Grid(2, 3), Grid(3, 2), Grid(7, 5), Grid(8, 8), Grid(20, 9), Grid(17, 34)]

by_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
by_grid = pytest.mark.parametrize("grid", GRIDS, ids=str)


def whole(size):
    return Tiling(size, 0, size, 1, 0, size // 3)


def draw(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)


def numbers(spectra: Spectra) -> np.ndarray:
    """Return (row, channel, frequency)."""
    data, n = spectra.data, spectra.grid.n_frequencies
    lanes = spectra.width if spectra.compact else spectra.width // 2
    if spectra.compact:
        data = data.reshape(-1, 1, lanes)
        data = np.concatenate([data << 16, data >> 16 << 16], 1).view(np.float32).ravel()
    stride = 2 * lanes * (spectra.stride // spectra.width)
    data = data[: n * stride].reshape(n, -1, 2, lanes)[:, :-1]
    data = data.reshape(n, spectra.n_blocks, spectra.rows, 2, lanes)[:, :, : spectra.n]
    z = (data[..., 0, :] + 1j * data[..., 1, :]).transpose(2, 1, 3, 0)
    return z.reshape(spectra.n, -1, n)[:, : spectra.n_channels]


def expected_spectra(x: torch.Tensor, grid: Grid, center=(0, 0)) -> np.ndarray:
    """Return (row, channel, frequency) by numpy: the columns one after the other, some halved.

    Position 0 of `x` comes first; frequencies turn the other way than numpy's.
    """
    x = np.roll(x.double().numpy(), (-center[0], -center[1]), (1, 2))
    z = np.fft.rfft2(x, axes=(1, 2)).conj()  # (M, u, v, C)
    columns = [
        z[:, : grid.height // 2 + 1 if 2 * v % grid.width == 0 else grid.height, v]
        for v in range(grid.width // 2 + 1)
    ]
    return np.concatenate(columns, 1).transpose(0, 2, 1)


@by_dtype
@by_grid
@pytest.mark.parametrize("n_channels", [1, 16, 19])
def test_analyse(grid, dtype, n_channels):
    x = draw(3, *grid, n_channels, dtype=dtype)
    high, wide = whole(grid.height), whole(grid.width)
    found = numbers(analyse(x, grid, high, wide))
    expected = expected_spectra(x, grid, (high.center, wide.center))
    scale = TOLERANCE[dtype] * 10
    np.testing.assert_allclose(found, expected, rtol=scale, atol=scale)


@by_dtype
@by_grid
@pytest.mark.parametrize("n_channels", [1, 16, 19])
def test_synthesise_is_the_inverse(grid, dtype, n_channels):
    x, bias = draw(3, *grid, n_channels, dtype=dtype), draw(n_channels, dtype=dtype)
    tilings = whole(grid.height), whole(grid.width)
    y = torch.full_like(x, torch.nan)
    synthesise(analyse(x, grid, *tilings), y, bias, *tilings)
    torch.testing.assert_close(y, x + bias, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_tiles_are_read_with_their_surroundings():
    x = draw(2, 11, 10, 3)
    high, wide = Tiling(11, 0, 4, 3, 1, 1), Tiling(10, 0, 5, 2, 2, 3)
    grid = Grid(6, 9)
    found = numbers(analyse(x, grid, high, wide))
    padded = torch.nn.functional.pad(x, (0, 0, 2, 2, 1, 2))  # the last tile is cut off
    for m in range(2):
        for i in range(3):
            for j in range(2):
                tile = padded[m, 4 * i : 4 * i + 6, 5 * j : 5 * j + 9]
                tile = tile.roll((-1, -2), (0, 1))[None]  # position 0 of a tile comes first
                row = (m * 3 + i) * 2 + j
                expected = expected_spectra(tile, grid, (1, 3))[0]
                np.testing.assert_allclose(found[row], expected, rtol=1e-12, atol=1e-12)


def test_overlapping_tiles_add_up():
    high, wide = Tiling(11, 0, 4, 3, 1, 1), Tiling(10, 0, 5, 2, 2, 3)
    grid = Grid(6, 9)
    x = torch.ones(1, 11, 10, 2, dtype=torch.float64)
    y = torch.empty_like(x)
    synthesise(analyse(x, grid, high, wide), y, None, high, wide)
    by_row = torch.tensor([1, 1, 1, 2, 2, 1, 1, 2, 2, 1, 1.0])
    by_column = torch.tensor([1, 1, 1, 2, 2, 2, 2, 1, 1, 1.0])
    torch.testing.assert_close(y[0, :, :, 0], torch.outer(by_row, by_column).double())


@by_dtype
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 16, 17), (9, 35, 3), (20, 8, 33)], ids=str)
def test_products(sizes, dtype):
    m, n, k = sizes
    grid = Grid(4, 5)
    tilings = whole(4), whole(5)
    a = analyse(draw(m, 4, 5, n, dtype=dtype), grid, *tilings)
    b = analyse(draw(n, 4, 5, k, dtype=dtype), grid, *tilings)
    d = analyse(draw(m, 4, 5, k, dtype=dtype), grid, *tilings)
    za, zb, zd = (numbers(s) for s in (a, b, d))
    scale = TOLERANCE[dtype] * 100
    close = {"rtol": scale, "atol": scale}
    expected = np.einsum("mnf,nkf->mkf", za, zb)
    c = multiply(a, b)
    np.testing.assert_allclose(numbers(c), expected, **close)
    np.testing.assert_allclose(numbers(multiply(a, b, into=c)), 2 * expected, **close)
    expected = np.einsum("mnf,nkf->mkf", za, zb.conj())
    np.testing.assert_allclose(numbers(multiply(a, b, conjugate=True)), expected, **close)
    expected = np.einsum("mnf,mkf->nkf", za.conj(), zd)
    c = correlate(a, d)
    np.testing.assert_allclose(numbers(c)[:n], expected, **close)
    np.testing.assert_allclose(numbers(correlate(a, d, into=c))[:n], 2 * expected, **close)


def test_total():
    x = draw(5, 4, 6, 19)
    s = analyse(x, Grid(4, 6), whole(4), whole(6))
    np.testing.assert_allclose(s.total(), x.sum((0, 1, 2)).numpy(), rtol=1e-12)


def test_sixteen_bits():
    x = draw(2, 5, 6, 17).bfloat16()
    tilings = whole(5), whole(6)
    s = analyse(x, Grid(5, 6), *tilings)
    assert s.data.dtype == np.float32
    y = torch.empty_like(x)
    synthesise(s, y, None, *tilings)
    torch.testing.assert_close(y, x, rtol=0.01, atol=1e-5)


# --- spectra in bfloat16 ---

with_pairs = pytest.mark.skipif(not has_bfloat16_products(), reason="needs AVX-512 BF16")


@with_pairs
@pytest.mark.parametrize("n_channels", [1, 16, 19])
def test_compact_spectra_are_rounded_ones(n_channels):
    grid, tilings = Grid(7, 6), (whole(7), whole(6))
    x = draw(3, *grid, n_channels, dtype=torch.float32)
    compact, s = analyse(x, grid, *tilings, compact=True), analyse(x, grid, *tilings)
    assert compact.data.nbytes < 0.51 * s.data.nbytes
    for part in ("real", "imag"):
        found, expected = (getattr(numbers(spectra), part) for spectra in (compact, s))
        rounded = torch.from_numpy(np.ascontiguousarray(expected)).bfloat16().float().numpy()
        np.testing.assert_array_equal(found, rounded)
    np.testing.assert_allclose(compact.total(), s.total(), rtol=2**-6, atol=0.1)


@with_pairs
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 16, 17), (9, 35, 3), (20, 8, 33)], ids=str)
def test_products_of_compact_spectra(sizes):
    m, n, k = sizes
    grid, tilings = Grid(4, 5), (whole(4), whole(5))
    a, b, d = (
        analyse(draw(*shape, dtype=torch.float32), grid, *tilings, compact=True)
        for shape in ((m, 4, 5, n), (n, 4, 5, k), (m, 4, 5, k))
    )
    za, zb, zd = (numbers(s).astype(np.complex128) for s in (a, b, d))
    close = {"rtol": 1e-5, "atol": 1e-3}  # the products are exact, their sums are in float32
    expected = np.einsum("mnf,nkf->mkf", za, zb)
    c = multiply(a, b)
    assert not c.compact
    np.testing.assert_allclose(numbers(c), expected, **close)
    np.testing.assert_allclose(numbers(multiply(a, b, into=c)), 2 * expected, **close)
    expected = np.einsum("mnf,nkf->mkf", za, zb.conj())
    np.testing.assert_allclose(numbers(multiply(a, b, conjugate=True)), expected, **close)
    expected = np.einsum("mnf,mkf->nkf", za.conj(), zd)
    c = correlate(a, d)
    np.testing.assert_allclose(numbers(c)[:n], expected, **close)
    np.testing.assert_allclose(numbers(correlate(a, d, into=c))[:n], 2 * expected, **close)
