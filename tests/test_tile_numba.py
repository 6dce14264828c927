"""The register tile against numpy, in every kind, precision and addressing."""

from __future__ import annotations

import numpy as np
import pytest

from skspike import _tile_numba
from skspike._compile_numba import specialize
from skspike._tile_numba import (
    has_bfloat16_products,
    make_tile,
    n_lanes,
    n_rows,
    vector_bytes,
)

tile = None  # bound by `specialize`

by_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def _product(a, a_step, b, b_step, c, c_step, n, add):
    tile((a, 1, a_step), (b, 2, b_step), (c, 3, c_step), n, add, 8)


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
    lanes, rows = n_lanes(np.dtype(dtype)), n_rows(np.dtype(dtype))
    a, b, c = _draw((n, rows + 3), dtype), _draw((n, 2, lanes), dtype), _draw((rows, lanes), dtype)
    flat_a, flat_b, flat_c = _shift(a, 1), _shift(b, 2), _shift(c, 3)
    kernel = specialize(_product, tile=make_tile(np.dtype(dtype), "real"))
    kernel(flat_a, rows + 3, flat_b, 2 * lanes, flat_c, lanes, n, add)
    expected = a[:, :rows].T @ b[:, 0] + c * add
    np.testing.assert_allclose(flat_c[3:].reshape(c.shape), expected, rtol=1e-5, atol=1e-5)
    assert not flat_c[:3].any()


@by_dtype
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("kind", ["complex", "conjugate", "adjoint"])
@pytest.mark.parametrize("prefetch", ["", "b", "c"])
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
    def test_in(self, kind, add):
        a, b = self.draw(self.n, 2, self.lanes), self.draw(self.n, 2, self.lanes)[::-1].copy()
        c = self.draw(self.rows, 3, 2, self.lanes)
        flat_c = _shift(c, 3)
        kernel = specialize(_product, tile=make_tile(np.dtype("f4"), kind, compact="in"))
        flat_a, flat_b = _shift(_pack(a), 1), _shift(_pack(b), 2)
        kernel(flat_a, self.lanes, flat_b, self.lanes, flat_c, 6 * self.lanes, self.n, add)
        first = _complex(a).conj() if kind == "adjoint" else _complex(a)
        second = _complex(b).conj() if kind == "conjugate" else _complex(b)
        expected = first[:, : self.rows].T @ second + _complex(c)[:, 0] * add
        found = flat_c[3:].reshape(c.shape)
        np.testing.assert_array_equal(_complex(found)[:, 0], expected)
        np.testing.assert_array_equal(found[:, 1:], c[:, 1:])

    def test_in_by_row(self):
        a, b = self.draw(2, self.rows, 2, self.lanes), self.draw(self.n, 2, self.lanes)
        flat_c = np.zeros(3 + self.rows * 2 * self.lanes, np.float32)
        tile = make_tile(np.dtype("f4"), "complex", by_row=True, compact="in")
        steps = self.rows * self.lanes, self.lanes, 2 * self.lanes
        flat_a, flat_b = _shift(_pack(a), 1), _shift(_pack(b), 2)
        kernel = specialize(_product, tile=tile)
        kernel(flat_a, steps[0], flat_b, steps[1], flat_c, steps[2], self.n, False)
        matrix = _complex(a).transpose(1, 0, 2).reshape(self.rows, -1)[:, : self.n]
        found = _complex(flat_c[3:].reshape(self.rows, 2, self.lanes))
        np.testing.assert_array_equal(found, matrix @ _complex(b))

    def test_out(self):
        a = _draw((self.n, 2, self.lanes), np.float32)
        b = _draw((self.n, 2, self.lanes), np.float32)[::-1].copy()
        flat_c = np.zeros(3 + self.rows * self.lanes, np.uint32)
        kernel = specialize(_product, tile=make_tile(np.dtype("f4"), "complex", compact="out"))
        args = _shift(a, 1), 2 * self.lanes, _shift(b, 2), 2 * self.lanes
        kernel(*args, flat_c, self.lanes, self.n, True)
        found = flat_c[3:].reshape(self.rows, self.lanes)
        parts = [
            (half).astype(np.uint32).view(np.float32) for half in (found << 16, found >> 16 << 16)
        ]
        expected = _complex(a)[:, : self.rows].T @ _complex(b)
        for part, value in zip(parts, (expected.real, expected.imag), strict=True):
            np.testing.assert_allclose(part, value, rtol=2**-8, atol=1e-5)
            assert np.abs(part - value).mean() < 2**-9 * np.abs(value).mean()  # rounded, not cut


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
        for prefetch in ("", "b", "c")
        for compact in ("", "in", "out")
    ]
    assert len({repr(t) for t in tiles}) == len(tiles)
