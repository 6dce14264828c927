"""The language model: causal, equal in parallel and token by token, and of the published size."""

from __future__ import annotations

import copy

import pytest
import torch

from skspike.models import SpikingSSMDecoder, create_model

V, T, N = 20, 12, 3

by_block = pytest.mark.parametrize("block", ["s4d", "selective"])


def small(**options):
    """Return a small network in float64 and tokens for it."""
    torch.manual_seed(0)
    sizes = {"n_layers": 2, "width": 8, "cutoffs": (5, 12), "division": 2}
    sizes |= {"dt_max": 2.0} if options.get("block") == "selective" else {"d_state": 4}
    model = SpikingSSMDecoder(V, **{**sizes, **options}).double()
    return model, torch.randint(V, (T, N))


@by_block
def test_the_network_tested_here_spikes(block):
    model, tokens = small(block=block)
    rates = []
    for block in model.blocks:
        block.mix.register_forward_pre_hook(lambda _, args: rates.append(args[0].mean().item()))
    model(tokens)
    assert all(0.05 < rate < 0.95 for rate in rates)


def test_the_published_number_of_parameters():
    with torch.device("meta"):
        model = create_model("spiking_ssm_wikitext103")
    assert sum(p.numel() for p in model.parameters()) == 74_350_458
    assert sum(p.numel() for p in model.blocks[0].parameters()) == 2_235_392
    assert model.embedding.dropout.p == model.softmax.dropout.p == 0.25
    assert len(model.blocks) == 16


def test_published_networks_in_other_sizes():
    model = create_model(
        "spiking_ssm_wikitext103", vocabulary_size=V, cutoffs=(5,), width=8, n_layers=1, d_state=4
    )
    assert model(torch.zeros(2, 1, dtype=torch.int64)).shape == (2, 1, V)


@pytest.mark.parametrize("final_norm", [False, True])
def test_probabilities(final_norm):
    model, tokens = small(final_norm=final_norm, project=final_norm)
    log_p = model(tokens)
    assert log_p.shape == (T, N, V)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(T, N, dtype=torch.float64))


@by_block
def test_it_sees_nothing_of_what_follows(block):
    model, tokens = small(block=block)
    other = tokens.clone()
    other[7:] = (other[7:] + 1) % V
    before, after = model(tokens), model(other)
    torch.testing.assert_close(after[:7], before[:7], rtol=1e-10, atol=1e-12)
    assert not torch.isclose(after[7:], before[7:]).all(-1).any()


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("mode", ["exact", "fixed_point"])
@by_block
def test_a_stream_gives_what_whole_sequences_do(block, mode, size):
    model, tokens = small(mode=mode, block=block, final_norm=True, project=True, memory=True)
    expected, state, parts = model(tokens), None, []
    for part in tokens.split(size):
        log_p, state = model.stream(part, state)
        parts.append(log_p)
    torch.testing.assert_close(torch.cat(parts), expected, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(model(tokens, form="recurrent"), expected, rtol=1e-9, atol=1e-10)


@by_block
def test_a_state_does_not_grow(block):
    model, tokens = small(memory=True, block=block)
    _, once = model.stream(tokens[:1])
    _, often = model.stream(tokens, once)
    shapes = [[part.shape for part in block] for block in once]
    assert [[part.shape for part in block] for block in often] == shapes


@by_block
def test_every_parameter_learns(block):
    model, tokens = small(final_norm=True, project=True, memory=True, block=block)
    model.softmax(model.features(tokens[:-1]), tokens[1:]).mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_the_memory_is_added_past_the_blocks():
    model, tokens = small(memory=True)
    whole = model.features(tokens)
    memory, model.memory = model.memory, None
    added = memory(tokens, model.embedding(tokens))
    torch.testing.assert_close(whole, model.features(tokens) + added)


def test_slow_parameters():
    model, _ = small(memory=True)
    names = {
        name for name, p in model.named_parameters() for q in model.slow_parameters() if p is q
    }
    kinds = ("log_dt", "log_a_real", "a_imag")
    of_blocks = {f"blocks.{i}.ssm.{kind}" for i in range(2) for kind in kinds}
    assert names == of_blocks | {"memory.log_rate"}
    selective, _ = small(memory=True, block="selective")
    assert selective.slow_parameters() == [selective.memory.log_rate]


def test_an_unknown_block():
    with pytest.raises(ValueError, match="'block' parameter of SpikingSSMDecoder must be one of"):
        small(block="s5")


def test_it_cannot_look_ahead():
    message = "'bidirectional' parameter of SpikingSSMDecoder must be False: .* Got True instead"
    with pytest.raises(ValueError, match=message):
        small(bidirectional=True)


def test_wrong_number_of_layers():
    with pytest.raises(ValueError, match="'n_layers' parameter of SpikingSSMDecoder must be"):
        small(n_layers=0)


def test_a_copy_computes_the_same_and_shares_nothing():
    model, tokens = small()
    model.eval()
    twin = copy.deepcopy(model)
    assert torch.equal(twin(tokens), model(tokens))
    assert twin.softmax.embedding is twin.embedding
    pointers = {p.data_ptr() for p in model.parameters()}
    assert not any(p.data_ptr() in pointers for p in twin.parameters())


def test_weights_from_a_state_dict():
    model, tokens = small()
    other, _ = small()
    for p in other.parameters():
        torch.nn.init.zeros_(p)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(tokens), model(tokens))
