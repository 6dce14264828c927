"""Impulse responses by the compiled twin: sizes, layouts, memory, threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from skspike.kernels import _ssm_kernel_numba, ssm_kernel
from tests.kernels.states import assert_parity, modes, numbers, with_gradients

SHAPES = [(1, 1, 1), (2, 5, 2), (64, 16, 3), (65, 33, 1), (1000, 5, 32)]  # steps, channels, modes


def problem(n_channels, n_modes, dtype=torch.complex128):
    return [modes(n_channels, n_modes, dtype), numbers(n_channels, n_modes, dtype=dtype)]


def of_length(n_steps):
    """Return the function of the modes that gives a kernel of some length."""
    return lambda a, c, backend="auto": ssm_kernel(a, c, n_steps, backend=backend)


# --- parity ---


@pytest.mark.parametrize("dtype", [torch.complex128, torch.complex64], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shape(shape, dtype):
    n_steps, n_channels, n_modes = shape
    assert_parity(of_length(n_steps), problem(n_channels, n_modes, dtype))


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: a.T.contiguous().T,
        lambda a: torch.stack([a, a + 9], -1)[..., 0],
        lambda a: a[:, :1].expand(a.shape),
        lambda a: a.conj(),
    ],
    ids=["transposed", "every second", "expanded", "conjugate"],
)
def test_layout(layout):
    assert_parity(of_length(70), [layout(a) for a in problem(17, 4)])


def test_a_gradient_in_another_layout():
    a, c = problem(17, 3)
    dkernel = numbers(17, 70).T
    found, expected = (
        torch.autograd.grad(ssm_kernel(a.requires_grad_(), c, 70, backend=backend), a, dkernel)[0]
        for backend in ("numba", "reference")
    )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-9)


# --- memory and threads ---


def test_every_element_is_written(monkeypatch):
    inputs = problem(17, 3)
    clean = with_gradients(of_length(70), inputs)
    monkeypatch.setattr(_ssm_kernel_numba, "aligned", lambda n, dtype: np.full(n, math.nan, dtype))
    new_empty = torch.Tensor.new_empty
    monkeypatch.setattr(
        torch.Tensor, "new_empty", lambda *args, **kw: new_empty(*args, **kw).fill_(math.nan)
    )
    for found, expected in zip(with_gradients(of_length(70), inputs), clean, strict=True):
        assert torch.equal(found, expected)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(_ssm_kernel_numba, "GRAIN", 1)
    inputs, before = problem(100, 3), torch.get_num_threads()
    results = []
    try:
        for n in (1, 2, 7):
            torch.set_num_threads(n)
            results.append(with_gradients(of_length(300), inputs))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))
