"""The neuron of SpikingSSM: thresholds, three ways to the same potential, gradients, streams."""

from __future__ import annotations

import re

import pytest
import torch

from skspike.kernels import fire_at, lif
from skspike.nn import SpikingSSMNeuron
from skspike.nn import _spiking_ssm_neuron as module

T, N, H = 40, 3, 5
by_mode = pytest.mark.parametrize("mode", ["exact", "sdn", "fixed_point"])


def draw(shape=(T, N, H), dtype=torch.float64):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(
        dtype
    )


def with_thresholds(neuron, *thresholds):
    with torch.no_grad():
        neuron.ln_threshold.copy_(torch.tensor(thresholds, dtype=torch.float64).log())
    return neuron


# --- thresholds ---


def test_a_threshold_is_a_scale_of_the_input():
    """f(I; theta) = f(I / theta; 1): to the last bit where the division is exact."""
    x, thresholds = draw(), (0.25, 0.5, 1.0, 2.0, 4.0)
    neuron = with_thresholds(SpikingSSMNeuron(H).double(), *thresholds)
    assert neuron.ln_threshold.exp().tolist() == list(thresholds)
    spikes, state = neuron.stream(x)
    for channel, threshold in enumerate(thresholds):
        s, v = lif(x[..., channel], decay=0.125, threshold=threshold)
        assert torch.equal(spikes[..., channel], s)
        assert torch.equal(state[..., channel] * threshold, v)


@by_mode
def test_a_shared_threshold_and_none(mode):
    x = draw()
    shared = SpikingSSMNeuron(H, mode, shared_threshold=True).double()
    assert shared.ln_threshold.shape == (1,)
    fixed = SpikingSSMNeuron(H, mode, learnable_threshold=False)
    assert list(fixed.parameters()) == []
    assert torch.equal(fixed(2 * x), with_thresholds(shared, 0.5)(x))


@by_mode
def test_gradients_of_input_and_threshold(mode):
    """With y = x / theta and y + m data but for y, ds/dx = g / theta and ds/dln theta = -g y."""
    x, ds = draw().requires_grad_(), draw((T + 1, N, H))[1:]
    thresholds = torch.tensor([0.7, 1.0, 1.3, 0.9, 2.0]).double()
    neuron = with_thresholds(SpikingSSMNeuron(H, mode).double(), *thresholds.tolist())
    found = torch.autograd.grad(neuron(x), (x, neuron.ln_threshold), ds)
    y = (x / thresholds).detach()
    m = carried(neuron, y)
    g = ds * (1 - (y + m - 1).abs()).clamp(min=0)
    torch.testing.assert_close(found[0], g / thresholds)
    torch.testing.assert_close(found[1], (-g * y).sum((0, 1)))


def carried(neuron, y):
    """Return the carried potentials that a neuron in some mode finds."""
    if neuron.mode != "exact":
        return neuron._membrane(y)
    v, found = torch.zeros_like(y[0]), []
    for y_t in y:
        found.append(neuron.decay * v)
        _, v = lif(y_t[None], v, decay=neuron.decay)
    return torch.stack(found)


# --- three ways ---


def test_with_the_true_potential_every_way_is_the_exact_one(monkeypatch):
    x, ds = draw(), draw((T + 1, N, H))[1:]
    exact = SpikingSSMNeuron(H).double()
    truth = carried(exact, x)
    monkeypatch.setattr(module, "sdn_membrane", lambda x, weights, backend: truth)
    results = []
    for neuron in (exact, SpikingSSMNeuron(H, "sdn").double(), rounds(T)):
        leaf = x.clone().requires_grad_()
        s = neuron(leaf)
        results.append((s, *torch.autograd.grad(s, (leaf, neuron.ln_threshold), ds)))
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def rounds(n):
    return SpikingSSMNeuron(H, "fixed_point", n_rounds=n).double()


@pytest.mark.parametrize(
    ("mode", "n_rounds", "per_cent"),
    [("fixed_point", 2, 0.06), ("fixed_point", 3, 0.02), ("sdn", 3, 0.02)],
)
def test_spikes_agree(mode, n_rounds, per_cent):
    x = draw((1024, 10, H), torch.float32)
    neuron = SpikingSSMNeuron(H, mode, n_rounds=n_rounds)
    differ = 100 * (neuron(x) != SpikingSSMNeuron(H)(x)).double().mean().item()
    memoryless = 100 * (fire_at(x) != SpikingSSMNeuron(H)(x)).double().mean().item()
    assert differ < per_cent < 1.3 < memoryless


