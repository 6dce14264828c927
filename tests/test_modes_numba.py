"""Linear recurrences on vector registers against loops in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from skspike._compile_numba import specialize
from skspike._modes_numba import (
    COLUMNS,
    GROUP,
    ROWS,
    make_advance,
    make_collect,
    make_expand,
    make_record,
    make_retreat,
)
from skspike._tile_numba import n_lanes

DTYPE = np.dtype(np.float64)
LANES = n_lanes(DTYPE)
N = 5

advance = record = retreat = expand = collect = None  # bound by `specialize`


def numbers(*shape):
    """Return real numbers for each lane."""
    return np.random.default_rng(len(shape)).standard_normal((*shape, LANES))


def group(seed):
    """Return a complex number for each mode and lane."""
    parts = np.random.default_rng(seed).standard_normal((2, GROUP, LANES))
    return parts[0] + 1j * parts[1]


def pack(z):
    return np.stack([z.real, z.imag], -2).ravel()


def unpack(z, *shape):
    z = z.reshape(*shape, GROUP, 2, LANES)
    return z[..., 0, :] + 1j * z[..., 1, :]


def run_through(x, d, s):
    """Return the modes before the first step and after each."""
    states = [s]
    for x_t in x:
        states.append(d * states[-1] + x_t)
    return np.stack(states)


def _advance(x, d, c, s, y, add):
    advance(x, LANES, N, d, 0, c, 0, s, 0, y, LANES, add)


def _record(x, d, s, states):
    record(x, LANES, N, d, 0, s, 0, states, LANES)


def _retreat(dy, d, c, states, ds, dd, dc, dx, add):
    retreat(dy, LANES, N, d, 0, c, 0, states, LANES, ds, 0, dd, 0, dc, 0, dx, LANES, add)


@pytest.mark.parametrize("add", [False, True])
def test_advance(add):
    x, y, (d, c, s) = numbers(N + 1), numbers(N + 2), map(group, range(3))
    found, last = y.ravel().copy(), pack(s)
    specialize(_advance, advance=make_advance(DTYPE))(x.ravel(), pack(d), pack(c), last, found, add)
    states = run_through(x[1:], d, s)
    y[1 : N + 1] = add * y[1 : N + 1] + (c * states[1:]).sum(1).real
    np.testing.assert_allclose(found.reshape(y.shape), y, rtol=0, atol=1e-12)
    np.testing.assert_allclose(unpack(last), states[-1], rtol=0, atol=1e-12)


def test_record():
    x, (d, s) = numbers(N + 1), map(group, range(2))
    found, before = np.zeros(LANES * (1 + (N + 1) * GROUP * 2)), pack(s)
    specialize(_record, record=make_record(DTYPE))(x.ravel(), pack(d), before, found)
    states = run_through(x[1:], d, s)
    np.testing.assert_allclose(unpack(found[LANES:], N + 1), states, rtol=0, atol=1e-12)
    assert (unpack(before) == s).all()


@pytest.mark.parametrize("add", [False, True])
def test_retreat(add):
    x, dy, dx = numbers(N), numbers(N + 1), numbers(N + 2)
    d, c, s, ds, dd, dc = map(group, range(6))
    states = run_through(x, d, s)
    found = [pack(z) for z in (ds, dd, dc)]
    found_dx = dx.ravel().copy()
    run = specialize(_retreat, retreat=make_retreat(DTYPE))
    kept = np.concatenate([np.zeros(LANES), pack(states)])
    run(dy.ravel(), pack(d), pack(c), kept, *found, found_dx, add)
    for t in range(N - 1, -1, -1):
        h = ds + c.conj() * dy[t + 1]
        dx[t + 1] = add * dx[t + 1] + h.sum(0).real
        dd = dd + states[t].conj() * h
        dc = dc + states[t + 1].conj() * dy[t + 1]
        ds = d.conj() * h
    np.testing.assert_allclose(found_dx.reshape(dx.shape), dx, rtol=0, atol=1e-12)
    for a, b in zip(found, (ds, dd, dc), strict=True):
        np.testing.assert_allclose(unpack(a), b, rtol=0, atol=1e-12)


def _expand(w, q, y, step):
    expand(w, 0, q, 0, GROUP, y, LANES, step)


def _collect(y, step, q, u):
    collect(y, LANES, step, q, 0, N, GROUP, u, 0)


def powers(n):
    """Return `n` complex numbers for each mode and lane."""
    return np.stack([group(seed) for seed in range(n)])


def test_expand():
    w, q = powers(ROWS), powers(ROWS + COLUMNS)[ROWS:]
    y = np.full((ROWS, 4, LANES), 7.0)
    found = y.ravel().copy()
    specialize(_expand, expand=make_expand(DTYPE))(pack(w), pack(q), found, 4 * LANES)
    y[:, 1 : 1 + COLUMNS] = (w[:, None] * q).sum(2).real
    np.testing.assert_allclose(found.reshape(y.shape), y, rtol=0, atol=1e-12)


def test_collect():
    y, q = numbers(ROWS, N + 1), powers(N)
    found = np.full(ROWS * GROUP * 2 * LANES, 7.0)
    of_one_mode = pack(q[:, 0])
    run = specialize(_collect, collect=make_collect(DTYPE))
    run(y.ravel(), (N + 1) * LANES, of_one_mode, found)
    expected = (q[:, 0].conj() * y[:, 1:]).sum(1)
    np.testing.assert_allclose(unpack(found, ROWS)[:, 0], expected, rtol=0, atol=1e-12)
    assert (unpack(found, ROWS)[:, 1] == 7 + 7j).all()
