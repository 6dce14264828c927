"""Spikes of known potentials: the rule, the slope, and nothing from step to step."""

from __future__ import annotations

import re

import pytest
import torch

from skspike.kernels import fire_at, lif
from skspike.kernels._surrogate import SURROGATES

by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])


@by_backend
@pytest.mark.parametrize(
    ("strict", "expected"), [(False, [0.0, 1.0, 1.0]), (True, [0.0, 0.0, 1.0])]
)
def test_the_threshold_itself(strict, expected, backend):
    h = torch.tensor([0.25, 0.5, 0.75])
    assert fire_at(h, threshold=0.5, strict=strict, backend=backend).tolist() == expected


@by_backend
@pytest.mark.parametrize("name", ["triangle", "atan"])
def test_the_gradient_is_the_slope(name, backend):
    torch.manual_seed(0)
    h, ds = torch.randn(5, 4).double().requires_grad_(), torch.randn(5, 4).double()
    s = fire_at(h, threshold=0.3, surrogate=name, alpha=0.8, backend=backend)
    (found,) = torch.autograd.grad(s, h, ds)
    slope = SURROGATES[name].derivative(h.detach() - 0.3, h.detach(), torch.tensor(0.8).double())
    torch.testing.assert_close(found, ds * slope)


@by_backend
def test_potentials_of_a_neuron_give_its_spikes(backend):
    torch.manual_seed(0)
    x = torch.randn(20, 6).double()
    potentials = [x[0]]
    for x_t in x[1:]:
        fired = potentials[-1] >= 1
        potentials.append(0.5 * potentials[-1].where(~fired, 0) + x_t)
    s, _ = lif(x, decay=0.5, backend=backend)
    assert torch.equal(fire_at(torch.stack(potentials), backend=backend), s)


def test_a_wrong_threshold_is_told():
    message = "The 'threshold' parameter of lif must be a float in the range (-inf, inf). Got 'a' "
    with pytest.raises(TypeError, match=re.escape(message)):
        fire_at(torch.ones(2), threshold="a")
