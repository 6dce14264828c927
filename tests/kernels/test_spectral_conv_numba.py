"""Convolutions through spectra against torch's: shapes, tiles, chunks, threads, precision."""

from __future__ import annotations

import copy
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from skspike import _tile_numba
from skspike._tile_numba import has_bfloat16_products
from skspike.kernels import _spectra_numba, _spectral_conv_numba
from skspike.kernels._memory import derived
from skspike.kernels._spectra_numba import multiply
from skspike.kernels._spectra_tables import Tiling
from skspike.kernels._spectral_conv_numba import backward, cut_maps, forward

# Relative to the largest value of a result: a rounding error of a transform is spread over its map.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}

by_dtype = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


class Problem:
    """Maps (M, H, W, C), kernels and biases, and the gradients of the results."""

    def __init__(self, n_maps, height, width, c_in, outs, dtype=torch.float64):
        generator = torch.Generator().manual_seed(0)

        def draw(*shape):
            return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)

        self.x = draw(n_maps, height, width, c_in)
        self.weights = [draw(c_out, c_in, k, k) for c_out, k in outs]
        self.biases = [draw(c_out) for c_out, _ in outs]
        self.dys = [draw(n_maps, height, width, c_out) for c_out, _ in outs]

    def run(self):
        """Return all results and gradients by way of spectra."""
        derived.clear()
        ys = forward(self.x, self.weights, self.biases)
        dx, dws, dbs = backward(self.x, self.weights, self.dys, needs_dx=True, needs_dw=True)
        return [*ys, dx, *dws, *dbs]

    def expected(self):
        """Return the same by torch."""
        x, *parameters = (
            t.detach().requires_grad_() for t in (self.x, *self.weights, *self.biases)
        )
        n = len(self.weights)
        ys = [
            conv2d(x.movedim(-1, 1), w, b, padding=w.shape[-1] // 2).movedim(1, -1)
            for w, b in zip(parameters[:n], parameters[n:], strict=True)
        ]
        gradients = torch.autograd.grad(ys, (x, *parameters), self.dys)
        return [*(y.detach() for y in ys), *gradients]


def assert_close(found, expected, tolerance):
    """Compare with a tolerance relative to the largest value of each tensor."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        atol = tolerance * max(1.0, b.abs().max().item())
        torch.testing.assert_close(a.double(), b.double(), rtol=0, atol=atol)


def assert_parity(problem):
    assert_close(problem.run(), problem.expected(), TOLERANCE[problem.x.dtype])


SHAPES = {
    "one number": (1, 1, 1, 1, [(1, 1), (1, 7)]),
    "kernel larger than the map": (2, 3, 2, 3, [(2, 7), (3, 5)]),
    "one row": (3, 1, 9, 2, [(2, 5)]),
    "one column": (3, 9, 1, 2, [(2, 5)]),
    "all scales": (3, 5, 7, 3, [(4, 1), (3, 3), (2, 5), (1, 7)]),
    "channels in blocks": (3, 8, 8, 16, [(16, 3), (32, 5)]),
    "channels beside blocks": (9, 17, 17, 17, [(33, 7), (15, 3)]),
    "tiles": (2, 64, 40, 3, [(4, 7), (2, 3)]),
    "a narrow tile beside wide ones": (2, 41, 30, 2, [(2, 5)]),
    "kernel larger than torch's own": (2, 10, 11, 2, [(2, 13)]),
}


@by_dtype
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_shape(shape, dtype):
    assert_parity(Problem(*shape, dtype))


@pytest.mark.parametrize("size", range(1, 13))
def test_every_small_size(size):
    assert_parity(Problem(1, size, 13 - size, 2, [(2, 5), (2, 3)]))


# --- tiles and chunks ---


def test_large_maps_are_cut():
    cut = cut_maps(512, 500, 4, ((4, 7),), torch.float32)
    assert max(cut.grid) < 100
    assert cut.high.n * cut.high.step >= 512
    assert cut.wide.n * cut.wide.step >= 500


def test_many_channels_are_cut_smaller():
    few, many = (cut_maps(32, 32, c, ((c, 5), (c, 7)), torch.float32) for c in (16, 512))
    assert many.grid.n_frequencies < few.grid.n_frequencies
    assert many.weight_bytes <= _spectral_conv_numba.BUDGET // 2 or many.high.step == 8


@pytest.mark.parametrize("step", [3, 4, 5, 7, 12, 20])
def test_any_tiles_give_the_same(step, monkeypatch):
    def tilings(size, reach):
        step_here = min(step, size)
        return [Tiling(size, 0, step_here, -(-size // step_here), reach, step_here // 3)]

    monkeypatch.setattr(_spectral_conv_numba, "_tilings", tilings)
    cut_maps.cache_clear()
    assert_parity(Problem(2, 20, 13, 3, [(3, 5), (2, 3)]))
    cut_maps.cache_clear()


@pytest.mark.parametrize("n_bytes", [1, 2**17, 2**21])
def test_chunks(n_bytes, monkeypatch):
    monkeypatch.setattr(_spectral_conv_numba, "BUDGET", n_bytes)
    cut_maps.cache_clear()
    problem = Problem(7, 9, 10, 3, [(4, 5), (2, 3)])
    cut = _spectral_conv_numba._cut(problem.x, problem.weights)
    assert len(list(cut.chunks(7, by_map=2, by_weight=1))) == {1: 7, 2**17: 2, 2**21: 1}[n_bytes]
    assert_parity(problem)
    cut_maps.cache_clear()


# --- what is not needed ---


def test_only_what_is_needed():
    problem = Problem(3, 6, 5, 3, [(2, 5), (4, 3)])
    args = problem.x, problem.weights, problem.dys
    dx, dws, dbs = backward(*args, needs_dx=True, needs_dw=True)
    only_dx, none, none_either = backward(*args, needs_dx=True, needs_dw=False)
    assert torch.equal(only_dx, dx)
    assert (none, none_either) == ([], [])
    nothing, only_dws, only_dbs = backward(*args, needs_dx=False, needs_dw=True)
    assert nothing is None
    for a, b in zip([*only_dws, *only_dbs], [*dws, *dbs], strict=True):
        assert torch.equal(a, b)


# --- what is kept ---


def count_spectra(monkeypatch):
    """Return a list that grows by one at each spectrum of a weight."""
    calls, original = [], _spectral_conv_numba._kernel_spectra

    def counted(*args):
        calls.append(args)
        return original(*args)

    monkeypatch.setattr(_spectral_conv_numba, "_kernel_spectra", counted)
    return calls


def test_spectra_of_constant_weights_are_kept(monkeypatch):
    calls = count_spectra(monkeypatch)
    problem = Problem(3, 6, 5, 3, [(2, 5), (4, 3)])
    args = problem.x, problem.weights, problem.biases
    first = forward(*args)
    again = forward(problem.x[:1], *args[1:])  # whatever the number of maps
    assert len(calls) == 2
    for a, b in zip(first, again, strict=True):
        torch.testing.assert_close(a[:1], b)
    problem.weights[0].mul_(2)
    changed = forward(*args)
    assert len(calls) == 3
    torch.testing.assert_close(changed[0] - problem.biases[0], 2 * (first[0] - problem.biases[0]))
    forward(problem.x[:, :5, :4].contiguous(), *args[1:])  # maps of another size
    assert len(calls) == 5


def test_spectra_of_weights_that_learn_are_not(monkeypatch):
    calls = count_spectra(monkeypatch)
    problem = Problem(2, 6, 5, 3, [(2, 5)])
    weights = [w.requires_grad_() for w in problem.weights]
    with torch.no_grad():
        for _ in range(3):
            forward(problem.x, weights, problem.biases)
    assert len(calls) == 3


# --- precision ---


def exact(problem):
    """Return the results of a problem by torch in float64."""
    double = copy.copy(problem)
    for name in ("x", "weights", "biases", "dys"):
        value = getattr(problem, name)
        setattr(double, name, value.double() if name == "x" else [v.double() for v in value])
    return double.expected()


def test_sixteen_bits_are_computed_in_float32(monkeypatch):
    monkeypatch.setattr(_spectral_conv_numba, "has_bfloat16_products", lambda: False)
    cut_maps.cache_clear()
    problem = Problem(4, 9, 8, 16, [(16, 5), (8, 7)], torch.bfloat16)
    found, expected, n = problem.run(), exact(problem), len(problem.weights)
    cut_maps.cache_clear()
    assert found[0].dtype == torch.bfloat16
    assert found[-1].dtype == torch.float64  # the sum of a bias
    assert_close(found[n + 1 :], expected[n + 1 :], 1e-5)
    for a, b in zip(found[: n + 1], expected[: n + 1], strict=True):
        # rounded once, at the end
        torch.testing.assert_close(a.double(), b, rtol=2**-8, atol=1e-4 * b.abs().max().item())


@pytest.mark.skipif(not has_bfloat16_products(), reason="needs AVX-512 BF16")
def test_products_of_sixteen_bits_are_about_as_precise_as_torch():
    problem = Problem(8, 17, 17, 32, [(32, 7)], torch.bfloat16)
    triples = zip(problem.run(), problem.expected(), exact(problem), strict=True)
    for ours, torchs, truth in list(triples)[:3]:
        error, usual = ((t.double() - truth).square().mean().sqrt() for t in (ours, torchs))
        assert 0 < error < 2 * usual


def test_float32_is_about_as_precise_as_torch():
    shape = 8, 17, 17, 32, [(32, 7)]
    double, single = Problem(*shape), Problem(*shape, torch.float32)
    exact = [t.double() for t in (single.x, *single.weights, *single.biases, *single.dys)]
    double.x, double.weights, double.biases, double.dys = exact[0], *([t] for t in exact[1:])
    pairs = zip(single.run(), single.expected(), double.expected(), strict=True)
    for ours, torchs, truth in pairs:
        error, usual = ((t.double() - truth).square().mean().sqrt() for t in (ours, torchs))
        assert error < 3 * usual + 1e-7 * truth.abs().max()


# --- machines ---


@pytest.fixture
def _fresh_tables():
    """Forget what was made for one width of vector registers."""

    def forget():
        _tile_numba.make_tile.cache_clear()
        for value in vars(_spectra_numba).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()

    forget()
    yield
    forget()


@pytest.mark.usefixtures("_fresh_tables")
@pytest.mark.parametrize("width", [16, 32])
def test_narrower_vector_registers(width, monkeypatch):
    monkeypatch.setattr(_tile_numba, "vector_bytes", lambda: width)
    assert_parity(Problem(5, 9, 8, 11, [(7, 7), (9, 3)], torch.float32))


# --- threads and memory ---


@pytest.fixture
def n_threads(monkeypatch):
    """Return the setter of torch's number of threads, and let them share the smallest work."""
    monkeypatch.setattr(_spectra_numba, "GRAIN", 1)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@by_dtype
def test_results_do_not_depend_on_the_number_of_threads(n_threads, dtype):
    problem = Problem(7, 20, 9, 17, [(16, 5), (5, 7)], dtype)
    n_threads(1)
    alone = problem.run()
    for n in (2, 3):
        n_threads(n)
        for a, b in zip(problem.run(), alone, strict=True):
            assert torch.equal(a, b)


def test_concurrent_calls(n_threads):
    n_threads(2)
    problems = [Problem(2 + i, 9, 8, 5, [(4, 5), (3, 3)]) for i in range(4)]
    expected = [problem.run() for problem in problems]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(Problem.run, problems * 25))
    for found, value in zip(results, expected * 25, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(found, value, strict=True))


