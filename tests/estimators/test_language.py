"""The language model as an estimator."""

from __future__ import annotations

import functools
import io
import math
import pickle
import re
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

from skspike import SpikingSSMLanguageModel
from skspike.estimators._language import _set_frequencies
from skspike.estimators._language_training import mean_log_prob
from skspike.models import SpikingSSMDecoder

QUICK = {"n_layers": 1, "width": 8, "d_state": 4, "max_epochs": 2, "random_state": 0}
TEXT = "the cat sat on the mat\nthe dog sat on the cat\n" * 12


def quick(tokenizer="word", **params):
    """Return an estimator that fits in a moment."""
    return SpikingSSMLanguageModel(tokenizer, **{**QUICK, "device": "cpu", **params})


@functools.cache
def fitted():
    """Return an estimator that knows the text."""
    return quick(width=16, max_epochs=15, lr=0.02).fit(TEXT)


def weights(model):
    """Return all weights of the fitted network."""
    return {name: value.numpy().copy() for name, value in model.model_.state_dict().items()}


def assert_same_weights(a, b):
    """Compare weights bit by bit."""
    a, b = weights(a), weights(b)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_it_learns_what_follows():
    model = fitted()
    assert model.predict(["the dog sat", "the cat sat on"]) == ["on", "the"]
    assert model.perplexity(TEXT) < 3
    # without the words before, it would have to guess by frequency
    _, counts = np.unique(TEXT.replace("\n", " <eos> ").split(), return_counts=True)
    p = counts / counts.sum()
    assert math.exp(-(p * np.log(p)).sum()) > 6


