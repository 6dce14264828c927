from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import nn

from skspike.models import create_model
from skspike.nn import SMA, BatchNorm1d, BatchNorm2d, Conv2d, fold_norms

SMALL = {"n_classes": 3, "width": 4}
SPIKING = {"n_steps": 4, "scales": (1, 3)}
NETWORKS = {  # options, shape of the input, how many norms follow a layer, and how many do not
    "sma_vgg8": ({**SPIKING, "sma_blocks": (2,), "min_map": 2}, (4, 3, 2, 9, 8), 6, 1),
    "sma_mlp": ({**SPIKING, "in_channels": 5}, (4, 3, 5), 3, 2),
    "spiking_resnet18": ({}, (4, 3, 3, 33, 40), 20, 0),
    "spiking_resnet50": ({}, (4, 3, 3, 33, 40), 53, 0),
}


def with_statistics(model: nn.Module) -> nn.Module:
    """Give all norms statistics, factors and addends that cannot be overlooked."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            values = [module.running_var, module.running_mean]
            values += [] if module.weight is None else [module.weight, module.bias]
            for value in values:
                nn.init.uniform_(value, 0.5, 1.5)
    return model.eval()


def norms(model: nn.Module) -> int:
    """Count the batch norms."""
    return sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


def network(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a network in evaluation and its input."""
    options, shape, *_ = NETWORKS[name]
    torch.manual_seed(0)
    return with_statistics(create_model(name, **SMALL, **options)), torch.rand(shape)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_gives_the_same_answer(name):
    model, x = (value.double() for value in network(name))
    folded = fold_norms(model)
    n_foldable, n_others = NETWORKS[name][2:]
    assert (norms(model), norms(folded)) == (n_foldable + n_others, n_others)
    with torch.inference_mode():
        y = folded(x)
        assert y.std() > 1e-3
        torch.testing.assert_close(y, model(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (lambda bias: nn.Conv1d(4, 6, 3, bias=bias), nn.BatchNorm1d, (2, 4, 7)),
        (lambda bias: nn.Conv2d(4, 6, 3, 2, 1, groups=2, bias=bias), nn.BatchNorm2d, (2, 4, 7, 6)),
        (lambda bias: nn.Conv3d(4, 6, 3, bias=bias), nn.BatchNorm3d, (2, 4, 5, 4, 3)),
        (lambda bias: nn.Linear(4, 6, bias=bias), nn.BatchNorm1d, (5, 4)),
        (lambda bias: Conv2d(4, 6, 3, padding=1, bias=bias), BatchNorm2d, (3, 2, 4, 7, 6)),
        (lambda bias: nn.Linear(4, 6, bias=bias), BatchNorm1d, (3, 2, 4)),
    ],
)
def test_every_pair_of_layer_and_norm(layer, norm, shape, bias, affine):
    torch.manual_seed(0)
    pair = with_statistics(nn.Sequential(layer(bias), norm(6, affine=affine)).double())
    folded, x = fold_norms(pair), torch.randn(shape, dtype=torch.float64)
    assert norms(folded) == 0
    torch.testing.assert_close(folded(x), pair(x).detach(), rtol=0, atol=1e-12)


def test_the_original_stays_as_it_is():
    model, x = network("sma_vgg8")
    before, weights = model(x), copy.deepcopy(model.state_dict())
    folded = fold_norms(model)
    assert torch.equal(model(x), before)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for p in folded.parameters())
    assert not any(module.training for module in folded.modules())


def test_folding_twice_changes_nothing_more():
    once = fold_norms(network("sma_vgg8")[0])
    twice = fold_norms(once).state_dict()
    assert all(torch.equal(value, twice[name]) for name, value in once.state_dict().items())


def test_weights_keep_their_dtype_and_their_layout():
    pair = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)).eval()
    layer = fold_norms(pair.to(memory_format=torch.channels_last))[0]
    assert layer.weight.dtype == layer.bias.dtype == torch.float32
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)


def test_norms_that_follow_nothing_foldable_stay():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.BatchNorm1d(4),
        nn.Linear(4, 4),
        nn.ReLU(),
        nn.BatchNorm1d(4),
        nn.Linear(4, 4),
        nn.BatchNorm1d(4, track_running_stats=False),
    ).eval()
    x = torch.randn(9, 4)
    folded = fold_norms(model)
    assert norms(folded) == 3
    assert torch.equal(folded(x), model(x))


class Residual(nn.Module):
    """A module that says what follows what, and has a shortcut that nothing follows."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def foldable(self) -> list[tuple[str, str]]:
        return [("conv", "norm")]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x + self.norm(self.conv(x)))


def test_a_module_names_its_pairs_itself():
    torch.manual_seed(0)
    model = with_statistics(nn.ModuleDict({"block": Residual()}).double())["block"]
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    folded = fold_norms(model)
    assert isinstance(folded.norm, nn.Identity)
    assert isinstance(folded.last, nn.BatchNorm2d)
    torch.testing.assert_close(folded(x), model(x).detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("part", ["all", "one norm"])
def test_training_mode_is_refused(part):
    model = SMA(4, 4).eval()
    (model if part == "all" else model.branches[0][1]).train()
    message = (
        "The 'model' parameter of fold_norms must be in evaluation mode, model.eval(). "
        "Got a model in training mode instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        fold_norms(model)
