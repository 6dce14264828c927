"""Selective state space models and their block: equation, options, contract."""

from __future__ import annotations

import copy
import re
from functools import partial

import pytest
import torch
from torch import nn

from skspike.nn import SelectiveSSM, SelectiveSSMBlock
from tests.nn.test_sequence_block import H, N, T, draw
from tests.nn.test_sequence_block import build as build_block

build = partial(build_block, "selective")

S = 7

by_norm = pytest.mark.parametrize("norm", ["layer", "batch"])
by_place = pytest.mark.parametrize("norm_place", ["before", "after", "unused"])
by_kind = pytest.mark.parametrize("bidirectional", [False, True], ids=["causal", "bidirectional"])


def layer(**options):
    torch.manual_seed(0)
    return SelectiveSSM(H, S, **{"dt_min": 0.01, "dt_max": 2.0} | options).double()


# --- the model ---


def by_definition(ssm, x):
    """Return the response to one sample, (n_steps, n_channels), state by state and step by step."""
    before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
    to_value, to_gate = ssm.shift
    v = (x + to_value * (before - x)) @ ssm.value.weight.T + ssm.value.bias
    g = (x + to_gate * (before - x)) @ ssm.gate.weight.T + ssm.gate.bias
    dt = torch.log1p(torch.exp(g)).unflatten(-1, (-1, ssm.n_states))

    def states(order, dt):
        h, found = torch.zeros(ssm.n_states, dtype=x.dtype), {}
        for t in order:
            h = torch.exp(-dt[t]) * h + (1 - torch.exp(-dt[t])) * v[t]
            found[t] = h
        return found

    ahead = states(range(len(x)), dt[:, 0])
    y = [ssm.c[0] * ahead[t] + ssm.d * v[t] + ssm.bias for t in range(len(x))]
    if ssm.bidirectional:
        back = states(range(len(x) - 1, -1, -1), dt[:, 1])
        y = [y[t] + (ssm.c[1] * back[t + 1] if t + 1 < len(x) else 0) for t in range(len(x))]
    return torch.stack(y)


@by_kind
def test_the_model_is_its_equation(bidirectional):
    ssm, x = layer(bidirectional=bidirectional), draw()
    expected = torch.stack([by_definition(ssm, x[:, i]) for i in range(N)], 1)
    torch.testing.assert_close(ssm(x), expected, rtol=0, atol=1e-12)


@by_kind
def test_steps_without_input_lie_in_their_range(bidirectional):
    ssm = SelectiveSSM(4, 5000, bidirectional, dt_min=0.01, dt_max=100.0).double()
    dt = nn.functional.softplus(ssm.gate.bias)
    assert dt.shape == (5000 * (1 + bidirectional),)
    assert 0.0099 < dt.min() < 0.012
    assert 90 < dt.max() < 101
    assert dt.log().mean().item() == pytest.approx(0.0, abs=0.15)


def test_it_can_wait():
    """A gate that one input opens keeps what it was given there, over any number of steps."""
    ssm = SelectiveSSM(2, 1, dt_max=1e-3)
    with torch.no_grad():
        for parameter in ssm.parameters():
            parameter.zero_()
        ssm.c.fill_(1)
        ssm.value.weight.copy_(torch.tensor([[1.0, 0.0]]))
        ssm.gate.weight.copy_(torch.tensor([[0.0, 200.0]]))
        ssm.gate.bias.fill_(-100)
    x = torch.randn(2000, 1, 2).abs()
    x[:, :, 1] = 0
    x[700, 0, 1] = 1
    y = ssm(x)
    torch.testing.assert_close(y[700:], x[700, 0, 0].expand(1300, 1, 1))
    torch.testing.assert_close(y[:700], torch.zeros(700, 1, 1))


def test_number_of_parameters():
    n = sum(p.numel() for p in SelectiveSSM(H, S).parameters())
    assert n == 2 * (H * S + S) + 3 * S + 2 * H
    n = sum(p.numel() for p in SelectiveSSM(H, S, bidirectional=True).parameters())
    assert n == 3 * (H * S + S) + 4 * S + 2 * H


@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("n_channels", 0, "an int in the range [1, inf]"),
        ("n_states", 0, "an int in the range [1, inf]"),
        ("dt_min", 0.0, "a float in the range (0.0, inf)"),
        ("dt_max", 1e-4, "a float in the range [0.001, inf)"),
    ],
)
def test_a_value_out_of_range(name, value, must):
    message = f"The {name!r} parameter of SelectiveSSM must be {must}. Got {value!r} instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        SelectiveSSM(**{"n_channels": 2, "n_states": 3} | {name: value})


