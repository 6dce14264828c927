"""The folded surrogate dynamic network: its equation, what it sees, backends, contract."""

from __future__ import annotations

import inspect
import math
import re
from itertools import product

import pytest
import torch

from skspike.exceptions import BackendError
from skspike.kernels import _sdn, _sdn_numba, fire_at, sdn_membrane
from skspike.kernels._memory import empty_dense
from tests.kernels.interpreted import twin_from

by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 1e-4}


def draw_weights(width=8, kernel_size=8, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    shapes = (width, kernel_size), (width,), (width, width), (width,), (width,), ()
    return [torch.randn(s, dtype=torch.float64, generator=generator).to(dtype) for s in shapes]


def draw(shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)


# --- laws ---


@by_backend
def test_its_equation(backend):
    x, (taps, b, mix, d, out, e) = draw((20, 5)), draw_weights()
    m = sdn_membrane(x, draw_weights(), backend=backend)
    padded = torch.cat([torch.zeros(8, 5).double(), x])
    for t in range(20):
        h = torch.relu(taps @ padded[t : t + 8] + b[:, None])
        torch.testing.assert_close(m[t], out @ torch.relu(mix @ h + d[:, None]) + e)


@by_backend
def test_a_prediction_sees_the_eight_inputs_before_it(backend):
    x, weights = draw((60, 3)), draw_weights()
    before = sdn_membrane(x, weights, backend=backend)
    x[30] += 1
    changed = (sdn_membrane(x, weights, backend=backend) != before).any(1)
    assert changed.nonzero().flatten().tolist() == list(range(31, 39))


@by_backend
def test_silence_before_the_first_step(backend):
    x, weights = draw((20, 3)), draw_weights()
    whole = sdn_membrane(torch.cat([torch.zeros(8, 3).double(), x]), weights, backend=backend)
    torch.testing.assert_close(sdn_membrane(x, weights, backend=backend), whole[8:])


# --- parity ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_twin_agrees(dtype):
    weights = draw_weights()
    for shape in [(1,), (70,), (3, 5), (70, 2, 3, 7), (130, 131)]:
        x = draw(shape, dtype)
        for given in (x, x.movedim(0, -1).contiguous().movedim(-1, 0)):
            found, expected = (
                sdn_membrane(given, weights, backend=backend) for backend in ("numba", "reference")
            )
            assert found.dtype == (torch.float32 if dtype == torch.bfloat16 else dtype)
            tolerance = TOLERANCE[dtype]
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_place_and_threads_make_no_difference():
    x, weights = draw((300, 700), torch.float32), draw_weights()
    whole = sdn_membrane(x, weights, backend="numba")
    n_threads = torch.get_num_threads()
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            assert torch.equal(sdn_membrane(x, weights, backend="numba"), whole)
    finally:
        torch.set_num_threads(n_threads)
    part = sdn_membrane(x[:, 130:147].contiguous(), weights, backend="numba")
    assert torch.equal(part, whole[:, 130:147])


MUTANTS = [
    ("y if y > real(0) else real(0)", "y"),
    ("total(w, 144, g0, g1", "unit(w, 144, g0, g1"),
    ("if t < 0:", "if t < begin:"),
    ("range(begin - TAPS, end)", "range(begin, end)"),
    ("i // n_tiles * NEURONS", "0"),
    ("i % n_tiles * STEPS", "0"),
    ("seen_t = seen[(t - begin) * NEURONS :]", "seen_t = seen[(t - begin + 1) * NEURONS :]"),
    ("+ w[i + 8] * x7", ""),
]


@pytest.mark.parametrize(("old", "new"), MUTANTS)
def test_mutants_are_caught(old, new, monkeypatch):
    def differs(twin):
        monkeypatch.setattr(_sdn, "twin", lambda backend: twin)
        monkeypatch.setattr(twin, "STEPS", 3)
        monkeypatch.setattr(twin, "NEURONS", 2)
        # what is left out must not be there from the call before
        monkeypatch.setattr(twin, "empty_dense", lambda *a: empty_dense(*a).fill_(math.nan))
        x, weights = draw((7, 3)), draw_weights()
        found, expected = (sdn_membrane(x, weights, backend=b) for b in ("numba", "reference"))
        return not torch.allclose(found, expected)

    source = inspect.getsource(_sdn_numba)
    assert source.count(old) == 1, "the source has changed; plant this fault anew"
    assert not differs(twin_from(source))
    assert differs(twin_from(source.replace(old, new)))


# --- contract ---


@by_backend
def test_it_is_data(backend):
    x = draw((5, 3)).requires_grad_()
    weights = [w.requires_grad_() for w in draw_weights()]
    m = sdn_membrane(x, weights, backend=backend)
    assert not m.requires_grad
    (dx,) = torch.autograd.grad(fire_at(x + m).sum(), x)
    torch.testing.assert_close(dx, (1 - (x.detach() + m - 1).abs()).clamp(min=0))


def test_opcheck():
    x = draw((5, 2, 3)).movedim(0, -1).contiguous().movedim(-1, 0)
    torch.library.opcheck(_sdn._op, (x, draw_weights(), "numba"))
    weights = draw_weights(dtype=torch.float32)
    torch.library.opcheck(_sdn._op, (x.bfloat16(), weights, "numba"))


@by_backend
@pytest.mark.parametrize("shape", [(3, 0), (2, 4, 0, 5)])
def test_no_neurons(shape, backend):
    assert sdn_membrane(torch.ones(shape), draw_weights(), backend=backend).shape == shape


def test_other_sizes_are_served_by_the_reference():
    x = draw((20, 3))
    for width, kernel_size in product((4, 8), (5, 8)):
        weights = draw_weights(width, kernel_size)
        expected = sdn_membrane(x, weights, backend="reference")
        torch.testing.assert_close(sdn_membrane(x, weights), expected)
    message = (
        "The 'numba' backend of sdn_membrane serves networks of 8 units and 8 inputs. "
        "Got weights of shape (4, 8)."
    )
    with pytest.raises(BackendError, match=re.escape(message)):
        sdn_membrane(x, draw_weights(4), backend="numba")


def test_weights_that_do_not_fit_are_told():
    message = (
        "The 'weights' parameter of sdn_membrane must have the shapes (width, K), (width,), (width,"
        " width), (width,), (width,) and (). Got [(8, 8), (8,), (8, 8), (8,), (8,)] instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        sdn_membrane(draw((3, 2)), draw_weights()[:-1])
    with pytest.raises(ValueError, match="must have the shapes"):
        sdn_membrane(draw((3, 2)), [])
    with pytest.raises(TypeError, match="'x' parameter of sdn_membrane must be a floating point"):
        sdn_membrane(torch.ones(3).long(), draw_weights())
