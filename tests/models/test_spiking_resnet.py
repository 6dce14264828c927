"""Spiking ResNets against the published networks, and against a loop over the steps."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from skspike.kernels import lif
from skspike.models import SpikingResNet, create_model
from skspike.nn import LIF
from tests.models.common import excite

NAMES = ("spiking_resnet18", "spiking_resnet34", "spiking_resnet50")
PARAMETERS = {  # of 10 and of 11 classes
    "spiking_resnet18": (11_181_642, 11_182_155),
    "spiking_resnet34": (21_289_802, 21_290_315),
    "spiking_resnet50": (23_528_522, 23_530_571),
}
N_NEURON_LAYERS = dict(zip(NAMES, (17, 33, 49), strict=True))
SIDES = (28, 32, 34, 128)
NEURONS = {  # of one sample, at each side
    "spiking_resnet18": (39_424, 47_104, 69_440, 753_664),
    "spiking_resnet34": (63_104, 72_704, 115_136, 1_163_264),
    "spiking_resnet50": (173_056, 196_096, 322_240, 3_137_536),
}
MILLION_MACS = {  # of one step of one sample, at each side
    "spiking_resnet18": (34.24, 37.02, 80.20, 592.2),
    "spiking_resnet34": (70.88, 74.77, 162.3, 1196),
    "spiking_resnet50": (79.18, 83.43, 180.3, 1335),
}

by_name = pytest.mark.parametrize("name", NAMES)


def structure(name, **options):
    """Return a network whose parameters have shapes but no memory."""
    with torch.device("meta"):
        return create_model(name, **{"n_classes": 10, **options})


def small(depth=18, **options):
    torch.manual_seed(0)
    model = excite(SpikingResNet(**{"n_classes": 3, "depth": depth, "width": 2, **options}))
    return model.double()


def outputs(model, kind, *shape):
    """Run a network without memory; return its layers of a kind with their outputs' shapes."""
    found = []
    for module in model.modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda m, _, y: found.append((m, tuple(y.shape))))
    with torch.no_grad():
        model.eval()(torch.empty(1, 1, 3, *shape, device="meta"))
    return found


# --- the published networks ---


@by_name
@pytest.mark.parametrize(("n_classes", "column"), [(10, 0), (11, 1)])
def test_number_of_parameters(name, n_classes, column):
    model = structure(name, n_classes=n_classes)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name][column]


@by_name
@pytest.mark.parametrize(("side", "column"), [(s, i) for i, s in enumerate(SIDES)])
def test_number_of_neurons(name, side, column):
    layers = outputs(structure(name), LIF, side, side)
    assert len(layers) == N_NEURON_LAYERS[name]
    assert sum(math.prod(shape) for _, shape in layers) == NEURONS[name][column]


@by_name
@pytest.mark.parametrize(("side", "column"), [(s, i) for i, s in enumerate(SIDES)])
def test_number_of_multiplications(name, side, column):
    macs = sum(
        layer.weight[0].numel() * math.prod(shape)
        for layer, shape in outputs(structure(name), (nn.Conv2d, nn.Linear), side, side)
    )
    assert float(f"{macs / 1e6:.4g}") == MILLION_MACS[name][column]


def test_layers_are_called_as_those_of_torchvision():
    names = set(structure("spiking_resnet50").state_dict())
    assert {"conv1.weight", "bn1.running_var", "fc.bias", "layer4.2.bn3.weight"} <= names
    assert {n for n in names if "downsample" in n and n.endswith("weight")} == {
        f"layer{i}.0.downsample.{j}.weight" for i in range(1, 5) for j in (0, 1)
    }
    basic = structure("spiking_resnet18").state_dict()
    assert not [n for n in basic if n.startswith("layer1.0.downsample")]


def test_convolutions_start_as_published():
    model = SpikingResNet(10)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is None
            fan_out = module.out_channels * math.prod(module.kernel_size)
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.1)


