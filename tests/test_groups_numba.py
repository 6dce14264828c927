"""Mixtures of channels that lie side by side in vectors, against matrices in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from skspike._compile_numba import specialize
from skspike._groups_numba import make_collect, make_mix, partners
from skspike._tile_numba import n_lanes

DTYPE = np.dtype(np.float64)
LANES = n_lanes(DTYPE)
N = 5
WIDTHS = [n for n in (1, 2, 4, 8) if LANES % n == 0]

mix = collect = None  # bound by `specialize`


def numbers(n, seed):
    """Return n vectors of real numbers."""
    return np.random.default_rng(seed).standard_normal((n, LANES))


def _mix(x, weights, y, add):
    mix(x, LANES, N, weights, LANES, y, LANES, add)


def _collect(x, dy, totals):
    collect(x, LANES, N, dy, LANES, totals, LANES)


def test_each_lane_meets_its_group():
    assert partners(1, 3).tolist() == [[0, 1, 2]]
    assert partners(2, 4).tolist() == [[0, 1, 2, 3], [1, 0, 3, 2]]
    assert partners(4, 4)[3].tolist() == [3, 0, 1, 2]


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("n_channels", WIDTHS)
def test_mix(n_channels, add):
    x, weights, y = numbers(N + 1, 0), numbers(n_channels + 2, 1), numbers(N + 2, 2)
    found = y.ravel().copy()
    compiled = specialize(_mix, mix=make_mix(DTYPE, n_channels), real=np.float64)
    compiled(x.ravel(), weights.ravel(), found, add)
    start = y[1:-1] if add else weights[-1]
    y[1:-1] = start + (weights[1:-1] * x[1:, partners(n_channels, LANES)]).sum(1)
    np.testing.assert_allclose(found.reshape(y.shape), y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_channels", WIDTHS)
def test_collect(n_channels):
    x, dy, totals = numbers(N + 1, 0), numbers(N + 1, 1), numbers(n_channels + 3, 2)
    found = totals.ravel().copy()
    compiled = specialize(_collect, collect=make_collect(DTYPE, n_channels), real=np.float64)
    compiled(x.ravel(), dy.ravel(), found)
    totals[1:-2] += (dy[1:, None] * x[1:, partners(n_channels, LANES)]).sum(0)
    totals[-2] += dy[1:].sum(0)
    np.testing.assert_allclose(found.reshape(totals.shape), totals, rtol=0, atol=1e-12)
