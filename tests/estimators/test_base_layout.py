"""Frames go through the network with the channels of a pixel side by side: no layout is copied.

Kernels of torch copy silently what they get in another layout, so beside the copies that a training
step makes, the layouts that its operators see are looked at.
"""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skspike.estimators._base import SampleFirst
from skspike.models import SMAVGG8
from skspike.nn import fold_norms
from tests.estimators.common import quick, samples

T, N, C, H, W = 4, 5, 2, 26, 28
MAPS = {(26, 28), (13, 14), (6, 7)}  # before the head, which pools to 3 x 3
COPIES = {"clone", "contiguous", "_to_copy", "copy", "copy_"}
VIEWS = {"view", "_unsafe_view", "permute", "transpose", "expand", "unbind", "select", "detach"}


def is_map(x: object) -> bool:
    """Tell whether this is an activation with a height and a width."""
    return isinstance(x, torch.Tensor) and x.ndim in (4, 5) and x.shape[-2:] in MAPS


def is_channels_last(x: torch.Tensor) -> bool:
    """Tell whether the channels of a pixel lie side by side, or all pixels are one."""
    if x.stride()[-2:] == (0, 0):
        return True
    return x.flatten(0, -4).is_contiguous(memory_format=torch.channels_last)


class Watch(TorchDispatchMode):
    """Note the bytes of maps copied into another layout, and operators on maps of another."""

    def __init__(self) -> None:
        super().__init__()
        self.copied: list[int] = []
        self.not_channels_last: set[str] = set()
        self.floats: set[torch.dtype] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        source = args[1] if name == "copy_" else args[0] if args else None
        if name in COPIES and is_map(source) and source.stride() != out.stride():
            self.copied.append(out.numel() * out.element_size())
        elif name not in VIEWS:
            seen = list(filter(is_map, tree_leaves([args, kwargs, out])))
            if not all(map(is_channels_last, seen)):
                self.not_channels_last.add(name)
            # of all steps: the state of the neurons, one step, is float32 always
            steps = [x for x in seen if x.is_floating_point() and x.shape[0] in (T, T * N)]
            self.floats |= {x.dtype for x in steps}
        return out


def network(precision: str, **options) -> SampleFirst:
    """Return a small network as the estimator makes it."""
    small = {"n_classes": 3, "n_steps": T, "width": 8, "scales": (1, 3), "min_map": 6}
    model = SMAVGG8(**small, hidden=(), **options)
    return SampleFirst(model, None, False, precision).to(memory_format=torch.channels_last)


def frames() -> torch.Tensor:
    """Return compact frames, sample first."""
    return torch.randint(0, 3, (N, T, C, H, W), dtype=torch.uint8)


@pytest.mark.parametrize("sma_blocks", [(), (2, 3)])
@pytest.mark.parametrize("neuron", ["lif", "plif"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_step_copies_no_layout_but_that_of_the_frames(precision, neuron, sma_blocks):
    net, x = network(precision, neuron=neuron, sma_blocks=sma_blocks).train(), frames()
    with Watch() as watch:
        net(x).square().sum().backward()
    assert not watch.not_channels_last
    assert watch.floats == {getattr(torch, precision)}
    itemsize = 4 if precision == "float32" else 2
    assert sum(watch.copied) == x.numel() * itemsize


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_nor_does_a_prediction(precision):
    net, x = fold_norms(network(precision).eval()), frames()
    with Watch() as watch, torch.inference_mode():
        net(x)
    assert not watch.not_channels_last
    assert watch.floats == {getattr(torch, precision)}
    assert sum(watch.copied) == x.numel() * (4 if precision == "float32" else 2)


def test_a_hidden_copy_would_be_seen():
    net = network("float32")
    with Watch() as watch:
        net.model(torch.rand(T, N, C, H, W))
    assert "convolution" in watch.not_channels_last
    with Watch() as watch:
        net.model(torch.rand(T, N, C, H, W).requires_grad_().flatten(0, 1).unflatten(0, (T, N)))
        torch.rand(N, 8, H, W).to(memory_format=torch.channels_last)
    assert watch.copied == [4 * N * 8 * H * W]


@pytest.mark.parametrize("n_steps", [None, 3])
@pytest.mark.parametrize("n_channels", [1, 2, 4, 5, 70])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.float64, torch.float32])
def test_frames_and_images_become_channels_last(n_steps, n_channels, dtype):
    class Echo(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(()))

        def forward(self, x):
            self.x = x
            return x.flatten(2)

    shape = (2, n_channels, 6, 5) if n_steps else (2, 3, n_channels, 6, 5)
    x = torch.arange(math.prod(shape)).reshape(shape).remainder(7).to(dtype)
    net = SampleFirst(Echo(), n_steps=n_steps, flatten=False)
    net(x)
    expected = x.expand(n_steps, *shape) if n_steps else x.transpose(0, 1)
    assert torch.equal(net.model.x, expected.float())
    assert is_channels_last(net.model.x)


def test_weights_are_channels_last_after_fits_and_copies():
    X, y = samples("frames")
    classifier = quick(scales=(3, 5)).fit(X, y)
    for fitted in (classifier, copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        kernels = [p for p in fitted.net_.predictor().parameters() if p.ndim == 4]
        kernels += [p for p in fitted.partial_fit(X, y).model_.parameters() if p.ndim == 4]
        assert len(kernels) == 2 * 9
        assert all(k.is_contiguous(memory_format=torch.channels_last) for k in kernels)
