"""Adaptive embedding and softmax, against a plain matrix of all tokens."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
import torch

from skspike.nn import AdaptiveEmbedding, AdaptiveSoftmax

V, D = 30, 16
CASES = {
    "one cluster": {"cutoffs": ()},
    "as wide": {"cutoffs": (7, 20), "division": 1},
    "narrower": {"cutoffs": (7, 20), "division": 4},
    "clusters of one": {"cutoffs": (1, 29), "division": 2},
}
by_case = pytest.mark.parametrize("case", CASES)


def layers(case):
    """Return an embedding and its softmax in float64, with no parameter at zero."""
    torch.manual_seed(0)
    softmax = AdaptiveSoftmax(AdaptiveEmbedding(V, D, **CASES[case])).double()
    for parameter in softmax.parameters():
        torch.nn.init.normal_(parameter)
    return softmax.embedding, softmax


def dense(embedding):
    """Return the vectors of all tokens as one matrix, cluster by cluster."""
    parts = []
    for i, table in enumerate(embedding.tables):
        parts.append(table @ embedding.projections[i].T if embedding.projections else table)
    return torch.cat(parts)


@by_case
def test_vectors_are_rows_of_the_dense_matrix(case):
    embedding, _ = layers(case)
    tokens = torch.randint(V, (4, 5))
    expected = D**0.5 * dense(embedding)[tokens]
    torch.testing.assert_close(embedding(tokens), expected, rtol=1e-12, atol=1e-12)


@by_case
def test_probabilities_are_those_of_two_plain_softmaxes(case):
    """By exponentials and sums over a dense matrix of logits, for each token for itself."""
    embedding, softmax = layers(case)
    h = torch.randn(6, D, dtype=torch.float64)
    scores = (h @ dense(embedding).T + torch.cat(list(softmax.biases))).exp()
    ranges = embedding.ranges()
    first = scores[:, : ranges[0][1]]
    total, expected = first.sum(1), [first]
    if len(ranges) > 1:
        w = softmax.cluster_weight
        w = w @ embedding.projections[0].T if embedding.projections else w
        clusters = (h @ w.T + softmax.cluster_bias).exp()
        total = total + clusters.sum(1)
        for i, (a, b) in enumerate(ranges[1:]):
            own = scores[:, a:b]
            expected.append(clusters[:, i : i + 1] * own / own.sum(1, keepdim=True))
    expected = torch.cat(expected, 1) / total[:, None]
    p = softmax.log_prob(h).exp()
    torch.testing.assert_close(p, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(p.sum(1), torch.ones(6, dtype=p.dtype))


@by_case
def test_losses_of_targets_are_those_of_all_tokens(case):
    _, softmax = layers(case)
    h, targets = torch.randn(3, V, D, dtype=torch.float64), torch.arange(V).expand(3, V)
    expected = -softmax.log_prob(h).gather(-1, targets[..., None])[..., 0]
    torch.testing.assert_close(softmax(h, targets), expected, rtol=1e-12, atol=1e-12)


@by_case
def test_clusters_without_a_target_get_no_gradient(case):
    embedding, softmax = layers(case)
    h, targets = torch.randn(2, D, dtype=torch.float64), torch.zeros(2, dtype=torch.int64)
    softmax(h, targets).sum().backward()
    assert embedding.tables[0].grad.any()
    assert not any(table.grad.any() for table in list(embedding.tables)[1:])


def test_without_cutoffs_it_is_the_tied_softmax():
    embedding, softmax = layers("one cluster")
    h, targets = torch.randn(5, D, dtype=torch.float64), torch.randint(V, (5,))
    logits = h @ embedding.tables[0].T + softmax.biases[0]
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(softmax(h, targets), expected, rtol=1e-12, atol=1e-12)


@by_case
def test_gradients(case):
    embedding, softmax = layers(case)
    h = torch.randn(4, D, dtype=torch.float64, requires_grad=True)
    tokens, targets = torch.tensor([0, 8, 29, 3]), torch.tensor([29, 0, 10, 7])
    parameters = list(softmax.parameters())

    def loss(h, *values):
        named = dict(zip(dict(softmax.named_parameters()), values, strict=True))
        return torch.func.functional_call(softmax, named, (h, targets))

    assert torch.autograd.gradcheck(loss, (h, *parameters), fast_mode=True)

    def vectors(*values):
        named = dict(zip(dict(embedding.named_parameters()), values, strict=True))
        return torch.func.functional_call(embedding, named, (tokens,))

    assert torch.autograd.gradcheck(vectors, tuple(embedding.parameters()), fast_mode=True)


def test_tables_get_gradients_from_both_ends():
    embedding, softmax = layers("narrower")
    tokens, targets = torch.tensor([25]), torch.tensor([3])
    softmax(embedding(tokens), targets).sum().backward()
    assert embedding.tables[2].grad[5].any()
    assert embedding.tables[0].grad[3].any()


def test_the_published_size():
    with torch.device("meta"):
        embedding = AdaptiveEmbedding(267_735, 1024, (19_997, 39_997, 199_997))
        softmax = AdaptiveSoftmax(embedding)
    assert [table.shape[1] for table in embedding.tables] == [1024, 256, 64, 16]
    assert sum(p.numel() for p in embedding.tables) == 36_920_736
    assert sum(p.numel() for p in embedding.projections) == 1_392_640
    assert sum(p.numel() for p in softmax.biases) == 267_735
    assert softmax.cluster_weight.numel() + softmax.cluster_bias.numel() == 3_075
    total = sum(p.numel() for p in softmax.parameters())
    assert total == 36_920_736 + 1_392_640 + 267_735 + 3_075


def test_first_values():
    torch.manual_seed(0)
    embedding = AdaptiveEmbedding(4000, 64, (2000,), init_scale=0.5)
    softmax = AdaptiveSoftmax(embedding, bias_scale=1.0)
    for table, d in zip(embedding.tables, (64, 16), strict=True):
        assert table.std().item() == pytest.approx(0.5 * d**-0.5, rel=0.05)
    assert embedding.projections[1].std().item() == pytest.approx(0.5 / 8, rel=0.1)
    assert softmax.biases[0].abs().max().item() == pytest.approx(1 / 8, rel=0.01)
    assert not AdaptiveSoftmax(embedding).biases[0].any()


def test_dropout_is_for_training_only():
    torch.manual_seed(0)
    embedding = AdaptiveEmbedding(V, D, (7,), dropout=0.5)
    softmax = AdaptiveSoftmax(embedding, dropout=0.5)
    tokens, h = torch.arange(V), torch.randn(V, D)
    assert not torch.equal(embedding(tokens), embedding(tokens))
    assert not torch.equal(softmax(h, tokens), softmax(h, tokens))
    softmax.eval()
    assert torch.equal(embedding(tokens), embedding(tokens))
    assert torch.equal(softmax(h, tokens), softmax(h, tokens))


def test_bfloat16_by_autocast():
    _, softmax = layers("narrower")
    softmax = softmax.float()
    tokens, h = torch.arange(V), torch.randn(V, D)
    with torch.autocast("cpu", torch.bfloat16):
        losses, vectors = softmax(h, tokens), softmax.embedding(tokens)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, softmax(h, tokens), rtol=0.05, atol=0.3)
    torch.testing.assert_close(vectors.float(), softmax.embedding(tokens), rtol=0.05, atol=0.3)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_share_the_tables_among_themselves(copied):
    embedding, softmax = layers("narrower")
    twin = torch.nn.ModuleList(copied(torch.nn.ModuleList([embedding, softmax])))
    assert twin[1].embedding is twin[0]
    h = torch.randn(2, D, dtype=torch.float64)
    assert torch.equal(twin[1].log_prob(h), softmax.log_prob(h))


@pytest.mark.parametrize("cutoffs", [(0,), (20, 7), (7, 7), (30,), (2.5,)])
def test_wrong_cutoffs(cutoffs):
    message = (
        "The 'cutoffs' parameter of AdaptiveEmbedding must be ascending ints in the range [1, 30), "
        f"the size of the vocabulary. Got {cutoffs!r} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        AdaptiveEmbedding(V, D, cutoffs)


def test_too_narrow():
    message = (
        "The 'width' parameter of AdaptiveEmbedding must be at least 'division' to the number of "
        "'cutoffs', 16. Got 15 instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        AdaptiveEmbedding(V, 15, (7, 20))


@pytest.mark.parametrize("name", ["vocabulary_size", "width", "division"])
def test_wrong_sizes(name):
    options = {"vocabulary_size": V, "width": D, name: 0}
    with pytest.raises(ValueError, match=f"'{name}' parameter of AdaptiveEmbedding must be an int"):
        AdaptiveEmbedding(**options)


@pytest.mark.parametrize(("name", "value"), [("init_scale", -1.0), ("dropout", 1.5)])
def test_wrong_numbers(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of AdaptiveEmbedding must be a"):
        AdaptiveEmbedding(V, D, **{name: value})


@pytest.mark.parametrize(("name", "value"), [("bias_scale", -1.0), ("dropout", 1.5)])
def test_wrong_numbers_of_the_softmax(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of AdaptiveSoftmax must be a float"):
        AdaptiveSoftmax(AdaptiveEmbedding(V, D), **{name: value})
