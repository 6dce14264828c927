"""Which frequencies are kept, and the matrices of the transforms against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from skspike.kernels._spectra_tables import Grid, Tiling, inverse_turns, turns

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


@pytest.mark.parametrize("tiling", [(9, 0, 9, 1, 2), (7, 3, 4, 1, 3), (20, 0, 6, 4, 2)], ids=str)
@pytest.mark.parametrize("center", [0, 2, 5])
def test_reach_is_the_farthest_position(tiling, center):
    tiling = Tiling(*tiling, center)
    distances = []
    for i in range(tiling.n):
        origin = tiling.origin + i * tiling.step
        first = max(0, origin - tiling.halo)
        stop = min(tiling.size, origin + tiling.step + tiling.halo)
        distances += [abs(h - origin - center) for h in range(first, stop)]
        assert stop - first <= tiling.extent
    assert tiling.reach == 1 + max(distances)


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_turns(length):
    cos, sin, width = turns(length, 3, 5, 4, REAL)
    assert width == 8
    table = cos.reshape(3, width) + 1j * sin.reshape(3, width)
    expected = np.exp(2j * np.pi * np.outer(np.arange(3), np.arange(5)) / length)
    np.testing.assert_allclose(table[:, :5], expected, atol=1e-14)
    assert not table[:, 5:].any()


@pytest.mark.parametrize("width", [1, 2, 7, 8])
def test_inverse_turns(width):
    grid = Grid(3, width)
    cos, sin, padded = inverse_turns(grid, width, 4, REAL)
    x = np.random.default_rng(0).standard_normal(width)
    spectrum = np.fft.rfft(x)
    spectrum[grid.mirrored] += 5j  # of such a column only the real part counts
    cos, sin = (part.reshape(-1, padded) for part in (cos, sin))
    y = spectrum.real @ cos - spectrum.imag @ sin
    np.testing.assert_allclose(3 * y[:width], x, atol=1e-13)
    assert not y[width:].any()
