"""Gated leaky integrators in Triton against the reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from skspike.kernels import gated_scan
from tests.kernels.states import assert_parity, numbers, with_gradients
from tests.kernels.triton_device import needs_triton, poisoned, to_device

__all__ = ["poisoned"]  # a fixture

by_direction = pytest.mark.parametrize("reverse", [False, True], ids=["ahead", "back"])


def problem(*shape, dtype=torch.float64):
    inputs = [numbers(*s, dtype=dtype, seed=i) for i, s in enumerate((shape, shape, shape[1:]))]
    return to_device(inputs)


@needs_triton
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (9,), (3, 2, 5), (17, 3, 70)], ids=str)
@by_direction
def test_the_twin_agrees(reverse, shape, dtype):
    inputs = problem(*shape, dtype=dtype)
    assert_parity(partial(gated_scan, reverse=reverse), inputs, "triton")
    assert_parity(partial(gated_scan, reverse=reverse), inputs[:2], "triton")


@needs_triton
def test_a_gate_is_open_or_closed_far_out():
    x = to_device(torch.tensor([[2.0, 3.0], [5.0, 7.0]]))
    gate = to_device(torch.tensor([[990.0, -990.0], [990.0, -990.0]]))
    y = gated_scan(x, gate, x[0] + 1, backend="triton")
    assert y.tolist() == [[2.0, 4.0], [5.0, 4.0]]


@needs_triton
def test_other_layouts():
    inputs = [a.movedim(0, -1).contiguous().movedim(-1, 0) for a in problem(7, 2, 5)]
    assert_parity(gated_scan, inputs, "triton")


@needs_triton
@pytest.mark.usefixtures("poisoned")
def test_every_element_is_written():
    found = with_gradients(lambda *a: gated_scan(*a, backend="triton"), problem(7, 2, 33))
    assert all(a.isfinite().all() for a in found)


@needs_triton
def test_nothing_in_gives_nothing_out():
    x = to_device(torch.zeros(9, 0, 3))
    assert gated_scan(x, x, backend="triton").shape == (9, 0, 3)


def test_kernels_compile_for_hopper():
    root = Path(__file__).parents[2]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = str(root)
    command = [sys.executable, "-m", "tests.kernels.triton_compile", "gated_scan"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    assert {kernel["name"] for kernel in kernels} == {"_forward", "_backward"}
    assert all(kernel["STACK"] == kernel["LOCAL"] == 0 for kernel in kernels), kernels


@pytest.mark.gpu
def test_large():
    assert_parity(gated_scan, problem(700, 4, 2048, dtype=torch.float32), "triton")
