"""Steps of Fourier transforms against numpy's, for every radix."""

from __future__ import annotations

import numpy as np
import pytest

from skspike._compile_numba import specialize
from skspike._radix_numba import make_enter, make_leave, make_product, make_step
from skspike._tile_numba import n_lanes

DTYPE = np.dtype(np.float64)
LANES = n_lanes(DTYPE)

step = enter = leave = product = None  # bound by `specialize`


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


def _enter_and_leave(x, z, table, y):
    enter(x, 0, LANES, z, 0, 2 * LANES, table, 0)
    leave(z, 0, 2 * LANES, table, 0, y, 0, LANES)


def _multiply(a, b, c):
    product(a, 0, b, 0, c, 0)


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


@pytest.mark.parametrize("subtract", [False, True])
def test_what_enters_leaves(subtract):
    x, z, y = np.random.default_rng(0).standard_normal((3, 4 * LANES))
    x, y = x[: 2 * LANES], y[: 2 * LANES].copy()
    leave = make_leave(DTYPE, subtract=subtract)
    specialize(_enter_and_leave, enter=make_enter(DTYPE), leave=leave)(
        x, z, np.array([0.6, 0.8]), y
    )
    (one,) = unpack(x)
    np.testing.assert_allclose(unpack(z), [one, (0.6 + 0.8j) * one], rtol=0, atol=1e-15)
    np.testing.assert_allclose(y, 0 * x if subtract else 2 * x, rtol=0, atol=1e-15)


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("conjugate", [False, True])
def test_product(conjugate, add):
    a, b, c = (z[None] for z in numbers(3))
    found = pack(c)
    run = specialize(_multiply, product=make_product(DTYPE, conjugate=conjugate, add=add))
    run(pack(a), pack(b), found)
    expected = (a.conj() if conjugate else a) * b + add * c
    np.testing.assert_allclose(unpack(found), expected, rtol=0, atol=1e-14)
