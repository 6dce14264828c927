"""Which frequencies are kept, and the matrices of the transforms against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from skspike.kernels._spectra_tables import (
    Grid,
    column_table,
    inverse_column_tables,
    inverse_row_table,
    row_table,
)

REAL = np.dtype(np.float64)
SIZES = [(1, 1), (2, 3), (3, 2), (7, 5), (8, 8), (20, 9), (17, 34)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_half_the_frequencies_are_enough(height, width):
    # Each has a real and an imaginary part; at its own mirror image the latter is zero.
    n = Grid(height, width).n_frequencies
    self_mirrored = (2 - height % 2) * (2 - width % 2)
    assert 2 * n - self_mirrored == height * width


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_columns_follow_each_other(height, width):
    grid = Grid(height, width)
    sizes = np.diff(grid.starts)
    assert len(sizes) == width // 2 + 1
    assert (sizes[grid.mirrored] == height // 2 + 1).all()
    assert (sizes[~grid.mirrored] == height).all()


def turns(sign, a, b, length):
    return np.exp(sign * 2j * np.pi * np.outer(a, b) / length)


def test_row_table():
    flat, width = row_table(9, 5, 2, 8, REAL)
    assert width == 16
    table = flat.reshape(9, width)
    expected = turns(-1, np.arange(-2, 7), np.arange(5), 9)
    np.testing.assert_allclose(table[:, 0:10:2] + 1j * table[:, 1:10:2], expected, atol=1e-14)
    assert not table[:, 10:].any()


def blocks(flat, n_rows, n_blocks, lanes):
    parts = flat.reshape(n_rows, n_blocks, 2, lanes)
    return (parts[:, :, 0] + 1j * parts[:, :, 1]).reshape(n_rows, -1)


def test_column_table():
    flat, n_blocks = column_table(7, 5, 1, 4, REAL)
    table = blocks(flat, 7, n_blocks, 4)
    expected = turns(-1, np.arange(-1, 6), np.arange(7), 7)
    np.testing.assert_allclose(table[:, :7], expected, atol=1e-14)
    assert not table[:, 7:].any()


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_inverse_column_tables(length):
    half, full, n_blocks = inverse_column_tables(length, length, 0, 4, REAL)
    x = np.random.default_rng(0).standard_normal(length)
    spectrum = np.fft.fft(x)
    table = blocks(full, length, n_blocks, 4)[:, :length]
    np.testing.assert_allclose(spectrum @ table / length, x, atol=1e-14)
    kept = length // 2 + 1
    table = blocks(half, kept, n_blocks, 4)[:, :length]
    np.testing.assert_allclose((spectrum[:kept] @ table).real / length, x, atol=1e-14)


@pytest.mark.parametrize("width", [1, 2, 7, 8])
def test_inverse_row_table(width):
    flat, padded = inverse_row_table(Grid(3, width), width, 0, 4, REAL)
    x = np.random.default_rng(0).standard_normal(width)
    spectrum = np.fft.rfft(x)
    spectrum[0] += 5j  # of a mirrored column only the real part counts
    parts = np.stack([spectrum.real, spectrum.imag], 1).ravel()
    y = parts @ flat.reshape(-1, padded)
    np.testing.assert_allclose(3 * y[:width], x, atol=1e-14)
    assert not y[width:].any()