def test_all_modes_have_the_same_parameters():
    states = [SpikingSSMNeuron(H, mode).state_dict() for mode in module.MODES]
    assert [list(state) for state in states] == [["ln_threshold"]] * 3


# --- streams ---


@by_mode
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_whole_chunks_and_steps_are_equal(mode, dtype):
    x = draw(dtype=dtype)
    neuron = SpikingSSMNeuron(H, mode)
    whole, last = neuron.stream(x)
    assert whole.dtype == dtype
    assert torch.equal(neuron(x), whole)
    for sizes in ((1,) * T, (3, 20, T - 23), (T - 1, 1)):
        state, parts = None, []
        for chunk in x.split(sizes):
            s, state = neuron.stream(chunk, state)
            parts.append(s)
        assert torch.equal(torch.cat(parts), whole)
        assert torch.equal(state, last)


@by_mode
def test_the_state_is_data(mode):
    x = draw().requires_grad_()
    neuron = SpikingSSMNeuron(H, mode).double()
    _, state = neuron.stream(x)
    assert not state.requires_grad
    assert state.shape == {"exact": (N, H), "sdn": (8, N, H), "fixed_point": (3, N, H)}[mode]
    s, _ = neuron.stream(x, state.requires_grad_())
    assert torch.autograd.grad(s.sum(), state, allow_unused=True) == (None,)


def test_no_rounds_remember_nothing():
    x = draw()
    spikes, state = rounds(0).stream(x)
    assert torch.equal(spikes, fire_at(x))
    assert state.shape == (0, N, H)
    assert torch.equal(rounds(0).stream(x, state)[0], spikes)


@by_mode
def test_maps_behind_the_channels(mode):
    x = draw((6, 2, H, 3, 2))
    thresholds = (0.5, 1.0, 2.0, 1.5, 0.7)
    neuron = with_thresholds(SpikingSSMNeuron(H, mode).double(), *thresholds)
    by_row = neuron(x.movedim(2, -1).flatten(1, -2))
    assert torch.equal(neuron(x).movedim(2, -1).flatten(1, -2), by_row)


@by_mode
def test_several_spikes_in_a_step(mode):
    """One for each threshold that is reached; what a neuron carries is what it would with one."""
    torch.manual_seed(0)
    neuron = with_thresholds(SpikingSSMNeuron(H, mode, max_spikes=3).double(), *range(1, H + 1))
    x = (4 * draw()).requires_grad_()
    y = neuron._scaled(x.detach())
    h = y + carried(neuron, y)
    s = neuron(x)
    assert torch.equal(s, h.floor().clamp(0, 3))
    assert set(s.unique().tolist()) == {0, 1, 2, 3}
    (dx,) = torch.autograd.grad(s.sum(), x)  # triangles of three neighbours: a plateau
    plateau = torch.minimum(h, 4 - h).clamp(0, 1)
    torch.testing.assert_close(dx, plateau / torch.arange(1, H + 1))
    first, state = neuron.stream(x[:7])
    assert torch.equal(torch.cat([first, neuron.stream(x[7:], state)[0]]), s)


# --- contract ---


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_spikes", 0), ("n_channels", 0), ("mode", "bptt"), ("decay", 1.5), ("n_rounds", -1)],
)
def test_value_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of SpikingSSMNeuron must"):
        SpikingSSMNeuron(**{"n_channels": H} | {name: value})


def test_an_input_that_does_not_fit():
    message = (
        "The input of SpikingSSMNeuron must have shape (n_steps, n_samples, 5, ...). "
        "Got (40, 3, 4) instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        SpikingSSMNeuron(H)(draw((T, N, 4)))


def test_a_surrogate_that_does_not_ship():
    with pytest.raises(ValueError, match="The 'decay' parameter of load_surrogate_dynamics must"):
        SpikingSSMNeuron(H, "sdn", decay=0.3)


def test_repr():
    assert repr(SpikingSSMNeuron(H, "fixed_point", n_rounds=2)) == (
        "SpikingSSMNeuron(n_channels=5, mode='fixed_point', decay=0.125, n_rounds=2)"
    )
    assert repr(SpikingSSMNeuron(H, max_spikes=4)) == (
        "SpikingSSMNeuron(n_channels=5, mode='exact', decay=0.125, max_spikes=4)"
    )
