"""State space models step by step in Triton against the reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from skspike.kernels import linear_scan
from tests.kernels.states import assert_parity, modes, numbers, with_gradients
from tests.kernels.triton_device import needs_triton, poisoned, to_device

pytestmark = needs_triton
__all__ = ["poisoned"]  # a fixture

SHAPES = [
    (1, 1, 1, 1),
    (2, 3, 5, 2),
    (3, 1, 33, 3),
    (17, 2, 5, 4),
]  # steps, samples, channels, modes


def problem(shape, dtype=torch.float64):
    n_steps, n_samples, n_channels, n_modes = shape
    kind = dtype.to_complex()
    inputs = [
        numbers(n_steps, n_samples, n_channels, dtype=dtype),
        modes(n_channels, n_modes, kind).exp(),
        numbers(n_channels, n_modes, dtype=kind, seed=1),
        numbers(n_samples, n_channels, n_modes, dtype=kind, seed=2),
    ]
    return [to_device(a) for a in inputs]


@needs_triton
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shape(shape, dtype):
    assert_parity(linear_scan, problem(shape, dtype), "triton")


@needs_triton
def test_without_a_state():
    assert_parity(linear_scan, problem((7, 2, 5, 3))[:3], "triton")


@needs_triton
def test_other_layouts():
    x, *rest = problem((7, 2, 5, 3))
    inputs = [x.transpose(0, 2).contiguous().transpose(0, 2), *(a.conj() for a in rest)]
    assert_parity(linear_scan, inputs, "triton")


@needs_triton
@pytest.mark.parametrize("used", [0, 1], ids=["y", "state"])
def test_a_result_that_is_not_used(used):
    inputs = problem((7, 2, 5, 3))
    assert_parity(lambda *args, **options: linear_scan(*args, **options)[used], inputs, "triton")


@needs_triton
@pytest.mark.usefixtures("poisoned")
def test_every_element_is_written():
    found = with_gradients(lambda *a: linear_scan(*a, backend="triton"), problem((7, 2, 5, 3)))
    assert all(a.isfinite().all() for a in found)


@needs_triton
def test_nothing_in_gives_nothing_out():
    x, d, c, _ = problem((5, 0, 3, 2))
    y, state, *_ = with_gradients(lambda *a: linear_scan(*a, backend="triton"), (x, d, c))
    assert (y.shape, state.shape) == ((5, 0, 3), (0, 3, 2))


def test_kernels_compile_for_hopper():
    root = Path(__file__).parents[2]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = str(root)
    command = [sys.executable, "-m", "tests.kernels.triton_compile", "linear_scan"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    assert {kernel["name"] for kernel in kernels} == {"_forward", "_backward"}
    for kernel in kernels:
        assert kernel["fused"] == 0, kernel
        assert kernel["STACK"] <= 16, kernel


@pytest.mark.gpu
def test_large():
    assert_parity(linear_scan, problem((700, 4, 256, 32), torch.float32), "triton")