def test_what_does_not_fit():
    ssm = layer()
    for call in (ssm, ssm.stream):
        with pytest.raises(ValueError, match=r"must have shape \(n_steps, n_samples, 5\). Got"):
            call(draw(T, N, H + 1))
    with pytest.raises(ValueError, match="The 'form' parameter of SelectiveSSM must be one of"):
        ssm(draw(), form="wide")
    with pytest.raises(ValueError, match="must be False to stream"):
        layer(bidirectional=True).stream(draw())


def test_repr_says_its_size():
    assert repr(layer()).startswith("SelectiveSSM(\n  5, 7, bidirectional=False")


# --- the block ---


@by_norm
@by_place
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_the_block_is_its_equation(training, residual, gated, norm_place, norm):
    around = {"norm": norm, "norm_place": norm_place, "residual": residual, "gated": gated}
    block, x = build(training, **around), draw()
    same = copy.deepcopy(block)  # of which the norm will have seen the same
    s = block.neuron(block.ssm(same.norm(x) if norm_place == "before" else x))
    mixed = s @ block.mix.weight.T + block.mix.bias
    if gated:
        mixed = mixed[..., :H] * mixed[..., H:].sigmoid()
    expected = mixed + (x if residual else 0)
    expected = same.norm(expected) if norm_place == "after" else expected
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-12)
    assert 0.02 < s.mean().item() < 0.8


def test_what_meets_the_matrix_is_binary():
    block, seen = build(), []
    block.mix.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    block(draw())
    assert seen[0].shape == (T, N, 2 * H)
    assert seen[0].unique().tolist() == [0.0, 1.0]


def test_options_reach_their_layers():
    block = SelectiveSSMBlock(
        3,
        expand=4,
        bidirectional=True,
        dt_min=0.5,
        dt_max=0.5,
        dropout=0.2,
        mode="fixed_point",
        decay=0.25,
        n_rounds=2,
        shared_threshold=True,
        backend="reference",
    )
    ssm, neuron = block.ssm, block.neuron
    assert (ssm.bidirectional, ssm.backend, ssm.n_states) == (True, "reference", 12)
    torch.testing.assert_close(nn.functional.softplus(ssm.gate.bias), torch.full((24,), 0.5))
    assert (neuron.mode, neuron.decay, neuron.n_rounds) == ("fixed_point", 0.25, 2)
    assert (neuron.backend, neuron.n_channels, neuron.ln_threshold.shape) == ("reference", 12, (1,))
    assert block.dropout.p == 0.2
    assert SelectiveSSMBlock(3, learnable_threshold=False).neuron.ln_threshold is None


def test_both_ways_see_all():
    ssm, x = layer(bidirectional=True), draw().requires_grad_()
    for t in (0, 20, T - 1):
        (dx,) = torch.autograd.grad(ssm(x)[t].sum(), x)
        assert dx.abs().amax((1, 2)).min() > 0


# --- contract ---


@by_kind
@pytest.mark.parametrize("mode", ["exact", "fixed_point"])
def test_compiles_without_a_graph_break(mode, bidirectional):
    block = build(True, mode=mode, bidirectional=bidirectional)
    torch.compiler.reset()  # what other tests have compiled counts, too
    compiled = torch.compile(copy.deepcopy(block), fullgraph=True, backend="aot_eager")
    x, other = (draw().requires_grad_() for _ in range(2))
    found, expected = compiled(x), block(other)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(x.grad, other.grad)


def test_under_autocast_states_are_float32():
    block, x = build(True).float(), draw().float()
    with torch.autocast("cpu", torch.bfloat16):
        y, (state, last, potential) = block.stream(x)
    assert (y.dtype, state.dtype, last.dtype) == (torch.float32,) * 3
    assert potential.dtype == torch.float32
    y.sum().backward()
    assert all(p.grad.isfinite().all() for p in block.parameters())


def test_every_parameter_learns():
    block = build(True, bidirectional=True, expand=6)
    block(draw()).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in block.parameters())
    assert block.slow_parameters() == []


@pytest.mark.parametrize(
    ("name", "value"), [("norm", "instance"), ("norm_place", "none"), ("expand", 0)]
)
def test_an_unknown_choice(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of SelectiveSSMBlock must be"):
        SelectiveSSMBlock(H, **{name: value})


def test_repr_says_what_is_around_the_block():
    text = repr(SelectiveSSMBlock(H, residual=False))
    assert text.startswith("SelectiveSSMBlock(\n  residual=False, gated=False, norm_place='before'")
