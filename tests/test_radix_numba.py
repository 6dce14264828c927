"""Steps of Fourier transforms against numpy's, for every radix."""

from __future__ import annotations

import numpy as np
import pytest

from skspike._compile_numba import specialize
from skspike._radix_numba import make_enter, make_filter, make_leave, make_step
from skspike._tile_numba import n_lanes

DTYPE = np.dtype(np.float64)
LANES = n_lanes(DTYPE)

step = enter = leave = apply = None  # bound by `specialize`


def numbers(n):
    """Return `n` complex numbers for each lane."""
    parts = np.random.default_rng(0).standard_normal((2, n, LANES))
    return parts[0] + 1j * parts[1]


def pack(z):
    return np.stack([z.real, z.imag], 1).ravel()


def unpack(z):
    z = z.reshape(-1, 2, LANES)
    return z[:, 0] + 1j * z[:, 1]


def _step(z, apart, table):
    step(z, 2 * LANES, apart, table, 2)


def _enter_and_leave(x, im_at, z, table, y):
    enter(x, 0, im_at, z, 0, 2 * LANES, table, 0, 0)
    leave(z, 0, 2 * LANES, table, 0, y, 0, im_at, 0)


def _apply(z, spectrum, other, total):
    apply(z, 0, spectrum, 0)


def _correlate(z, spectrum, other, total):
    apply(z, 0, spectrum, 0, other, 0, total, 0)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("radix", [2, 4, 8])
def test_step(radix, inverse, turned):
    z = numbers(2 * radix + 1)
    roots = np.exp(2j * np.arange(radix))[:, None]  # the first one is never read
    run = specialize(_step, step=make_step(DTYPE, radix, inverse=inverse, turned=turned))
    found = pack(z)
    run(found, 4 * LANES, np.stack([roots.real, roots.imag], 1).ravel())
    factors = roots if turned else np.ones((radix, 1))
    factors[0] = 1
    every_second = z[1::2][:radix]
    if inverse:
        z[1::2] = radix * np.fft.ifft(every_second * factors.conj(), axis=0)
    else:
        z[1::2] = np.fft.fft(every_second, axis=0) * factors
    np.testing.assert_allclose(unpack(found), z, rtol=0, atol=1e-14)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("subtract", [False, True])
def test_what_enters_leaves(subtract, paired):
    x, z, y = np.random.default_rng(0).standard_normal((3, 4 * LANES))
    x, y = x[: 2 * LANES], y[: 2 * LANES].copy()
    steps = {"enter": make_enter(DTYPE), "leave": make_leave(DTYPE, subtract=subtract)}
    run = specialize(_enter_and_leave, **steps)
    run(x, LANES * paired, z, np.array([0.6, 0.8]), y)
    (one,) = unpack(x)
    one = one if paired else one.real
    np.testing.assert_allclose(unpack(z), [one, (0.6 + 0.8j) * one], rtol=0, atol=1e-15)
    n = LANES * (1 + paired)
    np.testing.assert_allclose(y[:n], (0 if subtract else 2) * x[:n], rtol=0, atol=1e-15)


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("correlate", [False, True])
def test_filter(correlate, adjoint):
    z, spectrum, other, total = numbers(32).reshape(4, 8, LANES)
    found = [pack(a) for a in (z, spectrum, other, total)]
    apply = make_filter(DTYPE, adjoint=adjoint, correlate=correlate)
    specialize(_correlate if correlate else _apply, apply=apply)(*found)
    frequencies = np.fft.fft(z, axis=0)
    factor = spectrum.conj() if adjoint else spectrum
    expected = 8 * np.fft.ifft(factor * frequencies, axis=0)
    np.testing.assert_allclose(unpack(found[0]), expected, rtol=0, atol=1e-12)
    expected = total + correlate * other.conj() * frequencies
    np.testing.assert_allclose(unpack(found[3]), expected, rtol=0, atol=1e-12)
