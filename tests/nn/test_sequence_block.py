"""What holds for all blocks of long sequences: dropout, unequal lengths, forms, streams, copies."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from skspike.nn import BatchNorm1d, SelectiveSSMBlock, SpikingSSMBlock

T, N, H = 40, 3, 5
LENGTHS = (40, 17, 1)
VALID = torch.arange(T)[:, None] < torch.tensor(LENGTHS)
BLOCKS = {
    "s4d": (SpikingSSMBlock, {"d_state": 8}),
    "selective": (SelectiveSSMBlock, {"dt_max": 2.0}),
}

by_block = pytest.mark.parametrize("kind", BLOCKS)
by_norm = pytest.mark.parametrize("norm", ["layer", "batch"])
by_place = pytest.mark.parametrize("norm_place", ["before", "after", "unused"])
by_direction = pytest.mark.parametrize("bidirectional", [False, True], ids=["causal", "both"])


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*(shape or (T, N, H)), dtype=torch.float64, generator=generator)


def build(kind, training=False, **options):
    """Return a block in double precision, with norms that have seen something, which fires."""
    torch.manual_seed(0)
    block_class, own = BLOCKS[kind]
    block = block_class(H, **own | options).double()
    with torch.no_grad():
        for parameter in (*block.norm.parameters(), block.neuron.ln_threshold):
            parameter.add_(0.3 * torch.randn_like(parameter))
    if isinstance(block.norm, BatchNorm1d):
        block.norm.running_mean.copy_(draw(H, seed=3))
        block.norm.running_var.copy_(draw(H, seed=4).exp())
    return block.train(training)


def recorded(block):
    """Return the list of what drives the neurons from now on, in any form."""
    found, ssm = [], block.ssm

    def record(function):
        def call(*arguments):
            result = function(*arguments)
            found.append(result[0] if isinstance(result, tuple) else result)
            return result

        return call

    ssm.forward, ssm.stream = record(ssm.forward), record(ssm.stream)
    return found


def largest(difference):
    return difference.abs().max().item()


@by_block
def test_the_blocks_tested_here_fire(kind):
    block, rates = build(kind), []
    block.mix.register_forward_pre_hook(lambda _, inputs: rates.append(inputs[0].mean().item()))
    block(draw())
    assert 0.02 < rates[0] < 0.8


# --- dropout ---


@by_block
def test_dropout_takes_channels_of_a_sample_away_for_all_steps(kind):
    block, masks = build(kind, True, dropout=0.4), []
    block.dropout.register_forward_hook(lambda _, inputs, y: masks.append((inputs[0], y)))
    block(draw(T, 200, H))
    assert [x.shape[-1] for x, _ in masks] == [block.neuron.n_channels, H]
    shares = []
    for x, y in masks:  # of the spikes, and of the mixture
        factor = torch.where(x != 0, y / x, torch.nan).nanmean(0)  # NaN if silent
        kept = factor.isclose(torch.tensor(1 / 0.6).double())
        assert bool((kept | factor.isnan() | (factor == 0)).all())
        shares.append((kept.sum() / (~factor.isnan()).sum()).item())
        torch.testing.assert_close(y, x * factor.nan_to_num())
    assert shares == pytest.approx([0.6, 0.6], abs=0.06)
    alive = [(y != 0).any(0)[:, :H] for _, y in masks]
    assert not torch.equal(*alive)
    block.eval()
    assert torch.equal(block(draw()), block(draw()))


# --- samples of unequal lengths ---


def padded(fill=0.0):
    """Return samples of unequal lengths, with a fill behind."""
    return torch.where(VALID[..., None], draw(), fill * (1 + draw(seed=8)))


@by_norm
@by_place
@by_direction
@by_block
def test_one_by_one_is_together_in_evaluation(kind, bidirectional, norm_place, norm):
    block = build(kind, norm=norm, norm_place=norm_place, bidirectional=bidirectional)
    together = block(padded(1e6), VALID)
    for i, n in enumerate(LENGTHS):
        alone = block(draw()[:n, i : i + 1])
        assert largest(together[:n, i : i + 1] - alone) < 1e-10


@by_norm
@by_place
@by_direction
@by_block
def test_the_fill_does_not_matter_in_training(kind, bidirectional, norm_place, norm):
    """Nor does it for gradients and running statistics; dropout has the mask of a sample."""
    results = []
    for fill in (0.0, 1e6):
        options = {"norm": norm, "norm_place": norm_place, "bidirectional": bidirectional}
        block, x = build(kind, True, dropout=0.3, **options), padded(fill).requires_grad_()
        torch.manual_seed(1)
        y = block(x, VALID)[VALID]
        y.backward(draw(*y.shape, seed=2))
        gradients = [p.grad for p in block.parameters() if p.grad is not None]
        results.append([y, x.grad, *gradients, *block.buffers()])
        assert not x.grad[~VALID].any()
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm_place", ["before", "after"])
@by_block
def test_batch_statistics_are_those_of_the_steps_of_samples(kind, norm_place):
    block, seen = build(kind, True, norm="batch", norm_place=norm_place), []
    block.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    block.norm.momentum = 1.0
    y = block(padded(), VALID)
    assert seen[0].shape == (1, sum(LENGTHS), H)
    torch.testing.assert_close(block.norm.running_mean, seen[0].mean((0, 1)))
    torch.testing.assert_close(block.norm.running_var, seen[0].var((0, 1)))
    assert torch.equal(seen[0][0], padded()[VALID]) == (norm_place == "before")
    if norm_place == "after":
        torch.testing.assert_close(y[VALID].mean(0), block.norm.bias.detach())


@by_block
def test_all_steps_valid_is_none_given(kind):
    block = build(kind, True, norm="batch")
    everything = torch.ones(T, N, dtype=torch.bool)
    torch.testing.assert_close(block(draw(), everything), block(draw()), rtol=0, atol=1e-12)


@by_block
def test_a_batch_norm_of_unequal_lengths_keeps_the_dtype(kind):
    block = build(kind, True, norm="batch").float()
    with torch.autocast("cpu", torch.bfloat16):
        assert block(draw().bfloat16(), VALID).dtype == torch.bfloat16


# --- forms and streams ---


@by_norm
@by_place
@by_direction
@by_block
def test_the_recurrent_form_is_the_parallel_one(kind, bidirectional, norm_place, norm):
    """Down to the current: spikes would hide what does not pass a threshold."""
    block, x = build(kind, norm=norm, norm_place=norm_place, bidirectional=bidirectional), draw()
    currents = recorded(block)
    assert largest(block(x) - block(x, form="recurrent")) < 1e-10
    assert largest(currents[0] - currents[1]) < 1e-10


@by_norm
@by_place
@by_block
@pytest.mark.parametrize("mode", ["exact", "sdn", "fixed_point"])
def test_a_stream_in_any_chunks_is_the_whole(mode, kind, norm_place, norm):
    block, x = build(kind, mode=mode, norm=norm, norm_place=norm_place), draw()
    currents = recorded(block)
    whole = block(x)
    for sizes in ((1,) * T, (3, 20, T - 23)):
        del currents[1:]
        state, parts = None, []
        for chunk in x.split(sizes):
            y, state = block.stream(chunk, state)
            parts.append(y)
        assert largest(torch.cat(parts) - whole) < 1e-10
        assert largest(torch.cat(currents[1:]) - currents[0]) < 1e-10


@by_block
def test_several_spikes_in_a_step_whole_and_in_chunks(kind):
    block, x, counts = build(kind, max_spikes=3), draw(), []
    with torch.no_grad():
        block.neuron.ln_threshold.sub_(1.5)
    block.mix.register_forward_pre_hook(lambda _, inputs: counts.append(inputs[0]))
    whole = block(x)
    assert set(counts[0].unique().tolist()) == {0, 1, 2, 3}
    assert largest(block(x, form="recurrent") - whole) < 1e-10
    state, parts = None, []
    for chunk in x.split((3, 20, T - 23)):
        y, state = block.stream(chunk, state)
        parts.append(y)
    assert largest(torch.cat(parts) - whole) < 1e-10


@by_place
@by_block
def test_the_past_does_not_see_the_future(kind, norm_place):
    block, x, s = build(kind, norm_place=norm_place), draw(), 17
    currents, other = recorded(block), x.clone()
    other[s:] += draw(T - s, N, H, seed=1)
    assert largest((block(other) - block(x))[:s]) < 1e-12
    change = currents[0] - currents[1]
    assert largest(change[:s]) < 1e-12
    assert change[s].abs().min() > 0


@by_block
def test_a_bidirectional_block_does_not_stream(kind):
    with pytest.raises(ValueError, match="must be False to stream"):
        build(kind, bidirectional=True).stream(draw())


@pytest.mark.parametrize("mode", ["exact", "fixed_point"])
@by_block
def test_surrogates(kind, mode):
    """Spikes are the same, and what they teach those before them is not."""
    found = []
    for surrogate, alpha in (("triangle", None), ("sigmoid", None), ("sigmoid", 2.0)):
        block = build(kind, mode=mode, surrogate=surrogate, alpha=alpha)
        x = draw().requires_grad_()
        y = block(x)
        found.append([y, *torch.autograd.grad(y.sum(), x)])
    for y, dx in found[1:]:
        assert torch.equal(y, found[0][0])
        assert not torch.equal(dx, found[0][1])
    assert not torch.equal(found[1][1], found[2][1])


@by_block
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(copied, kind):
    block = build(kind, norm="batch", mode="sdn", bidirectional=True)
    assert torch.equal(copied(block)(draw()), block(draw()))
