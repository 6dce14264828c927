"""The memory of tokens: against its sum, in parts, and from frequencies."""

from __future__ import annotations

import pytest
import torch

from skspike.nn import AdaptiveEmbedding, AdaptiveSoftmax, TokenMemory

T, N, V, H = 9, 2, 5, 3


def memory_and_input():
    """Return a memory in float64 with weights of many sizes, tokens and vectors."""
    torch.manual_seed(0)
    memory = TokenMemory(V, H, rate_min=0.05, rate_max=0.5).double()
    torch.nn.init.normal_(memory.weight)
    torch.nn.init.normal_(memory.gain)
    return memory, torch.randint(V, (T, N)), torch.randn(T, N, H, dtype=torch.float64)


def test_it_is_the_sum_of_the_tokens_so_far():
    memory, tokens, x = memory_and_input()
    y = memory(tokens, x)
    rate = memory.log_rate.exp()
    weighted = memory.weight[tokens].sigmoid()[..., None] * x
    for t in range(T):
        expected = sum(torch.exp(-k * rate) * weighted[t - k] for k in range(t + 1))
        torch.testing.assert_close(y[t], memory.gain * expected, rtol=1e-10, atol=1e-12)


def test_a_tied_softmax_expects_the_tokens_so_far_to_return():
    torch.manual_seed(0)
    embedding = AdaptiveEmbedding(100, width=1024)
    tokens = torch.randint(10, (40, 1))
    sums = TokenMemory(100, 1024)(tokens, embedding(tokens))
    log_p = AdaptiveSoftmax(embedding).log_prob(sums)[-1, 0]
    assert log_p[:10].min() > log_p[10:].max()


@pytest.mark.parametrize("size", [1, 4])
def test_a_stream_gives_what_whole_sequences_do(size):
    memory, tokens, x = memory_and_input()
    state, parts = None, []
    for part, vectors in zip(tokens.split(size), x.split(size), strict=True):
        y, state = memory.stream(part, vectors, state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts), memory(tokens, x), rtol=1e-10, atol=1e-12)


def test_every_parameter_learns():
    memory, tokens, x = memory_and_input()
    memory(tokens, x).square().sum().backward()
    assert all(p.grad.any() for p in memory.parameters())


def test_rates_are_where_they_were_asked_for():
    torch.manual_seed(0)
    rate = TokenMemory(V, 1000, rate_min=0.01, rate_max=0.1).log_rate.exp()
    assert 0.01 <= rate.min() < 0.011
    assert 0.09 < rate.max() <= 0.1
    assert rate.median().item() == pytest.approx(0.001**0.5, rel=0.1)


def test_weights_of_frequencies():
    memory, _, _ = memory_and_input()
    counts = torch.tensor([999_000.0, 0.5, 1000.0, 0.5, 0.5])
    memory.set_frequencies(counts)
    p = (counts / counts.sum()).double()
    torch.testing.assert_close(memory.weight.sigmoid(), 0.001 / (0.001 + p), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("name", "wrong"), [("vocabulary_size", 0), ("width", 0), ("rate_min", 0), ("rate_max", 0.001)]
)
def test_wrong_parameters_are_named(name, wrong):
    options = {"vocabulary_size": V, "width": H, name: wrong}
    with pytest.raises(ValueError, match=f"The '{name}' parameter of TokenMemory must be"):
        TokenMemory(**options)
