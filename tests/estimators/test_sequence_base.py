"""What estimators of sequences share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import LayerNorm

from skspike import FrameEncoder, SpikingSSMClassifier
from skspike.nn import BatchNorm1d
from tests.estimators.common import recordings, samples
from tests.estimators.sequences import OPTIONS, QUICK, fit, objects, ragged

by_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


@by_option
def test_sequences_of_different_lengths_are_answered_as_alone(options):
    X, _ = ragged()
    model = fit(**options)
    together = model.predict_proba(X)
    alone = np.concatenate([model.predict_proba([x]) for x in X])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-10)
    assert np.ptp(together[:, 0]) > 1e-3
    assert model.predict_proba(objects(X)).tolist() == together.tolist()


def test_the_order_of_samples_does_not_matter():
    X, y = ragged()
    order = np.random.default_rng(1).permutation(len(y))
    other = fit(data=([X[i] for i in order], y[order]))
    np.testing.assert_array_equal(other.predict_proba(X), fit().predict_proba(X))


def test_whole_weights_are_repetitions():
    X, y = ragged()
    weight = np.arange(len(y)) % 3
    model = SpikingSSMClassifier(**QUICK, random_state=0).fit(X, y, sample_weight=weight)
    rows = np.repeat(np.arange(len(y)), weight)
    repeated = fit(data=([X[i] for i in rows], y[rows]))
    np.testing.assert_allclose(model.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("kind", ["table", "series", "images", "frames"])
def test_all_kinds_of_arrays(kind):
    X, y = samples(kind, n=40)
    assert fit(data=(X, y), max_epochs=15).score(X, y) > 0.9


def test_recordings_go_through_an_encoder():
    X, y = recordings(24)
    model = fit(data=(X, y), encoder=FrameEncoder(3), max_epochs=15)
    assert model.score(X, y) > 0.9
    streamed = fit(data=(X, y), encoder=FrameEncoder(3), max_epochs=15, memory_limit=0)
    np.testing.assert_array_equal(streamed.predict_proba(X), model.predict_proba(X))


def test_sparsity_is_the_share_of_silent_neurons():
    X, _ = ragged()
    model = fit(n_layers=2)
    spikes = []
    net = model.net_.predictor()
    for block in net.model.blocks:
        block.neuron.register_forward_hook(lambda *a: spikes.append(a[2]))
    for x in X:
        steps = (x - model.mean_) / model.scale_
        with torch.inference_mode():
            net(torch.from_numpy(steps.astype(np.float64))[None])
    rates = [
        np.concatenate([s.numpy().ravel() for s in spikes[block::2]]).mean() for block in range(2)
    ]
    np.testing.assert_allclose(model.firing_rates_, rates, atol=0.005)
    assert model.sparsity_ == pytest.approx(1 - model.firing_rates_.mean())
    report = model.operation_report(X)
    n_steps = np.mean([len(x) for x in X])
    assert report["mixing_macs"] == pytest.approx(2 * n_steps * 2 * 16 * 17)
    assert report["mixing_acs"] < 0.9 * report["mixing_macs"]


def test_several_spikes_are_counted_and_their_neurons_once():
    X, _ = ragged()
    model = fit(max_spikes=4)
    several, one = model.firing_rates_[0], 1 - model.sparsity_
    assert one < several < 4 * one
    mixing = model.operation_report(X)
    assert mixing["mixing_acs"] > mixing["mixing_macs"] * one


def test_slow_parameters_have_a_rate_of_their_own_and_no_decay():
    model = fit(lr=0.02, ssm_lr=0.005, trainable_input=True, schedule=None, weight_decay=0.1)
    net = model.net_
    settings = {id(p): g for g in net.optimizer_.param_groups for p in g["params"]}
    for name, p in net.module_.named_parameters():
        slow = name.rpartition(".")[2] in {"log_dt", "log_a_real", "a_imag", "b", "c"}
        group = settings[id(p)]
        assert group["lr"] == (0.005 if slow else 0.02), name
        assert group["weight_decay"] == (0.0 if slow and not name.endswith(".c") else 0.1), name


def test_blocks_that_are_passed_again():
    X, y = ragged()
    model = fit(n_layers=2, n_repeats=3, final_norm=True)
    assert len(model.model_.blocks) == 2
    assert isinstance(model.model_.norm, LayerNorm)
    assert model.firing_rates_.shape == (6,)
    assert len(np.unique(model.firing_rates_)) > 2
    assert model.score(X, y) > 0.9
    assert model.operation_report(X)["mixing_acs"] > 0


def test_selective_blocks_have_no_slow_parameters():
    net = fit(block="selective", lr=0.02, ssm_lr=0.005, schedule=None).net_
    assert {group["lr"] for group in net.optimizer_.param_groups} == {0.02}


def test_every_option_reaches_the_blocks():
    asked = {"bidirectional": True, "dt_min": 0.02, "dt_max": 0.02, "norm": "batch"}
    asked |= {"norm_place": "after", "mode": "fixed_point", "decay": 0.25, "n_rounds": 2}
    asked |= {"learnable_threshold": False, "backend": "reference", "dropout": 0.3}
    asked |= {"surrogate": "atan", "max_spikes": 3}
    own = {"s4d": {"d_state": 6, "trainable_input": True}}
    own["selective"] = {"expand": 3, "residual": False, "gated": True}
    for kind, options in own.items():
        block = fit(block=kind, max_epochs=1, **asked, **options).model_.blocks[0]
        neuron, ssm = block.neuron, block.ssm
        assert (neuron.mode, neuron.decay, neuron.n_rounds) == ("fixed_point", 0.25, 2)
        assert (neuron.surrogate, neuron.max_spikes) == ("atan", 3)
        assert (neuron.ln_threshold, neuron.backend, block.dropout.p) == (None, "reference", 0.3)
        assert (block.norm_place, type(block.norm)) == ("after", BatchNorm1d)
        assert (ssm.bidirectional, ssm.backend) == (True, "reference")
        if kind == "s4d":
            assert (ssm.b is not None, ssm.a_imag.shape[1]) == (True, 3)
        else:
            assert (block.residual, ssm.n_states) == (False, 3 * 16)


def test_the_rate_rises_and_falls():
    from skorch.callbacks import Callback

    class Rates(Callback):
        def on_train_begin(self, net, **kwargs):
            self.rates_ = []

        def on_grad_computed(self, net, **kwargs):
            self.rates_.append(net.optimizer_.param_groups[-1]["lr"])

    model = fit(callbacks=[("rates", Rates())], batch_size=4, max_epochs=5, warmup=0.2)
    rates = np.array(dict(model.net_.callbacks_)["rates"].rates_)
    peak = rates.argmax()
    assert len(rates) == 30
    assert peak == 6
    assert rates[peak] == pytest.approx(0.01)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] < 1e-4