def test_the_bottleneck_has_its_stride_on_the_middle_convolution():
    block = structure("spiking_resnet50").layer2[0]
    assert [c.stride[0] for c in (block.conv1, block.conv2, block.conv3)] == [1, 2, 1]


# --- the neurons ---


def test_neurons_are_those_of_the_published_kernel():
    """v_t = k v_{t-1} (1 - y_{t-1}) + x_t; dx_t = dy_t g_t + dx_{t+1} k (1 - y_t - v_t g_t)."""
    torch.manual_seed(0)
    neuron, k, theta = small().neuron1, 0.2, 0.3
    x = (torch.randn(9, 5, 7, dtype=torch.float64) * 0.5).requires_grad_()
    upstream = torch.randn_like(x)
    y = neuron(x)
    found = torch.autograd.grad(y, x, upstream)[0]

    v, s, potentials, spikes = torch.zeros(5, 7).double(), torch.zeros(5, 7).double(), [], []
    for current in x.detach():
        v = k * v * (1 - s) + current
        s = (v >= theta).double()
        potentials.append(v)
        spikes.append(s)
    assert torch.equal(y, torch.stack(spikes))
    dx, expected = torch.zeros(5, 7).double(), []
    for dy, v, s in zip(upstream.flip(0), potentials[::-1], spikes[::-1], strict=True):
        g = ((v - theta).abs() < 0.5).double()
        dx = dy * g + dx * k * (1 - s - v * g)
        expected.insert(0, dx)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-12, atol=1e-12)


# --- the order of things ---


class Stepped(nn.Module):
    """Neurons that are called step after step and hold their state meanwhile."""

    def __init__(self):
        super().__init__()
        self.v = None

    def forward(self, x):
        options = {"threshold": 0.3, "detach_reset": False, "surrogate": "rectangle"}
        s, self.v = lif(x, self.v, tau=1.25, decay_input=False, backend="reference", **options)
        return s


@pytest.mark.parametrize("depth", [18, 50])
def test_layer_major_equals_a_loop_over_the_steps(depth):
    model = small(depth)
    x = torch.randn(5, 2, 3, 32, 32, dtype=torch.float64)
    model(x)
    model.eval()
    y = model(x)
    upstream = torch.randn_like(y)
    found = torch.autograd.grad(y, model.parameters(), upstream)

    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, LIF):
                setattr(module, name, Stepped())
    expected = torch.cat([model(step[None]) for step in x])
    assert len(y.unique()) > 10
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-12)
    gradients = torch.autograd.grad(expected, model.parameters(), upstream)
    for (name, _), ours, theirs in zip(model.named_parameters(), found, gradients, strict=True):
        assert ours.any(), name
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


def test_any_number_of_steps():
    model = small(n_steps=4)
    for n_steps in (1, 3, 7):
        x = torch.randn(n_steps, 2, 3, 9, 8, dtype=torch.float64)
        assert model(x).shape == (n_steps, 2, 3)


def test_settings_reach_the_neurons():
    model = SpikingResNet(2, width=2, decay=0.5, threshold=0.7, surrogate="triangle", alpha=2.0)
    for neuron in (m for m in model.modules() if isinstance(m, LIF)):
        assert (neuron.threshold, neuron.surrogate, neuron.alpha) == (0.7, "triangle", 2.0)
        assert not neuron.detach_reset
    x = torch.tensor([0.6, 0.2, 0.5, 0.2]).reshape(4, 1)  # potentials 0.6, 0.5, 0.75 and 0.2
    assert model.neuron1(x).flatten().tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("depth", [19, "18"])
def test_unknown_depth(depth):
    with pytest.raises(ValueError, match=rf"'depth' .* of \[18, 34, 50\]. Got {depth!r} instead"):
        SpikingResNet(10, depth=depth)


@pytest.mark.parametrize("decay", [-0.1, 1.5])
def test_decay_out_of_range(decay):
    with pytest.raises(ValueError, match=f"'decay' parameter of .* Got {decay} instead"):
        SpikingResNet(10, decay=decay)
