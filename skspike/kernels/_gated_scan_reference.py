"""Gated leaky integrators in plain torch, a loop over time: the specification."""

from __future__ import annotations

import torch
from torch import Tensor


def gated_scan_reference(x: Tensor, gate: Tensor, state: Tensor, reverse: bool) -> Tensor:
    """Return the states after each step of `x`, (T, ...), from the one before, (...)."""
    states, steps = [], range(len(x))
    for t in reversed(steps) if reverse else steps:
        # the share of a step by itself: torch rounds it by where in an array it stands
        state = state + gate[t].sigmoid() * (x[t] - state)
        states.append(state)
    return torch.stack(states[::-1] if reverse else states)
