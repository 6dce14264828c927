"""Neuron layers: the operator with parameters, and no state between calls."""

from __future__ import annotations

import copy
import math
import pickle
import re

import pytest
import torch

from skspike.kernels import lif
from skspike.nn import IF, LIF, ParametricLIF
from skspike.nn._neurons import NEURONS, make_neuron

SETTINGS = {
    "threshold": 0.75,
    "v_reset": None,
    "detach_reset": False,
    "surrogate": "sigmoid",
    "alpha": 2.5,
    "backend": "reference",
}


@pytest.fixture
def x():
    torch.manual_seed(0)
    return (torch.randn(6, 3, 4) + 0.5).requires_grad_()


@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        (LIF(3.0, decay_input=False, **SETTINGS), {"tau": 3.0, "decay_input": False, **SETTINGS}),
        (LIF(), {}),
        (IF(**SETTINGS), {"tau": math.inf, **SETTINGS}),
        (IF(), {"tau": math.inf}),
        (ParametricLIF(3.0, **SETTINGS), {"tau": torch.tensor(3.0), **SETTINGS}),
    ],
    ids=lambda value: repr(value) if isinstance(value, LIF) else "",
)
def test_a_layer_is_the_operator_with_its_arguments(layer, arguments, x):
    s, (expected, _) = layer(x), lif(x, **arguments)
    assert torch.equal(s, expected)
    weight = torch.randn_like(s)
    gradients = (torch.autograd.grad((out * weight).sum(), x)[0] for out in (s, expected))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", NEURONS)
def test_no_state_survives_a_call(name, x):
    layer = make_neuron(name, 2.0)
    assert torch.equal(layer(x), layer(x))
    assert not list(layer.buffers())


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(copied, name, x):
    layer = make_neuron(name, 2.5, surrogate="triangle")
    clone = copied(layer)
    assert repr(clone) == repr(layer)
    assert torch.equal(clone(x), layer(x))


@pytest.mark.parametrize("name", ["lif", "if"])
def test_fixed_neurons_have_no_parameters(name):
    assert not list(make_neuron(name, 2.0).parameters())


# --- the learnable time constant ---


@pytest.mark.parametrize("tau", [1.01, 2.0, 50.0])
def test_parametric_tau_is_the_inverse_sigmoid_of_its_parameter(tau):
    layer = ParametricLIF(tau)
    assert [name for name, _ in layer.named_parameters()] == ["w"]
    assert layer.w.item() == pytest.approx(-math.log(tau - 1), rel=1e-6)
    assert 1 / layer.tau.item() == pytest.approx(layer.w.sigmoid().item(), rel=1e-6)
    assert layer.tau.item() == pytest.approx(tau, rel=1e-6)


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_gradient_of_the_parameter_follows_the_chain_rule(backend):
    """Over one silent step v = x / tau with 1 / tau = sigmoid(w), so dv/dw = x k (1 - k).

    The spike adds its surrogate derivative, which is that of h as well.
    """
    layer = ParametricLIF(4.0, backend=backend).double()
    x = torch.tensor([[0.4]], dtype=torch.float64)
    layer(x).sum().backward()
    k = layer.w.detach().sigmoid()
    surrogate = 1 / (1 + (math.pi * (x * k - 1)) ** 2)
    torch.testing.assert_close(layer.w.grad, (surrogate * x * k * (1 - k)).sum())


def test_training_moves_tau_towards_the_wanted_rate():
    """More spikes are wanted than a slow membrane gives: tau must fall."""
    torch.manual_seed(0)
    layer, x = ParametricLIF(10.0), torch.rand(20, 200) * 2.5
    optimizer = torch.optim.SGD(layer.parameters(), 0.5)
    taus = []
    for _ in range(30):
        optimizer.zero_grad()
        ((layer(x).mean() - 0.4) ** 2).backward()
        optimizer.step()
        taus.append(layer.tau.item())
    assert taus[-1] < taus[0] < 10.0


# --- errors ---


@pytest.mark.parametrize(
    ("layer", "tau", "interval"),
    [
        (LIF, 0, "[1.0, inf]"),
        (LIF, math.nan, "[1.0, inf]"),
        (ParametricLIF, 1.0, "(1.0, inf)"),
        (ParametricLIF, math.inf, "(1.0, inf)"),
    ],
)
def test_tau_out_of_range(layer, tau, interval):
    message = (
        f"The 'tau' parameter of {layer.__name__} must be a float in the range "
        f"{interval}. Got {tau!r} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(tau)


def test_unknown_neuron():
    message = "The 'name' parameter of make_neuron must be one of ['if', 'lif', 'plif']. Got 'qif'"
    with pytest.raises(ValueError, match=re.escape(message)):
        make_neuron("qif", 2.0)


def test_the_short_name_if_ignores_tau():
    assert make_neuron("if", 3.0).tau == math.inf
    assert make_neuron("lif", 3.0).tau == 3.0


@pytest.mark.filterwarnings("error")
def test_repr_tells_the_settings():
    assert repr(LIF(tau=3.5)) == "LIF(tau=3.5, threshold=1.0, surrogate='atan')"
    assert repr(ParametricLIF(2.0)) == "ParametricLIF(tau=2, threshold=1.0, surrogate='atan')"
