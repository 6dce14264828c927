"""The same computation by other libraries; none of them is a dependency."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.benchmarks.compare import MissingPeer

HOW = {
    "spikingjelly": "pip install --no-deps spikingjelly==2.0.0 && pip install loguru",
    "snntorch": "pip install --no-deps snntorch==1.0.0",
    "tonic": "pip install --no-deps tonic==1.7.0 importRosbag expelliarmus pbr && pip install h5py",
}


def spikingjelly() -> Any:
    """Return spikingjelly's modules, or say how to get them."""
    try:
        from spikingjelly.activation_based import functional, layer, neuron, surrogate
    except ImportError as error:
        raise _missing("spikingjelly", error) from error
    return _Namespace(functional=functional, layer=layer, neuron=neuron, surrogate=surrogate)


def spikingjelly_neuron(surrogate: str = "ATan", **options: Any) -> nn.Module:
    """Return spikingjelly's LIF layer for several steps, which starts at rest in every call.

    Its state is float32 in float16 and bfloat16 too: its fused operators demand that, while the
    state that it makes by itself has the dtype of the input and takes the slow way.
    """
    sj = spikingjelly()

    class Neuron(sj.neuron.LIFNode):
        def materialize_states(self, inputs: tuple, states: tuple, step_mode: str) -> tuple:
            x = inputs[0]
            dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
            return (torch.zeros(x.shape[1:], dtype=dtype, device=x.device), *states[1:])

    slope = getattr(sj.surrogate, surrogate)()
    options = {"tau": 2.0} | options
    return Neuron(detach_reset=True, surrogate_function=slope, step_mode="m", **options)


def spikingjelly_block(channels: int) -> nn.Module:
    """Return batch norm, LIF and 2 x 2 max-pooling of spikingjelly's layers."""
    sj = spikingjelly()
    return nn.Sequential(
        sj.layer.BatchNorm2d(channels, step_mode="m"),
        spikingjelly_neuron(),
        sj.layer.MaxPool2d(2, 2, step_mode="m"),
    )


def snntorch_lif(place: torch.device) -> Callable[[Tensor], Tensor]:
    """Return snnTorch's Leaky in a loop over time: no decay of the input, reset not detached."""
    try:
        import snntorch
        from snntorch import surrogate
    except ImportError as error:
        raise _missing("snntorch", error) from error
    layer = snntorch.Leaky(
        beta=0.5, spike_grad=surrogate.atan(2.0), reset_mechanism="zero", reset_delay=False
    ).to(place)

    def run(x: Tensor) -> Tensor:
        v = torch.zeros_like(x[0])
        spikes = []
        for x_t in x:
            s, v = layer(x_t, v)
            spikes.append(s)
        return torch.stack(spikes)

    return run


def tonic_transforms() -> Any:
    """Return tonic's transforms, or say how to get them."""
    try:
        from tonic import transforms
    except ImportError as error:
        raise _missing("tonic", error) from error
    return transforms


class _Namespace:
    def __init__(self, **names: Any) -> None:
        vars(self).update(names)


def _missing(name: str, error: ImportError) -> MissingPeer:
    return MissingPeer(f"{name} does not import ({error}). {HOW[name]}")
