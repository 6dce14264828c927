"""State space models step by step by the compiled twin: sizes, layouts, memory, threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from skspike.kernels import _linear_scan_numba, _memory, linear_scan
from skspike.kernels._linear_scan_numba import pack, unpack
from tests.kernels.states import assert_parity, modes, numbers, with_gradients

SHAPES = [  # steps, samples, channels, modes
    (1, 1, 1, 1),
    (2, 3, 5, 2),
    (3, 1, 16, 3),
    (17, 3, 33, 32),
    (64, 2, 5, 1),
    (100, 1, 5, 2),
    (1000, 3, 1, 5),
]


def problem(shape, dtype=torch.float64):
    n_steps, n_samples, n_channels, n_modes = shape
    kind = dtype.to_complex()
    return [
        numbers(n_steps, n_samples, n_channels, dtype=dtype),
        modes(n_channels, n_modes, kind).exp(),
        numbers(n_channels, n_modes, dtype=kind, seed=1),
        numbers(n_samples, n_channels, n_modes, dtype=kind, seed=2),
    ]


# --- parity ---


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shape(shape, dtype):
    assert_parity(linear_scan, problem(shape, dtype))


def test_without_a_state():
    assert_parity(linear_scan, problem((70, 2, 5, 3))[:3])


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: a.movedim(0, -1).contiguous().movedim(-1, 0),
        lambda a: torch.stack([a, a + 9], -1)[..., 0],
        lambda a: a.narrow(-1, 0, 1).expand(a.shape),
        lambda a: a.conj() if a.is_complex() else -a,
    ],
    ids=["time innermost", "every second", "expanded", "conjugate"],
)
def test_layout(layout):
    assert_parity(linear_scan, [layout(a) for a in problem((20, 2, 17, 4))])


@pytest.mark.parametrize("used", [0, 1], ids=["y", "state"])
def test_a_result_that_is_not_used(used):
    inputs = problem((70, 2, 5, 3))
    assert_parity(lambda *args, **options: linear_scan(*args, **options)[used], inputs)


# --- memory and threads ---


def test_every_element_is_written(monkeypatch):
    inputs = problem((70, 2, 17, 3))
    clean = with_gradients(linear_scan, inputs)

    def poisoned(*args):
        return _memory.empty_dense(*args).fill_(math.nan)

    monkeypatch.setattr(_linear_scan_numba, "empty_dense", poisoned)
    for found, expected in zip(with_gradients(linear_scan, inputs), clean, strict=True):
        assert torch.equal(found, expected)


def test_arguments_stay_as_they_are():
    inputs = problem((20, 2, 16, 4))
    before = [a.clone() for a in inputs]
    with_gradients(linear_scan, inputs)
    assert all(map(torch.equal, inputs, before))


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(_linear_scan_numba, "GRAIN", 1)
    inputs, before = problem((70, 5, 33, 3)), torch.get_num_threads()
    results = []
    try:
        for n in (1, 2, 7):
            torch.set_num_threads(n)
            results.append(with_gradients(linear_scan, inputs))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


# --- packing ---


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (33, 2), (2, 17, 4)], ids=str)
def test_packed_modes(shape):
    z = numbers(*shape, dtype=torch.complex128)
    packed = pack(z, z.real)
    n_lanes = packed.shape[-1]
    assert packed.shape == (
        *shape[:-2],
        -(-shape[-2] // n_lanes),
        shape[-1] + shape[-1] % 2,
        2,
        n_lanes,
    )
    assert torch.equal(unpack(packed, z), z)
    h, m = shape[-2] - 1, shape[-1] - 1
    assert torch.equal(packed[..., h // n_lanes, m, 1, h % n_lanes], z.imag[..., h, m])
    assert np.isclose(packed.square().sum(), z.abs().square().sum())  # the rest is zeros
