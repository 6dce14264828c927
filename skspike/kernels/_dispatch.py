"""Which backend serves a call."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Collection

import torch
from torch import Tensor

from .._config import BACKENDS, get_config
from .._validation import check_choice
from ..exceptions import BackendError

NUMBA_DTYPES = (torch.float32, torch.float64, torch.bfloat16)
TRITON_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@torch.compiler.assume_constant_result
def configured_backend() -> str:
    """Return the configured backend; a compiled network keeps the one it was traced with."""
    return get_config()["backend"]


def choose_backend(
    op: str,
    backend: str,
    x: Tensor,
    *,
    numba: Collection[torch.dtype] = NUMBA_DTYPES,
    triton: Collection[torch.dtype] = TRITON_DTYPES,
) -> str:
    """Return the backend that serves `op` on `x`, or raise if the one asked for cannot.

    `numba` and `triton` are the dtypes that the twins of `op` serve; a missing twin serves none.
    """
    check_choice(op, "backend", backend, BACKENDS)
    asked = configured_backend() if backend == "auto" else backend
    if asked == "reference":
        return asked
    on_cpu, on_cuda = x.device.type == "cpu", x.device.type == "cuda"
    serves_numba = on_cpu and x.dtype in numba
    serves_triton = (on_cuda or (on_cpu and interprets_triton())) and x.dtype in triton
    if asked == "auto":
        if serves_numba:
            return "numba"
        return "triton" if on_cuda and serves_triton and has_triton() else "reference"
    if not (serves_numba if asked == "numba" else serves_triton):
        dtypes, where = (
            (numba, "on the CPU")
            if asked == "numba"
            else (triton, "on CUDA, or on the CPU with TRITON_INTERPRET=1")
        )
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        raise BackendError(
            f"The {asked!r} backend of {op} serves {names or 'no'} tensors {where}. "
            f"Got {x.dtype} on {x.device}."
        )
    return asked


@torch.compiler.assume_constant_result
@functools.cache
def has_triton() -> bool:
    """Tell whether Triton is installed; torch brings it where it is built for CUDA on Linux."""
    return importlib.util.find_spec("triton") is not None


@torch.compiler.assume_constant_result
def interprets_triton() -> bool:
    """Tell whether Triton's kernels run in its interpreter, on tensors of the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"
