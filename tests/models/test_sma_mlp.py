"""The perceptron with attention: a vector is a map of one pixel."""

from __future__ import annotations

import pytest
import torch

from skspike.models import create_model
from skspike.nn import SMA
from tests.models.common import excite

T, N, F, K = 4, 6, 5, 3


def small(**options):
    torch.manual_seed(0)
    options = {"n_classes": K, "n_steps": T, "in_channels": F, "width": 2} | options
    return excite(create_model("sma_mlp", **options))


def test_its_branches_are_the_centres_of_larger_kernels():
    """On one pixel, kernels of 1, 3, 5 and 7 with the same centre give the same result."""
    scales = (1, 3, 5, 7)
    linear = small(scales=scales).attention
    full = SMA(16, T, scales)
    state = full.state_dict()
    for key, value in linear.state_dict().items():
        if value.ndim == 4:
            middle = state[key].shape[-1] // 2
            state[key][:, :, middle, middle] = value[..., 0, 0]
        else:
            state[key] = value
    full.load_state_dict(state)
    x = torch.randn(T, N, 16, 1, 1)
    torch.testing.assert_close(full.eval()(x), linear.eval()(x))


@pytest.mark.parametrize("scales", [(1,), (1, 3), (1, 3, 5, 7)])
def test_one_branch_for_each_scale(scales):
    model = small(scales=scales)
    assert [b[0].kernel_size for b in model.attention.branches] == [(1, 1)] * len(scales)
    assert model(torch.randn(T, N, F)).shape == (T, N, K)


def test_the_scale_of_a_feature_does_not_matter_in_training():
    """A table's columns have any units; the first norm takes them off."""
    model, x = small(dropout=0.0).double(), torch.randn(T, N, F).double()
    units = torch.tensor([1e-1, 1e3, 1.0, 50.0, 1e6]).double()
    model.encode[0].eps = 1e-30
    y = model(x)
    torch.testing.assert_close(model(x * units + units), y, rtol=1e-6, atol=1e-8)
    assert len(y.unique()) > K


def test_hidden_layers_have_eight_times_the_width():
    model = small(width=3)
    assert [m.weight.shape for m in model.encode if isinstance(m, torch.nn.Linear)] == [
        (24, F),
        (24, 24),
    ]
    assert model.head[-1].weight.shape == (K, 24)


def test_one_feature():
    assert small(in_channels=1)(torch.randn(T, N, 1)).shape == (T, N, K)


def test_it_learns_what_no_linear_function_can():
    """Exclusive or, from constant current."""
    torch.manual_seed(0)
    model = create_model("sma_mlp", n_classes=2, n_steps=T, in_channels=2, width=4, dropout=0.0)
    x = torch.tensor([[0.0, 0.0], [0, 1], [1, 0], [1, 1]]).repeat(8, 1)
    y = (x[:, 0] != x[:, 1]).long()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x.expand(T, -1, -1)).mean(0), y).backward()
        optimizer.step()
    assert (model.eval()(x.expand(T, -1, -1)).mean(0).argmax(1) == y).all()
