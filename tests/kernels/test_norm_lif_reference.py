"""Laws of the specification of norm_lif: torch's layers, finite differences, processes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from skspike.kernels import lif, norm_lif
from tests.kernels.norm_parity import POOLS


@pytest.mark.parametrize("shape", [(4, 2, 3, 6, 7), (4, 2, 3), (4, 2, 3, 5)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_equals_torch_layers(training, shape):
    torch.manual_seed(0)
    norm = [nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d][len(shape) - 3](3).train(training)
    nn.init.uniform_(norm.weight, 1, 2)
    nn.init.uniform_(norm.running_mean)
    running = norm.running_mean.clone(), norm.running_var.clone()
    x = torch.randn(shape)
    expected = lif(norm(x.flatten(0, 1)).unflatten(0, shape[:2]), backend="reference")
    found = norm_lif(x, norm.weight, norm.bias, *running, training=training, backend="reference")
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(running[0], norm.running_mean)
    assert torch.equal(running[1], norm.running_var)


@pytest.mark.parametrize("pool", POOLS)
def test_pools_as_torch_does(pool):
    torch.manual_seed(0)
    x = torch.randn(4, 2, 3, 5, 7)
    s, v = norm_lif(x, None, None, training=True, backend="reference")
    y, w = norm_lif(x, None, None, training=True, pool=pool, backend="reference")
    if pool is not None:
        s = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}[pool](2)(s.flatten(0, 1))
    assert torch.equal(y.flatten(), s.flatten())
    assert torch.equal(v, w)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_gradients_equal_finite_differences(backend, training):
    """Where nothing fires: the gradient of a spike is a stand-in, all else is exact."""
    torch.manual_seed(0)
    x = torch.randn(3, 2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    weight, bias = (torch.rand(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    v = torch.rand(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    tau = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    running = torch.rand(2, dtype=torch.float64), 0.5 + torch.rand(2, dtype=torch.float64)

    def last_state(x, weight, bias, v, tau):
        statistics = [a.clone() for a in running]
        options = {"tau": tau, "threshold": 1e9, "backend": backend}
        return norm_lif(x, weight, bias, *statistics, v, training=training, **options)[1]

    assert torch.autograd.gradcheck(last_state, (x, weight, bias, v, tau))


def test_one_sample_with_the_channel_innermost():
    """torch's own gradient is permuted then (2.13)."""
    x = torch.randn(1, 1, 3, 2, 2, dtype=torch.float64)
    statistics = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    gradients = []
    for layout in (lambda a: a, lambda a: a.movedim(2, -1).contiguous().movedim(-1, 2)):
        leaf = layout(x).requires_grad_()
        _, v = norm_lif(leaf, None, None, *statistics, training=False, backend="reference")
        gradients += torch.autograd.grad(v, leaf, x[0])
    assert torch.equal(*gradients)
