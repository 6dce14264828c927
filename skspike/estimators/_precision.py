"""Which floating point numbers an estimator's network computes with."""

from __future__ import annotations

import torch

__all__ = ["PRECISIONS", "resolve_precision"]

PRECISIONS = ("auto", "bfloat16", "float32")


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return ``"float32"`` or ``"bfloat16"``; ``"auto"`` takes what is faster on the device."""
    if precision != "auto":
        return precision
    return "bfloat16" if _multiplies_bfloat16(device) else "float32"


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Tell whether the device has instructions for bfloat16; without them it is slower."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # not torch.ops.mkldnn._is_mkldnn_bf16_supported(): it also says so where oneDNN emulates
    has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and any(has.get(name) for name in ("avx512_bf16", "amx_bf16"))
