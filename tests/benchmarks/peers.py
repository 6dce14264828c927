"""The same computation by other libraries; none of them is a dependency."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch

HOW = "pip install --no-deps spikingjelly==2.0.0 && pip install loguru"


def spikingjelly_lif() -> Callable[[torch.Tensor], torch.Tensor]:
    """Return spikingjelly's multi-step LIF layer, started at rest in every call."""
    try:
        from spikingjelly.activation_based import functional, neuron, surrogate
    except ImportError as error:
        sys.exit(f"spikingjelly, the peer here, does not import ({error}). {HOW}")
    layer = neuron.LIFNode(
        tau=2.0, detach_reset=True, surrogate_function=surrogate.ATan(), step_mode="m"
    )

    def run(x: torch.Tensor) -> torch.Tensor:
        functional.reset_net(layer)
        return layer(x)

    return run
