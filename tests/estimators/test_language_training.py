"""How a language model is trained and scored, with networks of a few channels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from skspike.estimators._language_training import (
    BestWeights,
    LanguageTrainer,
    firing_rates,
    mean_log_prob,
)
from skspike.models import SpikingSSMDecoder

V = 12


def network(**options):
    """Return a small network."""
    torch.manual_seed(0)
    sizes = {"n_layers": 2, "width": 8, "d_state": 4, "cutoffs": (4,), "division": 1}
    return SpikingSSMDecoder(V, **{**sizes, **options})


def trainer(model, **options):
    """Return a trainer with plain settings."""
    settings = {
        "precision": "float32",
        "batch_size": 3,
        "segment_length": 5,
        "lr": 0.01,
        "ssm_lr": 0.001,
        "weight_decay": 0.1,
        "schedule": None,
        "warmup": 0.0,
        "max_epochs": 2,
        "max_grad_norm": None,
        "averaging": 0.0,
    }
    return LanguageTrainer(model, **{**settings, **options})


def stream(n=61, seed=0):
    """Return random tokens."""
    return np.random.default_rng(seed).integers(0, V, n)


def test_an_epoch_shows_each_lane_once_in_order(monkeypatch):
    model, seen = network(), []
    run = model.stream_features

    def spy(x, state=None):
        seen.append((x.clone(), state is None))
        return run(x, state)

    monkeypatch.setattr(model, "stream_features", spy)
    numbers = stream(62)
    trainer(model).run_epoch(numbers, np.random.RandomState(0))
    shown = torch.cat([x for x, _ in seen]).T
    assert shown.tolist() == numbers[:60].reshape(3, 20).tolist()
    assert [fresh for _, fresh in seen] == [True] + [False] * (len(seen) - 1)
    assert {len(x) for x, _ in seen[1:-1]} == {5}


def test_the_loss_of_an_epoch_is_the_mean_over_tokens():
    """At a learning rate of nearly zero it is what scoring finds, lane by lane."""
    model, numbers = network(), stream()
    loss = trainer(model, lr=1e-12, weight_decay=0.0).run_epoch(numbers, np.random.RandomState(1))
    lanes = [numbers[i : i + 21] for i in (0, 20, 40)]
    assert loss == pytest.approx(-mean_log_prob(model, lanes, "float32"), rel=1e-5)


def test_a_short_stream_has_fewer_lanes():
    loss = trainer(network(), batch_size=50).run_epoch(stream(3), np.random.RandomState(0))
    assert math.isfinite(loss)


def test_rates_rise_and_fall():
    run = trainer(network(), schedule="cosine", warmup=0.25)
    groups, factors = run.optimizer.param_groups, []
    for done in (0.0, 0.125, 0.25, 0.625, 1.0):
        run._set_rates(done)
        factors.append([g["lr"] / r for g, r in zip(groups, run.rates, strict=True)])
    expected = [0.004, 0.504, 1.0, 0.5, 0.0]
    np.testing.assert_allclose(factors, np.repeat(expected, 3).reshape(5, 3), atol=1e-12)


def test_slow_parameters_and_vectors_do_not_decay():
    model = network()
    slow, vectors, matrices = trainer(model).optimizer.param_groups
    assert (slow["lr"], slow["weight_decay"]) == (0.001, 0.0)
    assert {id(p) for p in slow["params"]} == {id(p) for p in model.slow_parameters()}
    assert (vectors["lr"], vectors["weight_decay"]) == (0.01, 0.0)
    assert (matrices["lr"], matrices["weight_decay"]) == (0.01, 0.1)
    assert {p.ndim < 2 for p in vectors["params"]} == {True}
    n = sum(len(g["params"]) for g in (slow, vectors, matrices))
    assert n == len(list(model.parameters()))


def test_gradients_are_cut(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "skspike.estimators._language_training.clip_grad_norm_", lambda _, norm: asked.append(norm)
    )
    trainer(network(), max_grad_norm=0.5).run_epoch(stream(), np.random.RandomState(0))
    assert set(asked) == {0.5}


def test_the_average_follows_the_weights():
    """The rule of the average, step by step, on one of the weights."""
    model = network()
    run = trainer(model, averaging=0.5)
    values, step = [], run.optimizer.step

    def spy():
        step()
        values.append(float(model.softmax.biases[0][0].detach()))

    run.optimizer.step = spy
    run.run_epoch(stream(), np.random.RandomState(0))
    expected = values[0]
    for n, value in enumerate(values[1:], start=1):
        kept = min(0.5, (n + 1) / (n + 10))
        expected = kept * expected + (1 - kept) * value
    assert run.result is not model
    assert float(run.result.softmax.biases[0][0].detach()) == pytest.approx(expected, rel=1e-5)
    assert trainer(model).result is model


def test_scores_are_sums_over_the_networks_own_probabilities():
    """Sequences of several lengths, one by one, by the output for all tokens."""
    model = network().eval()
    sequences = [stream(n, seed=n) for n in (1, 2, 9, 30)]
    total = 0.0
    for s in sequences[1:]:
        log_p = model(torch.from_numpy(s[:-1, None]))[:, 0].detach().double()
        total += float(log_p[range(len(s) - 1), s[1:]].sum())
    found = mean_log_prob(model, sequences, "float32")
    assert found == pytest.approx(total / (1 + 8 + 29), rel=1e-5)


def test_long_sequences_are_scored_in_pieces(monkeypatch):
    model, sequences = network(), [stream(40), stream(17)]
    whole = mean_log_prob(model, sequences, "float32")
    monkeypatch.setattr("skspike.estimators._language_training._CHUNK", 7)
    assert mean_log_prob(model, sequences, "float32") == pytest.approx(whole, rel=1e-5)


def test_firing_rates_are_those_of_the_spikes():
    model, numbers = network().eval(), stream()
    x = model.embedding(torch.from_numpy(numbers)[:, None])
    expected = []
    for block in model.blocks:
        spikes = block.neuron(block.ssm(block.norm(x)))
        expected.append(spikes.mean().item())
        x = block(x)
    rates, at_rest = firing_rates(model, numbers, "float32")
    assert rates == pytest.approx(expected, abs=0.01)
    assert at_rest == pytest.approx(1 - rates.mean())
    assert not model.blocks[0].mix._forward_pre_hooks


def test_the_best_weights_come_back():
    model, best = network(), BestWeights(patience=2, tol=0.0)
    bias = model.softmax.biases[0]
    over = []
    for value, loss in ((1.0, 3.0), (2.0, 2.0), (3.0, 2.5), (4.0, 2.5)):
        with torch.no_grad():
            bias.fill_(value)
        over.append(best.is_over(loss, model))
    best.restore(model)
    assert over == [False, False, False, True]
    assert bias.unique().tolist() == [2.0]


def test_small_progress_is_none():
    model, best = network(), BestWeights(patience=1, tol=0.5)
    assert not best.is_over(3.0, model)
    assert best.is_over(2.8, model)
    assert best.loss == 2.8  # yet the weights are better
