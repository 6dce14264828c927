"""What layers with linear states share: what they are asked, and at which rates they forget."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .._validation import check_number

FORMS = ("parallel", "recurrent")


def check_channels(owner: str, x: Tensor, n_channels: int) -> None:
    """Raise unless there is a number for each step, sample and channel."""
    if x.ndim != 3 or x.shape[2] != n_channels:
        raise ValueError(
            f"The input of {owner} must have shape (n_steps, n_samples, {n_channels}). "
            f"Got {tuple(x.shape)} instead."
        )


def check_causal(owner: str, bidirectional: bool) -> None:
    """Raise if the states come from both ends: there is no answer before the last step."""
    if bidirectional:
        raise ValueError(
            f"The 'bidirectional' parameter of {owner} must be False to stream. Got True instead."
        )


def draw_logarithms(owner: str, n: int, **ends: float) -> Tensor:
    """Draw logarithms of `n` rates, uniform between those of two parameters; check these."""
    (low_name, low), (high_name, high) = ends.items()
    check_number(owner, low_name, low, 0.0, math.inf, closed="neither")
    check_number(owner, high_name, high, low, math.inf, closed="left")
    start, stop = math.log(low), math.log(high)
    return start + (stop - start) * torch.rand(n)
