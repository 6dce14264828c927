"""Operations on vector registers against numpy, in every kind, precision and addressing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skspike import _tile_numba
from skspike._compile_numba import specialize
from skspike._tile_numba import (
    has_bfloat16_products,
    make_butterfly,
    make_put,
    make_read,
    make_tile,
    make_write,
    n_lanes,
    n_real_rows,
    n_rows,
    vector_bytes,
)

tile = butterfly = read = write = put = None  # bound by `specialize`

by_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def _product(a, a_step, b, b_step, c, c_step, n, add):
    tile(a, 1, a_step, b, 2, b_step, c, 3, c_step, n, add, 8)


def _draw(shape, dtype):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def _shift(matrix, offset):
    """Put a matrix into a flat array, `offset` numbers from its start."""
    return np.concatenate([np.zeros(offset, matrix.dtype), matrix.ravel()])


def _complex(parts):
    """Read (..., part, lane) as complex numbers."""
    return parts[..., 0, :] + 1j * parts[..., 1, :]


@by_dtype
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_real(dtype, n, add):
    lanes, rows = n_lanes(np.dtype(dtype)), n_real_rows(np.dtype(dtype))
    a, b = _draw((n, rows + 3), dtype), _draw((n, 2, 2, lanes), dtype)
    c = _draw((rows, 2, lanes), dtype)
    flat_a, flat_b, flat_c = _shift(a, 1), _shift(b, 2), _shift(c, 3)
    kernel = specialize(_product, tile=make_tile(np.dtype(dtype), "real"))
    kernel(flat_a, rows + 3, flat_b, 4 * lanes, flat_c, 2 * lanes, n, add)
    expected = np.einsum("kr,kpl->rpl", a[:, :rows], b[:, 0]) + c * add
    np.testing.assert_allclose(flat_c[3:].reshape(c.shape), expected, rtol=1e-5, atol=1e-5)
    assert not flat_c[:3].any()


@by_dtype
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("kind", ["complex", "conjugate", "adjoint"])
@pytest.mark.parametrize("prefetch", [False, True])
def test_complex(dtype, kind, add, prefetch):
    n, lanes, rows = 7, n_lanes(np.dtype(dtype)), n_rows(np.dtype(dtype))
    a, b = _draw((n, 2, lanes), dtype), _draw((n, 2, lanes), dtype)[::-1].copy()
    c = _draw((rows, 3, 2, lanes), dtype)
    flat_c = _shift(c, 3)
    kernel = specialize(_product, tile=make_tile(np.dtype(dtype), kind, prefetch=prefetch))
    args = _shift(a, 1), 2 * lanes, _shift(b, 2), 2 * lanes, flat_c, 6 * lanes, n, add
    kernel(*args)
    first = _complex(a).conj() if kind == "adjoint" else _complex(a)
    second = _complex(b).conj() if kind == "conjugate" else _complex(b)
    expected = first[:, :rows].T @ second + _complex(c)[:, 0] * add
    found = flat_c[3:].reshape(c.shape)
    np.testing.assert_allclose(_complex(found)[:, 0], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found[:, 1:], c[:, 1:])  # what lies between is not touched


@by_dtype
def test_by_row(dtype):
    lanes, rows = n_lanes(np.dtype(dtype)), n_rows(np.dtype(dtype))
    n = 2 * lanes + 3  # two blocks and a part of one
    a, b = _draw((3, rows, 2, lanes), dtype), _draw((n, 2, lanes), dtype)
    c = np.zeros((rows, 2, lanes), dtype)
    flat_c = _shift(c, 3)
    kernel = specialize(_product, tile=make_tile(np.dtype(dtype), "complex", by_row=True))
    a_step = rows * 2 * lanes
    kernel(_shift(a, 1), a_step, _shift(b, 2), 2 * lanes, flat_c, 2 * lanes, n, False)
    matrix = _complex(a).transpose(1, 0, 2).reshape(rows, 3 * lanes)[:, :n]
    found = _complex(flat_c[3:].reshape(c.shape))
    np.testing.assert_allclose(found, matrix @ _complex(b), rtol=1e-4, atol=1e-4)


def _pack(parts):
    """Put (..., part, lane) of numbers that bfloat16 holds exactly into 32 bits a lane."""
    high = np.ascontiguousarray(parts).view(np.uint32) >> 16
    return high[..., 0, :] | high[..., 1, :] << 16


@pytest.mark.skipif(not has_bfloat16_products(), reason="needs AVX-512 BF16")
class TestCompact:
    lanes, rows, n = 16, 8, 21

    @staticmethod
    def draw(*shape):
        """Return numbers that bfloat16 holds exactly, and float32 their products and sums."""
        return np.random.default_rng(0).integers(-100, 100, shape).astype(np.float32)

    @pytest.mark.parametrize("add", [False, True])
    @pytest.mark.parametrize("kind", ["complex", "conjugate", "adjoint"])
    def test_products(self, kind, add):
        a, b = self.draw(self.n, 2, self.lanes), self.draw(self.n, 2, self.lanes)[::-1].copy()
        c = self.draw(self.rows, 3, 2, self.lanes)
        flat_c = _shift(c, 3)
        kernel = specialize(_product, tile=make_tile(np.dtype("f4"), kind, compact=True))
        flat_a, flat_b = _shift(_pack(a), 1), _shift(_pack(b), 2)
        kernel(flat_a, self.lanes, flat_b, self.lanes, flat_c, 6 * self.lanes, self.n, add)
        first = _complex(a).conj() if kind == "adjoint" else _complex(a)
        second = _complex(b).conj() if kind == "conjugate" else _complex(b)
        expected = first[:, : self.rows].T @ second + _complex(c)[:, 0] * add
        found = flat_c[3:].reshape(c.shape)
        np.testing.assert_array_equal(_complex(found)[:, 0], expected)
        np.testing.assert_array_equal(found[:, 1:], c[:, 1:])

    def test_by_row(self):
        a, b = self.draw(2, self.rows, 2, self.lanes), self.draw(self.n, 2, self.lanes)
        flat_c = np.zeros(3 + self.rows * 2 * self.lanes, np.float32)
        tile = make_tile(np.dtype("f4"), "complex", by_row=True, compact=True)
        steps = self.rows * self.lanes, self.lanes, 2 * self.lanes
        flat_a, flat_b = _shift(_pack(a), 1), _shift(_pack(b), 2)
        kernel = specialize(_product, tile=tile)
        kernel(flat_a, steps[0], flat_b, steps[1], flat_c, steps[2], self.n, False)
        matrix = _complex(a).transpose(1, 0, 2).reshape(self.rows, -1)[:, : self.n]
        found = _complex(flat_c[3:].reshape(self.rows, 2, self.lanes))
        np.testing.assert_array_equal(found, matrix @ _complex(b))


def _split(a, b, c, ahead):
    butterfly(a, 1, b, 2, c, 3, 3 + len(c) // 2, ahead)


@by_dtype
@pytest.mark.parametrize("options", [{}, {"add": True}, {"prefetch": True}], ids=str)
def test_butterfly(dtype, options):
    lanes = n_lanes(np.dtype(dtype))
    a, b, c = (_draw(n * lanes, dtype) for n in (2, 3, 6))
    found = c.copy()
    specialize(_split, butterfly=make_butterfly(np.dtype(dtype), **options))(a, b, found, 8)
    expected = c.copy()
    for start, value in ((3, a[1:][:lanes] + b[2:][:lanes]), (0, a[1:][:lanes] - b[2:][:lanes])):
        at = start or 3 + 3 * lanes
        expected[at : at + lanes] = value + c[at : at + lanes] * ("add" in options)
    np.testing.assert_array_equal(found, expected)


def _copy(a, b):
    read(a, 1, b, 2)


def _add(a, b, c):
    write(a, 1, b, 2, c, 3)


def _put(a, b):
    put(a, 1, b, 2, 8)


@by_dtype
def test_read_and_write(dtype):
    lanes = n_lanes(np.dtype(dtype))
    a, b, c = (_draw(3 * lanes, dtype) for _ in range(3))
    found = b.copy()
    specialize(_copy, read=make_read(np.dtype(dtype)))(a, found)
    np.testing.assert_array_equal(found, [*b[:2], *a[1 : 1 + lanes], *b[2 + lanes :]])
    found = c.copy()
    specialize(_add, write=make_write(np.dtype(dtype)))(a, b, found)
    sums = a[1 : 1 + lanes] + b[2 : 2 + lanes]
    np.testing.assert_array_equal(found, [*c[:3], *sums, *c[3 + lanes :]])


@by_dtype
def test_put(dtype):
    lanes = n_lanes(np.dtype(dtype))
    a, b = _draw(4 * lanes, dtype), _draw(4 * lanes, dtype)[::-1].copy()
    found = b.copy()
    specialize(_put, put=make_put(np.dtype(dtype)))(a, found)
    np.testing.assert_array_equal(found, [*b[:2], *a[1 : 1 + 2 * lanes], *b[2 + 2 * lanes :]])


def _bfloat16(values):
    """Round as torch does; return the bits."""
    return torch.from_numpy(values).bfloat16().view(torch.uint16).numpy()


def _floats(bits):
    """Read bfloat16, whose NaN have more than one pattern."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 3e38, 3.4e38, 1e-40, 1 + 2**-8, 1 + 3 * 2**-8])


