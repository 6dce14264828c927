"""Layers that see all steps at once equal torch's layers, step by step."""

from __future__ import annotations

import pytest
import torch

from skspike import nn as steps

LAYERS = [
    ("Conv2d", (3, 5, 3, 2, 1), (3, 9, 7)),
    ("Conv2d", (3, 5, 1, (2, 3)), (3, 9, 7)),
    ("MaxPool2d", (2,), (3, 9, 7)),
    ("AdaptiveAvgPool2d", (3,), (3, 9, 7)),
    ("AdaptiveAvgPool2d", (3,), (3, 1, 2)),
    ("AdaptiveAvgPool2d", (3,), (3, 1, 1)),
    ("AdaptiveAvgPool2d", ((None, 2),), (3, 1, 1)),
    ("BatchNorm1d", (3,), (3,)),
    ("BatchNorm2d", (3,), (3, 9, 7)),
]
by_layer = pytest.mark.parametrize(("name", "arguments", "shape"), LAYERS)


def pair(name, arguments):
    """Return our layer and torch's, with the same parameters away from their initial values."""
    torch.manual_seed(0)
    ours, theirs = getattr(steps, name)(*arguments), getattr(torch.nn, name)(*arguments)
    for value in ours.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    theirs.load_state_dict(ours.state_dict())
    return ours.double(), theirs.double()


def draw(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


@by_layer
def test_evaluation_equals_a_loop_over_the_steps(name, arguments, shape):
    ours, theirs = pair(name, arguments)
    ours.eval(), theirs.eval()
    x = draw(4, 2, *shape)
    y, expected = ours(x), torch.stack([theirs(step) for step in x])
    torch.testing.assert_close(y, expected)
    weight = torch.randn_like(y)
    gradients = (torch.autograd.grad((out * weight).sum(), x)[0] for out in (y, expected))
    torch.testing.assert_close(*gradients)


@by_layer
def test_parameters_have_the_names_of_torch(name, arguments, shape):
    ours, theirs = pair(name, arguments)
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize(("name", "shape"), [("BatchNorm1d", (3,)), ("BatchNorm2d", (3, 4, 5))])
def test_batch_norm_takes_its_statistics_over_time_and_batch_together(name, shape):
    layer = getattr(steps, name)(3).double()
    x = draw(4, 6, *shape) * torch.arange(1.0, 5).double().reshape(4, 1, *(1 for _ in shape))
    y = layer(x)
    axes = (0, 1, *range(3, x.ndim))
    torch.testing.assert_close(y.mean(axes), torch.zeros(3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(y.var(axes, correction=0), torch.ones(3).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(layer.running_mean, 0.1 * x.mean(axes))
    torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * x.var(axes))
    assert layer.num_batches_tracked == 1  # once, not once a step


@pytest.mark.parametrize("n_channels", [2, 5, 8, 15, 16])
@pytest.mark.parametrize(("side", "padding"), [(7, 0), (8, 0), (8, "valid")])
def test_strided_pointwise_convolutions_write_nothing_but_their_results(n_channels, side, padding):
    layer = steps.Conv2d(n_channels, 8, 1, 2, padding).to(memory_format=torch.channels_last)
    x = torch.randn(4, side, side, n_channels).permute(0, 3, 1, 2).unsqueeze(0)
    dy = torch.randn_like(layer(x))
    wanted = torch.einsum("tnohw,tnchw->oc", dy.double(), x[..., ::2, ::2].double())
    for _ in range(100):  # where oneDNN overruns its workspace, the process ends or hangs in these
        (dw,) = torch.autograd.grad(layer(x), layer.weight, dy)
        torch.testing.assert_close(dw[:, :, 0, 0].double(), wanted, rtol=1e-5, atol=1e-5)


# --- dropout ---


def test_dropout_mask_is_shared_by_the_steps_and_drawn_for_each_sample():
    torch.manual_seed(0)
    y = steps.Dropout(0.5)(torch.ones(5, 8, 64))
    assert (y == y[0]).all()
    assert len({tuple(sample.tolist()) for sample in y[0]}) == 8


def test_dropout_keeps_the_mean_and_the_share():
    torch.manual_seed(0)
    y = steps.Dropout(0.2)(torch.ones(2, 100, 1000))
    assert set(y.unique().tolist()) == {0.0, 1.25}
    assert y.mean().item() == pytest.approx(1, abs=0.01)


def test_dropout_draws_anew_in_each_call():
    layer, x = steps.Dropout(0.5), torch.ones(2, 4, 64)
    assert not torch.equal(layer(x), layer(x))


def test_dropout_masks_the_gradient_alike():
    torch.manual_seed(0)
    x = torch.ones(3, 2, 16, requires_grad=True)
    y = steps.Dropout(0.5)(x)
    (dx,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(dx, y.detach())


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True)])
def test_dropout_that_is_the_identity(p, training):
    x = torch.randn(3, 2, 16)
    assert steps.Dropout(p).train(training)(x) is x


def test_dropout_draws_from_torchs_generator():
    layer, x = steps.Dropout(0.5), torch.ones(2, 4, 64)
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(layer(x))
    assert torch.equal(*results)


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_dropout_with_an_impossible_probability(p):
    with pytest.raises(ValueError, match=rf"'p' parameter of Dropout .* Got {p} instead"):
        steps.Dropout(p)


def test_dropout_repr():
    assert repr(steps.Dropout(0.3)) == "Dropout(p=0.3)"