def test_no_uninitialised_memory_is_read(monkeypatch):
    problem = Problem(3, 64, 40, 5, [(4, 7), (18, 3)], torch.float32)
    clean = problem.run()

    def poisoned(n, dtype):
        return np.full(n, math.nan if dtype.kind == "f" else 2**15, dtype)

    for module in (_spectra_numba, _spectral_conv_numba):
        monkeypatch.setattr(module, "aligned", poisoned)
    for a, b in zip(problem.run(), clean, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("fault", ["reach", "wrap", "mirror"])
def test_planted_faults_are_seen(fault, monkeypatch):
    if fault == "reach":  # tiles read too little of their surroundings
        monkeypatch.setattr(
            _spectral_conv_numba.Cut,
            "whole",
            property(lambda cut: (cut.grid, cut.high._replace(halo=1), cut.wide)),
        )
    elif fault == "wrap":  # results wrap around onto each other
        monkeypatch.setattr(_spectral_conv_numba, "_length", lambda tiling: tiling.step + 1)
    else:
        monkeypatch.setattr(_spectral_conv_numba, "multiply", lambda a, b, **_: multiply(a, b))
    cut_maps.cache_clear()
    with pytest.raises(AssertionError):
        assert_parity(Problem(2, 40, 41, 3, [(4, 5)]))
    cut_maps.cache_clear()
