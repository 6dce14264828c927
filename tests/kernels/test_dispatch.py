"""The choice of a backend."""

from __future__ import annotations

import re

import pytest
import torch

from skspike import config_context
from skspike.exceptions import BackendError
from skspike.kernels._dispatch import choose_backend, configured_backend

X = torch.ones(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_auto_takes_numba_on_the_cpu(dtype):
    assert choose_backend("op", "auto", X.to(dtype)) == "numba"


@pytest.mark.parametrize("x", [X.half(), X.to("meta")], ids=["float16", "meta"])
def test_auto_takes_the_reference_where_no_twin_serves(x):
    assert choose_backend("op", "auto", x) == "reference"


def test_the_configuration_decides_for_auto_alone():
    with config_context(backend="reference"):
        assert configured_backend() == "reference"
        assert choose_backend("op", "auto", X) == "reference"
        assert choose_backend("op", "numba", X) == "numba"


def test_triton_in_its_interpreter_by_name_only(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert choose_backend("op", "triton", X.half()) == "triton"
    assert choose_backend("op", "auto", X) == "numba"


def test_an_operation_without_a_twin():
    assert choose_backend("op", "auto", X, numba=()) == "reference"
    message = "The 'numba' backend of op serves no tensors on the CPU. Got torch.float32 on cpu."
    with pytest.raises(BackendError, match=re.escape(message)):
        choose_backend("op", "numba", X, numba=())


@pytest.mark.gpu
def test_auto_takes_triton_on_cuda():
    assert choose_backend("op", "auto", X.cuda()) == "triton"