def test_bfloat16():
    lanes = n_lanes(np.dtype(np.float32))
    values = np.resize(np.concatenate([ODD, _draw(6, float)]), 2 * lanes + 1).astype(np.float32)
    bits = _bfloat16(values)
    found = np.zeros(3 * lanes, np.float32)
    specialize(_copy, read=make_read(np.dtype(np.float32), compact=True))(bits, found)
    expected = torch.from_numpy(values).bfloat16().float().numpy()[1:][:lanes]
    np.testing.assert_array_equal(found[2:][:lanes], expected)

    zeros, found = np.full(2 * lanes, -0.0, np.float32), np.zeros(3 * lanes, np.uint16)
    specialize(_add, write=make_write(np.dtype(np.float32), compact=True))(values, zeros, found)
    np.testing.assert_array_equal(_floats(found[3:][:lanes]), expected)

    found = np.zeros(3 * lanes, np.uint32)
    specialize(_put, put=make_put(np.dtype(np.float32), compact=True))(values, found)
    low, high = found[2:][:lanes] & 0xFFFF, found[2:][:lanes] >> 16
    np.testing.assert_array_equal(_floats(low), expected)
    np.testing.assert_array_equal(_floats(high), _floats(bits[1 + lanes :][:lanes]))


@pytest.mark.parametrize("width", [16, 32, 64])
def test_narrower_machines(width, monkeypatch):
    monkeypatch.setattr(_tile_numba, "vector_bytes", lambda: width)
    monkeypatch.setattr(_tile_numba, "make_tile", make_tile.__wrapped__)
    dtype = np.dtype(np.float32)
    lanes, rows = n_lanes(dtype), n_rows(dtype)
    assert lanes == width // 4
    assert lanes % rows == 0
    a, b = _draw((4, 2, lanes), dtype), _draw((4, 2, lanes), dtype)
    flat_c = np.zeros(3 + rows * 2 * lanes, dtype)
    kernel = specialize(_product, tile=_tile_numba.make_tile(dtype, "complex"))
    step = 2 * lanes
    kernel(_shift(a, 1), step, _shift(b, 2), step, flat_c, step, 4, False)
    found = _complex(flat_c[3:].reshape(rows, 2, lanes))
    expected = _complex(a)[:, :rows].T @ _complex(b)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_width_is_that_of_a_register():
    assert vector_bytes() in (16, 32, 64)


def test_versions_have_names_of_their_own():
    tiles = [
        make_tile(np.dtype(dtype), kind, by_row=by_row, prefetch=prefetch, compact=compact)
        for dtype in (np.float32, np.float64)
        for kind in ("real", "complex", "conjugate", "adjoint")
        for by_row in (False, True)
        for prefetch in (False, True)
        for compact in (False, True)
    ]
    assert len({repr(t) for t in tiles}) == len(tiles)