def test_it_remembers_longer_than_trigrams():
    """A symbol comes back after three others, which are random."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (300, 4))
    X = np.hstack([X + 2 * np.arange(4), X[:, :1]]).ravel()
    no_dropout = {"dropout": 0.0, "embedding_dropout": 0.0, "softmax_dropout": 0.0}
    sizes = {"n_layers": 2, "width": 16, "batch_size": 4}
    model = quick(None, **sizes, **no_dropout, max_epochs=30, lr=0.02).fit(X)
    assert model.perplexity(X) < 2 ** (4 / 5) * 1.1  # 4 random bits in 5 symbols


def test_score_is_the_mean_of_the_probabilities_given_to_tokens():
    model, tokens = fitted(), ["the", "cat", "sat", "on", "the", "mat"]
    p = model.predict_proba([" ".join(tokens[:i]) for i in range(len(tokens))])
    columns = [model.vocabulary_.index(token) for token in tokens]
    expected = np.log(p[range(len(tokens)), columns]).mean()
    assert model.score(" ".join(tokens)) == pytest.approx(expected, rel=1e-4)
    assert model.perplexity(" ".join(tokens)) == pytest.approx(math.exp(-expected), rel=1e-4)


def test_several_sequences_end_and_are_scored_each_by_itself():
    model = fitted()
    alone = [model.score(text + "\n") for text in ("the cat", "the dog sat on")]
    assert model.score(["the cat", "the dog sat on"]) == pytest.approx(
        (3 * alone[0] + 5 * alone[1]) / 8, rel=1e-5
    )


def test_probabilities():
    model = fitted()
    p = model.predict_proba(["the", "", "sat on"])
    assert p.shape == (3, len(model.vocabulary_))
    np.testing.assert_allclose(p.sum(1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(model.predict_proba("the"), p[:1])
    assert model.predict_proba([]).shape == (0, len(model.vocabulary_))


def test_unknown_tokens_are_unk():
    model = fitted()
    np.testing.assert_array_equal(
        model.predict_proba(["the bird sat"]), model.predict_proba(["the <unk> sat"])
    )
    assert model.score("the bird") == model.score("the <unk>")


@pytest.mark.parametrize(
    ("tokenizer", "X"),
    [
        (None, [3, 1, 2] * 20),
        (None, np.array([3, 1, 2] * 20)),
        (None, ["a", "b"] * 20),
        (None, [["a", "b"] * 5, ["b"]]),
        (None, np.array([[1, 2]] * 10)),
        ("char", "abc" * 20),
        ("char", ["abc", "ab"]),
        (str.split, "a b " * 20),
    ],
)
def test_what_it_takes(tokenizer, X):
    model = quick(tokenizer).fit(X)
    assert model.score(X) < 0
    token = model.predict(X)[0]
    assert token in model.vocabulary_
    assert {"<unk>", "<eos>"} <= set(model.vocabulary_)


def test_min_freq():
    model = quick(min_freq=24).fit(TEXT)
    assert set(model.vocabulary_) == {"the", "cat", "sat", "on", "<eos>", "<unk>"}
    assert model.vocabulary_[0] == "the"


def test_generation():
    model = fitted()
    drawn = model.generate("the", 30, random_state=0)
    assert drawn == model.generate("the", 30, random_state=0)
    assert drawn != model.generate("the", 30, random_state=1)
    assert set(drawn) <= set(model.vocabulary_)
    greedy = model.generate("the dog sat", 2, temperature=0)
    assert greedy == ["on", "the"] == model.generate("the dog sat", 2, 1e-3, random_state=5)
    assert model.generate(n_tokens=0) == []
    assert len(model.generate(n_tokens=3)) == 3


def test_draws_have_the_probabilities_of_the_model():
    model = fitted()
    rng = np.random.RandomState(0)
    drawn = [model.generate("the", 1, 2.0, random_state=rng)[0] for _ in range(400)]
    p = np.sqrt(model.predict_proba("the")[0])
    expected = p / p.sum()
    found = np.array([drawn.count(token) for token in model.vocabulary_]) / 400
    assert np.abs(found - expected).max() < 0.08


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_tokens": -1}, "'n_tokens' parameter of .*generate must be an int .*Got -1 instead"),
        ({"n_tokens": 1.5}, "'n_tokens' parameter of .*generate must be an int .*Got 1.5 instead"),
        ({"temperature": -1}, "'temperature' parameter of .*generate must be a float .*Got -1"),
        ({"temperature": math.inf}, "'temperature' .*must be a float in the range .*Got inf"),
    ],
)
def test_wrong_generation(params, message):
    with pytest.raises(ValueError, match=message):
        fitted().generate("the", **params)


def test_the_same_seed_gives_the_same_weights():
    before = torch.get_rng_state()
    model = quick().fit(TEXT)
    assert_same_weights(quick().fit(TEXT), model)
    assert torch.equal(torch.get_rng_state(), before)
    other = weights(quick(random_state=1).fit(TEXT))
    assert not np.array_equal(other["project.weight"], weights(model)["project.weight"])


def test_history():
    model = quick(max_epochs=3).fit(TEXT)
    assert model.n_iter_ == len(model.history_) == 3
    losses = model.history_[:, "train_loss"]
    assert losses[-1] < losses[0]


def test_early_stopping_keeps_the_best_epoch():
    model = quick(early_stopping=True, n_iter_no_change=2, max_epochs=30, lr=0.3, tol=0.0)
    model.fit(TEXT)
    losses = model.history_[:, "valid_loss"]
    assert model.n_iter_ < 30
    assert np.argmin(losses) == len(losses) - 3
    tokens = ["<eos>", *TEXT.replace("\n", " <eos> ").split()]
    n_valid = math.ceil(0.1 * (len(tokens) - 1))
    held_out = model._vocabulary.encode(tokens[-n_valid - 1 :])
    assert -mean_log_prob(model.model_, [held_out], "float32") == pytest.approx(min(losses))


def test_too_short_for_early_stopping():
    message = (
        "X of SpikingSSMLanguageModel with early_stopping=True must leave at least 1 token to "
        "train on. Got 2 tokens, of which 2 are held out."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        quick(early_stopping=True, validation_fraction=0.9).fit("a b")


def test_sparsity():
    model = quick(n_layers=2).fit(TEXT)
    assert model.firing_rates_.shape == (2,)
    assert model.sparsity_ == pytest.approx(1 - model.firing_rates_.mean())


def test_warm_start_goes_on():
    model = quick(warm_start=True).fit(TEXT)
    first, vocabulary = weights(model), model.vocabulary_
    model.fit("a bird sat on the mat\n" * 5)
    assert model.vocabulary_ is vocabulary
    assert not np.array_equal(weights(model)["project.weight"], first["project.weight"])
    model.set_params(warm_start=False).fit("a bird sat\n" * 5)
    assert set(model.vocabulary_) == {"a", "bird", "sat", "<eos>", "<unk>"}


def test_biases_begin_at_frequencies():
    torch.manual_seed(0)
    options = {"n_layers": 1, "width": 4, "d_state": 2, "cutoffs": (2, 4), "division": 1}
    softmax = SpikingSSMDecoder(6, **options).softmax
    counts = torch.tensor([8.0, 4.0, 3.0, 2.0, 2.0, 1.0])
    _set_frequencies(softmax, counts)
    p = softmax.log_prob(torch.zeros(1, 4)).exp()[0]
    torch.testing.assert_close(p, counts / counts.sum())


def test_the_memory_begins_with_rare_tokens():
    model = quick(memory=True, max_epochs=1, lr=1e-9).fit("a a a a b b c\n")
    counts = {"a": 5, "b": 3, "c": 2, "<eos>": 3, "<unk>": 1}  # one more than seen, <eos> before it
    p = torch.tensor([counts[token] / 14 for token in model.vocabulary_])
    torch.testing.assert_close(model.model_.memory.weight.sigmoid(), 0.001 / (0.001 + p))


def test_clone_and_params():
    model = quick(cutoffs=(2,)).fit(TEXT)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "model_")
    assert set(SpikingSSMLanguageModel._parameter_constraints) == set(model.get_params())


def test_pickles():
    model = fitted()
    copy = pickle.loads(pickle.dumps(model))
    assert_same_weights(copy, model)
    np.testing.assert_array_equal(copy.predict_proba("the"), model.predict_proba("the"))


@pytest.mark.gpu
def test_pickles_leave_the_device():
    model = quick(device="cuda").fit(TEXT)
    state = model.__getstate__()
    assert {p.device.type for p in state["model_"].parameters()} == {"cpu"}
    assert {p.device.type for p in model.model_.parameters()} == {"cuda"}
    copy = pickle.loads(pickle.dumps(model))
    assert copy.score(TEXT) == pytest.approx(model.score(TEXT), rel=1e-3)


def test_a_pickle_from_another_machine_stays_on_the_cpu():
    model = quick().fit(TEXT)
    model.device = "cuda:99"
    dump = pickle.dumps(model)
    with pytest.warns(UserWarning, match=r"'cuda:99' .* The loaded estimator stays on the CPU\."):
        copy = pickle.loads(dump)
    assert copy.score(TEXT) == model.score(TEXT)


def test_bfloat16():
    model = quick(precision="bfloat16", max_epochs=4, lr=0.02).fit(TEXT)
    assert model.precision_ == "bfloat16"
    assert next(model.model_.parameters()).dtype == torch.float32
    np.testing.assert_allclose(model.predict_proba("the").sum(), 1.0)
    assert model.perplexity(TEXT) < 9


def test_cross_validation_over_texts():
    texts = [line for line in TEXT.split("\n") if line]
    scores = cross_val_score(quick(), texts, cv=2)
    assert (scores < 0).all()


@pytest.mark.parametrize("method", ["score", "perplexity", "predict", "predict_proba", "generate"])
def test_methods_before_fit(method):
    with pytest.raises(NotFittedError, match="This SpikingSSMLanguageModel instance is not fitted"):
        getattr(quick(), method)("the")


def test_a_stream_before_fit():
    with pytest.raises(NotFittedError, match="This SpikingSSMLanguageModel instance is not fitted"):
        quick().stream()


@pytest.mark.parametrize("X", ["", "a", [], [""]])
def test_too_short_to_fit(X):
    message = r"^X of SpikingSSMLanguageModel must have at least 2 tokens to fit\.$"
    with pytest.raises(ValueError, match=message):
        quick().fit(X)


@pytest.mark.parametrize("X", ["", []])
def test_nothing_to_score(X):
    message = r"^X of SpikingSSMLanguageModel must have at least 1 token to score\.$"
    with pytest.raises(ValueError, match=message):
        fitted().score(X)


def test_an_empty_text_among_others_ends():
    assert fitted().score([""]) == pytest.approx(fitted().score("\n"), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("tokenizer", "words", "a str among {'char', 'word'}|a str among {'word', 'char'}"),
        ("width", 0, r"must be an int in the range \[1, inf\)"),
        ("mode", "rough", "must be a str among"),
        ("cutoffs", 5, "must be an instance of 'tuple'"),
        ("dropout", 1.0, r"in the range \[0"),
        ("schedule", "linear", "must be a str among"),
        ("segment_length", 0.5, "must be an int"),
        ("early_stopping", "yes", "must be an instance of 'bool'"),
        ("precision", "float16", "must be a str among"),
    ],
)
def test_wrong_parameters_are_named(name, wrong, right):
    model = quick(**{name: wrong})
    message = f"The '{name}' parameter of SpikingSSMLanguageModel.*(?:{right})"
    with pytest.raises(ValueError, match=message):
        model.fit(TEXT)


def test_wrong_cutoffs_are_named():
    with pytest.raises(ValueError, match=r"'cutoffs' parameter of AdaptiveEmbedding .*\[1, 8\)"):
        quick(cutoffs=(50,)).fit(TEXT)


@pytest.mark.parametrize(
    ("block", "own"),
    [("s4d", {"d_state": 2}), ("selective", {"expand": 3, "residual": False, "gated": True})],
)
def test_every_network_parameter_reaches_the_network(block, own, monkeypatch):
    asked = {
        "n_layers": 3,
        "width": 6,
        "block": block,
        "dt_min": 0.02,
        "dt_max": 0.5,
        "mode": "fixed_point",
        "decay": 0.25,
        "surrogate": "atan",
        "max_spikes": 2,
        "cutoffs": (3,),
        "division": 2,
        "final_norm": False,
        "project": False,
        "memory": True,
        "dropout": 0.05,
        "embedding_dropout": 0.15,
        "softmax_dropout": 0.25,
        "backend": "reference",
    }
    got = {}

    def spy(vocabulary_size, **options):
        got.update(options)
        return SpikingSSMDecoder(vocabulary_size, **options)

    monkeypatch.setattr("skspike.estimators._language.SpikingSSMDecoder", spy)
    quick(max_epochs=1, **asked, **own).fit("a b c d a b\n")
    assert got == asked | own


@pytest.mark.parametrize("options", [{}, {"memory": True, "residual": False}])
def test_selective_blocks_learn_and_stream(options):
    model = quick(block="selective", width=16, dt_max=2.0, max_epochs=15, lr=0.02, **options)
    assert model.fit(TEXT).perplexity(TEXT) < 3
    stream = model.stream()
    for i, word in enumerate(["the", "dog", "sat", "on", "the"]):
        expected = model.predict_proba([" ".join(["the", "dog", "sat", "on", "the"][:i])])[0]
        np.testing.assert_allclose(stream.predict_proba(), expected, rtol=1e-4, atol=1e-7)
        stream.push(word)


def test_verbose(capsys):
    out = io.StringIO()
    with redirect_stdout(out):
        quick(verbose=2, early_stopping=True).fit(TEXT)
    assert re.match(r"epoch 1: train_loss \d+\.\d{4}, valid_loss \d+\.\d{4}\n", out.getvalue())
    quick(verbose=1).fit(TEXT)
    assert "SpikingSSMLanguageModel: 100%" in capsys.readouterr().err


def test_repr_shows_what_was_chosen():
    assert repr(SpikingSSMLanguageModel("word", width=8)) == (
        "SpikingSSMLanguageModel(tokenizer='word', width=8)"
    )
