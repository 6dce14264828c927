"""Convolutions over time by the compiled twin: sizes, layouts, memory, threads, plans."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from skspike.kernels import _memory, _ssm_conv_numba, ssm_conv
from tests.kernels.states import assert_parity, numbers, with_gradients

SHAPES = [
    (1, 1, 1),
    (2, 3, 5),
    (3, 2, 16),
    (8, 2, 33),
    (17, 1, 5),
    (100, 3, 16),
    (40, 12, 3),
    (1000, 2, 5),
    (4097, 3, 1),
]


def problem(shape, both=True, dtype=torch.float64):
    n_steps, _, n_channels = shape
    inputs = [numbers(*shape, dtype=dtype)]
    return [*inputs, *(numbers(n_steps, n_channels, dtype=dtype, seed=i) for i in range(1 + both))]


# --- parity ---


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("both", [False, True], ids=["causal", "both"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shape(shape, both, dtype):
    assert_parity(ssm_conv, problem(shape, both, dtype))


def test_kernels_of_other_lengths():
    x, kernel, reverse = problem((21, 3, 5))
    assert_parity(ssm_conv, [x, kernel[:3], reverse[:20]])
    assert_parity(ssm_conv, [x, kernel, reverse[:1]])


@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x.movedim(0, -1).contiguous().movedim(-1, 0),
        lambda x: torch.stack([x, x + 9], -1)[..., 0],
        lambda x: x[:, :1].expand(x.shape),
    ],
    ids=["time innermost", "every second", "expanded"],
)
def test_layout(layout):
    inputs = [layout(a) for a in problem((20, 3, 17))]
    assert_parity(ssm_conv, inputs)


def test_a_gradient_in_another_layout():
    x, kernel = problem((20, 3, 17), both=False)
    dy = numbers(3, 17, 20).movedim(-1, 0)
    found, expected = (
        torch.autograd.grad(ssm_conv(x.requires_grad_(), kernel, backend=backend), x, dy)[0]
        for backend in ("numba", "reference")
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("needed", [(0,), (1,), (2,), (0, 2)], ids=str)
def test_gradients_of_some_arguments_alone(needed):
    inputs = problem((20, 3, 5))
    every = with_gradients(ssm_conv, inputs)[1:]

    def some(*leaves):
        arguments = list(inputs)
        for i, leaf in zip(needed, leaves, strict=True):
            arguments[i] = leaf
        return ssm_conv(*arguments)

    for i, found in zip(needed, with_gradients(some, [inputs[i] for i in needed])[1:], strict=True):
        torch.testing.assert_close(found, every[i], rtol=0, atol=1e-12)


# --- memory and threads ---


def test_every_element_is_written(monkeypatch):
    inputs = problem((20, 3, 17))
    clean = with_gradients(ssm_conv, inputs)

    def poisoned(*args):
        return _memory.empty_dense(*args).fill_(math.nan)

    monkeypatch.setattr(_ssm_conv_numba, "empty_dense", poisoned)
    monkeypatch.setattr(_ssm_conv_numba, "aligned", lambda n, dtype: np.full(n, math.nan, dtype))
    for found, expected in zip(with_gradients(ssm_conv, inputs), clean, strict=True):
        assert torch.equal(found, expected)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(_ssm_conv_numba, "GRAIN", 1)
    inputs, before = problem((40, 7, 33)), torch.get_num_threads()
    results = []
    try:
        for n in (1, 2, 7):
            torch.set_num_threads(n)
            results.append(with_gradients(ssm_conv, inputs))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))
