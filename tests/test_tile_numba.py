"""The register tile against numpy, in every kind, precision and addressing."""

from __future__ import annotations

import numpy as np
import pytest

from skspike import _tile_numba
from skspike._compile_numba import specialize
from skspike._tile_numba import make_tile, n_lanes, n_rows, vector_bytes

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
        make_tile(np.dtype(dtype), kind, by_row=by_row, prefetch=prefetch)
        for dtype in (np.float32, np.float64)
        for kind in ("real", "complex", "conjugate", "adjoint")
        for by_row in (False, True)
        for prefetch in ("", "b", "c")
    ]
    assert len({repr(t) for t in tiles}) == len(tiles)
