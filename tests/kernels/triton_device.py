"""Where the tests of the Triton twins run: on CUDA, or interpreted on the CPU."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"

needs_triton = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(),
    reason="needs TRITON_INTERPRET=1 or a CUDA device",
)


def to_device(value: Any, device: str = DEVICE) -> Any:
    """Move a tensor or those in a list, a dict or a dataclass, and keep their strides."""
    if isinstance(value, Tensor):
        moved = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=device)
        return value.to(device) if 0 in value.stride() else moved.copy_(value)
    if isinstance(value, list):
        return [to_device(item, device) for item in value]
    if isinstance(value, dict):
        return {name: to_device(item, device) for name, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        moved = {f.name: to_device(getattr(value, f.name), device) for f in fields(value)}
        return replace(value, **moved)
    return value


@pytest.fixture
def poisoned(monkeypatch):
    """Let fresh memory be not a number, so that what a kernel forgets to write shows."""

    def poison(function):
        def poisoned(*args, **kwargs):
            fresh = function(*args, **kwargs)
            return fresh.fill_(float("nan")) if fresh.is_floating_point() else fresh

        return poisoned

    monkeypatch.setattr(torch, "empty_strided", poison(torch.empty_strided))
    monkeypatch.setattr(torch, "empty_like", poison(torch.empty_like))
    monkeypatch.setattr(torch.Tensor, "new_empty", poison(torch.Tensor.new_empty))
