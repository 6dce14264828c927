"""The block of SpikingSSM: its equation, norms, options, modes, contract."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import nn

from skspike.nn import S4D, BatchNorm1d, SpikingSSMBlock
from tests.nn.test_sequence_block import H, N, draw, recorded
from tests.nn.test_sequence_block import build as build_block

build = partial(build_block, "s4d")

by_norm = pytest.mark.parametrize("norm", ["layer", "batch"])
by_place = pytest.mark.parametrize("norm_place", ["before", "after", "unused"])
by_kind = pytest.mark.parametrize("bidirectional", [False, True], ids=["causal", "bidirectional"])


# --- the equation ---


def normalized(block, x):
    """Return the norm of (n_steps, n_samples, n_channels), from its definition."""
    norm, axis = block.norm, (-1 if isinstance(block.norm, nn.LayerNorm) else (0, 1))
    if isinstance(norm, BatchNorm1d) and not norm.training:
        mean, var = norm.running_mean, norm.running_var
    else:
        var, mean = torch.var_mean(x, axis, correction=0, keepdim=True)
    return norm.weight * (x - mean) / (var + norm.eps).sqrt() + norm.bias


@by_norm
@by_place
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_the_block_is_its_equation(training, norm_place, norm):
    block, x = build(training, norm=norm, norm_place=norm_place), draw()
    before = normalized(block, x) if norm_place == "before" else x
    s = block.neuron(block.ssm(before))
    value, gate = (s @ block.mix.weight.T + block.mix.bias).chunk(2, -1)
    expected = x + value * gate.sigmoid()
    expected = normalized(block, expected) if norm_place == "after" else expected
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-12)
    assert 0.02 < s.mean().item() < 0.8


def test_what_meets_the_matrix_is_binary():
    block, seen = build(), []
    block.mix.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    block(draw())
    assert seen[0].unique().tolist() == [0.0, 1.0]


@by_norm
def test_an_unused_norm_has_parameters_and_does_nothing(norm):
    block, x = build(True, norm=norm, norm_place="unused"), draw()
    buffers = copy.deepcopy(dict(block.norm.named_buffers()))
    y = block(x)
    y.sum().backward()
    assert [p.shape for p in block.norm.parameters()] == [(H,), (H,)]
    assert all(p.grad is None for p in block.norm.parameters())
    assert all(p.grad.isfinite().all() for p in block.mix.parameters())
    assert all(torch.equal(b, buffers[name]) for name, b in block.norm.named_buffers())
    with torch.no_grad():
        block.norm.weight.fill_(torch.nan)
    assert torch.equal(block(x), y)


def test_number_of_parameters():
    n = sum(p.numel() for p in SpikingSSMBlock(H, d_state=8).parameters())
    mix, kernel = 2 * H**2 + 2 * H, 2 * H * 8 + H
    assert n == mix + kernel + 4 * H  # norm, D and thresholds


def test_options_reach_their_layers():
    block = SpikingSSMBlock(
        3,
        d_state=4,
        bidirectional=True,
        trainable_input=True,
        dt_min=0.5,
        dt_max=0.5,
        dropout=0.2,
        mode="fixed_point",
        decay=0.25,
        n_rounds=2,
        shared_threshold=True,
        backend="reference",
    )
    assert (block.ssm.bidirectional, block.ssm.backend) == (True, "reference")
    assert block.ssm.b.shape == (3, 2, 2)
    torch.testing.assert_close(block.ssm.log_dt.exp(), torch.full((3,), 0.5))
    neuron = block.neuron
    assert (neuron.mode, neuron.decay, neuron.n_rounds) == ("fixed_point", 0.25, 2)
    assert (neuron.backend, neuron.ln_threshold.shape) == ("reference", (1,))
    assert block.dropout.p == 0.2
    assert SpikingSSMBlock(3, learnable_threshold=False).neuron.ln_threshold is None


def test_a_threshold_scales_what_the_neurons_are_given():
    block, x = build(), draw()
    with torch.no_grad():
        y = block(x)
        block.neuron.ln_threshold.add_(torch.tensor(4.0).log())
        assert not torch.equal(block(x), y)
        block.ssm.c.mul_(4)
        block.ssm.d.mul_(4)
        torch.testing.assert_close(block(x), y, rtol=0, atol=1e-12)


# --- modes ---


def test_what_is_trained_in_one_mode_is_loaded_in_another():
    exact, x = build(), draw(400, N, H)
    for mode in ("sdn", "fixed_point"):
        other = SpikingSSMBlock(H, d_state=8, mode=mode).double()
        other.load_state_dict(exact.state_dict())
        differ = (other(x) != exact(x)).double().mean().item()
        assert differ < 0.02
    trained, back = other.state_dict(), SpikingSSMBlock(H, d_state=8).double()
    back.load_state_dict(trained)
    assert torch.equal(back(x), exact(x))


def test_gradients_stay_in_a_step_of_the_neurons():
    """The gradient to the current of a step is that of the spikes of this step alone."""
    block, x = build(), draw()
    currents = recorded(block)
    y = block(x)
    g = torch.autograd.grad(y[17].sum(), currents[0])[0]
    assert g[17].any()
    g[17] = 0
    assert not g.any()


# --- contract ---


@by_norm
@pytest.mark.parametrize("mode", ["exact", "sdn", "fixed_point"])
def test_compiles_without_a_graph_break(mode, norm):
    block = build(True, mode=mode, norm=norm)
    torch.compiler.reset()  # what other tests have compiled counts, too
    compiled = torch.compile(copy.deepcopy(block), fullgraph=True, backend="aot_eager")
    x, other = (draw().requires_grad_() for _ in range(2))
    found, expected = compiled(x), block(other)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(x.grad, other.grad)


@pytest.mark.parametrize(("name", "value"), [("norm", "instance"), ("norm_place", "none")])
def test_an_unknown_choice(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of SpikingSSMBlock must be one"):
        SpikingSSMBlock(H, **{name: value})


def test_values_out_of_range_are_told_by_the_layers():
    with pytest.raises(ValueError, match="The 'p' parameter of Dropout must be a float"):
        SpikingSSMBlock(H, dropout=1.5)
    with pytest.raises(ValueError, match="The 'd_state' parameter of S4D must be an int"):
        SpikingSSMBlock(H, d_state=0)


def test_repr_says_where_the_norm_is():
    text = repr(SpikingSSMBlock(H, norm_place="unused"))
    assert text.startswith("SpikingSSMBlock(\n  norm_place='unused'")
    assert isinstance(SpikingSSMBlock(H).ssm, S4D)
