"""What stands between two convolutions equals its layers one after the other."""

from __future__ import annotations

import re

import pytest
import torch

from skspike.nn import LIF, BatchNorm1d, BatchNorm2d, ParametricLIF, fire


@pytest.mark.parametrize("neuron", [LIF, ParametricLIF])
@pytest.mark.parametrize("pool", [None, "max", "avg"])
@pytest.mark.parametrize("training", [True, False])
def test_fire_equals_its_layers(neuron, pool, training):
    torch.manual_seed(0)
    norm, layer = BatchNorm2d(3).double().train(training), neuron().double()
    torch.nn.init.uniform_(norm.bias, 0, 1)
    x = torch.randn(4, 2, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    y, expected = fire(norm, layer, x, pool), layer(norm(x))
    if pool is not None:
        pooled = {"max": torch.nn.MaxPool2d, "avg": torch.nn.AvgPool2d}[pool](2)
        expected = torch.stack([pooled(step) for step in expected])
    assert y.unique().numel() > 1
    inputs, upstream = [x, *norm.parameters(), *layer.parameters()], torch.randn_like(y)
    found = torch.autograd.grad(y, inputs, upstream)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(found, torch.autograd.grad(expected, inputs, upstream))


def test_maps_without_pixels():
    norm, x = BatchNorm1d(5), torch.randn(4, 3, 5)
    assert torch.equal(fire(norm, LIF(), x), LIF()(norm(x)))


def test_unknown_pool():
    message = "The 'pool' parameter of fire must be one of ['avg', 'max']. Got 'sum' instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        fire(BatchNorm2d(3), LIF(), torch.randn(2, 1, 3, 4, 4), pool="sum")
