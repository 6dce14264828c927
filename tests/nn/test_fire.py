"""What stands between two convolutions equals its layers one after the other."""

from __future__ import annotations

import re
from itertools import product

import pytest
import torch

from skspike.nn import IF, LIF, AdaptiveLIF, BatchNorm1d, BatchNorm2d, ParametricLIF, fire
from skspike.nn import _fire as fire_module


@pytest.mark.parametrize(
    ("neuron", "pool", "training"),
    [
        *product([LIF], [None, "max", "avg"], [True, False]),
        (ParametricLIF, None, False),
        (ParametricLIF, "max", True),
    ],
)
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


@pytest.fixture
def calls(monkeypatch):
    """Return the list that each fused call is added to."""
    found, real = [], fire_module.norm_lif

    def spy(*args, **options):
        found.append(options)
        return real(*args, **options)

    monkeypatch.setattr(fire_module, "norm_lif", spy)
    return found


@pytest.mark.parametrize("momentum", [0.1, 0.3, None])
@pytest.mark.parametrize("track", [True, False])
def test_running_statistics_move_as_those_of_the_layer(momentum, track, calls):
    torch.manual_seed(0)
    ours, torchs = (
        kind(3, momentum=momentum, track_running_stats=track).double()
        for kind in (BatchNorm2d, torch.nn.BatchNorm2d)
    )
    for training in (True, True, False):
        x = torch.randn(4, 2, 3, 5, 5, dtype=torch.float64) + 1
        s = fire(ours.train(training), LIF(), x)
        y = torchs.train(training)(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        assert torch.equal(s, LIF()(y))
        torch.testing.assert_close(ours.state_dict(), torchs.state_dict())
    assert len(calls) == 3


def test_layers_of_ours_are_fused(calls):
    x = torch.randn(4, 2, 3, 6, 6)
    for neuron in (LIF, IF, ParametricLIF):
        fire(BatchNorm2d(3), neuron(backend="reference"), x, "max")
    fire(BatchNorm1d(3), LIF(), x[..., 0, 0])
    assert len(calls) == 4


class Doubled(LIF):
    """Neurons that do something else."""

    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("norm", "neuron"),
    [
        (torch.nn.Identity(), LIF()),
        (BatchNorm2d(3), torch.nn.ReLU()),
        (BatchNorm2d(3), AdaptiveLIF(3)),
        (BatchNorm2d(3), Doubled()),
    ],
    ids=["identity", "relu", "adaptive", "subclass"],
)
def test_other_layers_are_called_one_by_one(norm, neuron, calls):
    x = torch.randn(4, 2, 3, 6, 6)
    assert torch.equal(fire(norm.eval(), neuron, x), neuron(norm(x)))
    assert not calls


@pytest.mark.parametrize("of_norm", [True, False])
def test_hooks_are_called(of_norm, calls):
    norm, neuron, heard = BatchNorm2d(3), LIF(), []
    x = torch.randn(4, 2, 3, 6, 6)
    handle = (norm if of_norm else neuron).register_forward_hook(lambda *a: heard.append(a))
    fire(norm, neuron, x)
    assert (len(heard), len(calls)) == (1, 0)
    handle.remove()
    fire(norm, neuron, x)
    assert (len(heard), len(calls)) == (1, 1)


def test_input_of_another_rank_is_refused_as_the_layer_does(calls):
    with pytest.raises(ValueError, match="expected 4D input"):
        fire(BatchNorm2d(3), LIF(), torch.randn(4, 2, 3))
    assert not calls


def test_the_backend_of_the_neurons_decides(calls):
    norm, x = BatchNorm2d(3).double().eval(), torch.randn(4, 2, 3, 6, 6, dtype=torch.float64)
    results = [fire(norm, LIF(backend=b), x, "max") for b in ("reference", "numba", "auto")]
    assert [options["backend"] for options in calls] == ["reference", "numba", "auto"]
    assert all(torch.equal(r, results[0]) for r in results)
