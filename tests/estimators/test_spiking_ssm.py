"""Spiking state space models as estimators: scikit-learn's battery, and what is their own."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skspike import FrameEncoder, SpikingSSMClassifier, SpikingSSMRegressor
from tests.estimators.common import recordings, samples

# Fewer epochs than by default: the battery trains again and again.
QUICK = {"width": 16, "n_layers": 1, "d_state": 4, "n_steps": 4, "max_epochs": 8}
BATTERY = [SpikingSSMClassifier(**QUICK), SpikingSSMRegressor(**{**QUICK, "max_epochs": 20})]


@parametrize_with_checks(BATTERY)
def test_scikit_learns_battery(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", BATTERY)
def test_the_battery_is_not_empty(estimator):
    assert sum(1 for _ in estimator_checks_generator(estimator)) >= 54


def test_the_defaults_learn_what_the_battery_asks_for():
    X, y = make_blobs(n_samples=300, random_state=0)
    assert SpikingSSMClassifier(max_epochs=5, random_state=0).fit(X, y).score(X, y) > 0.83
    X, y = load_diabetes(return_X_y=True)
    assert SpikingSSMRegressor(max_epochs=5, random_state=0).fit(X, y).score(X, y) > 0.5


@pytest.mark.parametrize("kind", [SpikingSSMClassifier, SpikingSSMRegressor])
def test_every_parameter_has_a_constraint(kind):
    assert set(kind._parameter_constraints) == set(kind().get_params())


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("n_layers", 0, "must be an int in the range"),
        ("d_state", 1, "must be an int in the range"),
        ("decay", 1.5, "must be a float in the range"),
        ("mode", "loop", "must be a str among"),
        ("norm_place", "nowhere", "must be a str among"),
        ("readout", "first", "must be a str among"),
        ("n_tokens", 0, "must be an int in the range"),
        ("patch_size", 0, "must be an int in the range"),
        ("warmup", 1.0, "must be a float in the range"),
        ("ssm_lr", 0.0, "must be a float in the range"),
    ],
)
def test_wrong_parameters_are_named(name, wrong, right):
    model = SpikingSSMClassifier(**{name: wrong})
    with pytest.raises(
        ValueError, match=f"The '{name}' parameter of SpikingSSMClassifier.*{right}"
    ):
        model.fit(*samples("table"))
    assert not hasattr(model, "classes_")


# --- sequences ---


def ragged(n: int = 24, n_features: int = 2, seed: int = 0):
    """Return sequences of 5 to 30 steps, and whether their beginning is high."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = [rng.normal(size=(rng.integers(5, 31), n_features)) for _ in y]
    for x, label in zip(X, y, strict=True):
        x[:4] += 3 * label
    return X, y


def objects(X) -> np.ndarray:
    """Return sequences as an array of objects."""
    array = np.empty(len(X), object)
    array[:] = X
    return array


def fit(kind=SpikingSSMClassifier, data=None, **params):
    """Return a small estimator that has learnt ragged sequences, or other data."""
    model = kind(**{**QUICK, "random_state": 0, **params})
    return model.fit(*(ragged() if data is None else data))


OPTIONS = [
    {},
    {"bidirectional": True},
    {"norm": "batch"},
    {"norm": "batch", "norm_place": "after", "bidirectional": True, "trainable_input": True},
    {"readout": "last"},
    {"patch_size": 3},
    {"mode": "fixed_point"},
    {"mode": "sdn"},
    {"standardize": False},
]
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


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "norm": "batch"}], ids=str)
def test_equal_lengths_give_the_same_as_an_array(options):
    X, y = ragged()
    X = np.stack([x[:5] for x in X])
    array, listed = fit(data=(X, y), **options), fit(data=(list(X), y), **options)
    np.testing.assert_allclose(
        array.predict_proba(X), listed.predict_proba(list(X)), rtol=0, atol=1e-5
    )
    np.testing.assert_array_equal(listed.predict_proba(X), listed.predict_proba(list(X)))


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


def test_features_of_any_unit():
    X, y = ragged()
    other = fit(data=([1000 * x - 5 for x in X], y))
    np.testing.assert_allclose(other.mean_, 1000 * fit().mean_ - 5, rtol=1e-4)
    np.testing.assert_allclose(
        other.predict_proba([1000 * x - 5 for x in X]), fit().predict_proba(X), atol=1e-2
    )


def test_moments_are_those_of_all_steps():
    X, _ = ragged()
    steps = np.concatenate(X)
    np.testing.assert_allclose(fit().mean_, steps.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(fit().scale_, steps.std(axis=0), rtol=1e-6)


def test_integers_and_tensors():
    X, y = ragged()
    X = [np.round(100 * x).astype(np.int16) for x in X]
    model = fit(data=(X, y))
    expected = model.predict_proba(X)
    np.testing.assert_allclose(
        model.predict_proba([torch.from_numpy(x) for x in X]), expected, atol=1e-6
    )
    np.testing.assert_allclose(
        model.predict_proba([x.astype(np.float64) for x in X]), expected, atol=1e-4
    )


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([np.zeros((3, 2)), np.zeros((0, 2))], "with at least one step. Number 1 has shape (0, 2)"),
        ([np.zeros((3, 2)), np.zeros((4, 3))], "Number 1 has 3, number 0 has 2."),
        ([np.zeros((3, 2)), np.full((4, 2), np.nan)], "contains NaN or infinity: sequence 1 of"),
        ([np.zeros((3, 2)), np.array([["a", "b"]])], "Number 1 has shape (1, 2) and dtype <U1"),
        ([np.zeros((3, 2, 2))], "Number 0 has shape (3, 2, 2)"),
    ],
)
def test_bad_sequences_are_named(X, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SpikingSSMClassifier(**QUICK).fit(X, np.arange(len(X)))


def test_other_samples_than_in_fit_are_refused():
    model = fit()
    with pytest.raises(ValueError, match=r"shape \(n_samples, n_steps, 2\), as in fit.*of 3 feat"):
        model.predict([np.zeros((4, 3))])
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, n_steps, 2\), as in fit"):
        model.predict(np.zeros((4, 2)))
    table = fit(data=samples("table"))
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, 6\), as in fit"):
        table.predict([np.zeros((4, 6))])


def test_tokens():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = [rng.integers(0, 5, rng.integers(4, 9)) for _ in y]
    for x, label in zip(X, y, strict=True):
        x[1] = 5 + label
    model = fit(data=(X, y), n_tokens=7, max_epochs=20, lr=0.02)
    assert model.score(X, y) > 0.9
    array = np.stack([x[:4] for x in X])
    np.testing.assert_array_equal(model.predict(array), model.predict([x[:4] for x in X]))
    for wrong, message in (
        (array + 3, "must be in [0, 7). Got 3 to"),
        (array + 0.5, "must be whole numbers"),
        (array[:, :, None].repeat(2, axis=2), "must have one token a step. Got 2 numbers"),
        (array[:, :, None, None], "must have shape (n_samples, n_steps). Got shape"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            model.predict(wrong)


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


# --- while a sequence goes on ---


@pytest.mark.parametrize(
    "options", [o for o in OPTIONS if not o.get("bidirectional") and "patch_size" not in o], ids=str
)
def test_a_stream_answers_as_the_whole(options):
    X, _ = ragged()
    model = fit(**options)
    for chunk in (1, 4):
        stream = model.stream()
        parts = [stream.push(X[3][i : i + chunk]) for i in range(0, len(X[3]), chunk)]
        got = np.concatenate(parts)
        for t in (1, 4, len(X[3])):
            expected = model.predict_proba([X[3][:t]])[0]
            np.testing.assert_allclose(got[t - 1], expected, rtol=0, atol=1e-10)
        assert stream.n_steps == len(X[3])
    over_time = model.predict_proba_over_time([X[3]])[0]
    np.testing.assert_allclose(over_time, got, rtol=0, atol=1e-10)


def test_streams_side_by_side_begin_anew():
    X = np.stack([x[:5] for x in ragged()[0]])
    model = fit()
    stream = model.stream(n_samples=len(X))
    first = stream.push(X)
    stream.reset()
    np.testing.assert_array_equal(stream.push(X), first)
    np.testing.assert_allclose(first[:, -1], model.predict_proba(X), rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="must have 3 axes, 24 samples first"):
        stream.push(X[:3])


def test_patches_wait_until_they_are_complete():
    model, x = fit(patch_size=3), ragged()[0][0][:9]
    stream = model.stream()
    parts = [stream.push(x[i : i + 2]) for i in range(0, 9, 2)]
    assert [len(p) for p in parts] == [0, 1, 1, 0, 1]
    np.testing.assert_allclose(parts[-1][-1], model.predict_proba([x])[0], rtol=0, atol=1e-10)


def test_what_looks_ahead_cannot_stream():
    message = "'bidirectional' parameter of SpikingSSMClassifier must be False to answer before"
    model = fit(bidirectional=True)
    with pytest.raises(ValueError, match=message):
        model.stream()
    with pytest.raises(ValueError, match=message):
        model.predict_proba_over_time(ragged()[0])


def test_only_series_stream_and_only_equal_ones_are_answered_over_time():
    with pytest.raises(ValueError, match="must be fitted to series to stream"):
        fit(data=samples("table")).stream()
    with pytest.raises(ValueError, match="must have equal numbers of steps to be predicted over"):
        fit().predict_proba_over_time(ragged()[0])
    with pytest.raises(NotFittedError):
        SpikingSSMClassifier().stream()


# --- what was learnt ---


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


def test_slow_parameters_have_a_rate_of_their_own_and_no_decay():
    model = fit(lr=0.02, ssm_lr=0.005, trainable_input=True, schedule=None, weight_decay=0.1)
    net = model.net_
    settings = {id(p): g for g in net.optimizer_.param_groups for p in g["params"]}
    for name, p in net.module_.named_parameters():
        slow = name.rpartition(".")[2] in {"log_dt", "log_a_real", "a_imag", "b", "c"}
        group = settings[id(p)]
        assert group["lr"] == (0.005 if slow else 0.02), name
        assert group["weight_decay"] == (0.0 if slow and not name.endswith(".c") else 0.1), name


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


@pytest.mark.parametrize("kind", [SpikingSSMClassifier, SpikingSSMRegressor])
def test_pickles_and_clones(kind):
    X, _ = ragged()
    model = fit(kind)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    again = clone(model).fit(*ragged())
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize("kind", [SpikingSSMClassifier, SpikingSSMRegressor])
def test_more_epochs_may_follow(kind):
    X, y = ragged()
    model = kind(**QUICK, random_state=0, warm_start=True).fit(X, y)
    before = model.predict(X)
    model.fit(X, y)
    assert model.n_iter_ == 2 * QUICK["max_epochs"]
    partial = kind(**QUICK, random_state=0)
    for _ in range(3):
        partial.partial_fit(X, y, **({"classes": [0, 1]} if kind is SpikingSSMClassifier else {}))
    assert partial.n_iter_ == 3
    assert before.shape == partial.predict(X).shape


def test_early_stopping_keeps_the_best_weights():
    model = fit(early_stopping=True, max_epochs=60, n_iter_no_change=2, validation_fraction=0.3)
    assert model.n_iter_ < 60
    assert {"valid_loss", "valid_acc"} <= set(model.history_[-1])
    assert "valid_loss" in fit(SpikingSSMRegressor, early_stopping=True).history_[-1]


# --- regression ---


def sums(n: int = 60):
    """Return series, and two sums of parts of each."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 20, 1))
    return X, np.stack([X[:, :10, 0].sum(axis=1), 100 + 50 * X[:, 10:, 0].sum(axis=1)], axis=1)


def test_several_targets_of_any_unit():
    X, y = sums()
    model = fit(SpikingSSMRegressor, (X, y), max_epochs=40)
    assert model.score(X, y) > 0.5
    assert model.predict(X).shape == y.shape
    np.testing.assert_allclose(model.target_mean_, y.mean(axis=0), rtol=1e-5)
    first = fit(SpikingSSMRegressor, (X, y[:, 0]), max_epochs=40)
    assert first.predict(X).shape == (60,)
    np.testing.assert_allclose(first.predict_over_time(X)[:, -1], first.predict(X), atol=1e-10)
    stream = first.stream()
    np.testing.assert_allclose(stream.push(X[0])[-1], first.predict(X[:1])[0], atol=1e-10)


def test_targets_that_do_not_fit_are_refused():
    X, y = sums()
    model = SpikingSSMRegressor(**QUICK, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="must have as many outputs as in the previous fit, 2"):
        model.fit(X, y[:, 0])
    with pytest.raises(ValueError, match="Found array with dim 3"):
        model.fit(X, y[:, :, None])
    with pytest.raises(ValueError, match="requires y to be passed"):
        model.fit(X, None)
    with pytest.raises(ValueError, match="at least one non-zero number"):
        model.fit(X, y, sample_weight=np.zeros(60))


# --- with the rest of scikit-learn ---


def test_composition():
    X, y = ragged()
    X = objects(X)
    search = GridSearchCV(SpikingSSMClassifier(**QUICK, random_state=0), {"decay": [0, 0.5]}, cv=2)
    assert search.fit(X, y).best_score_ > 0
    assert cross_val_predict(search.best_estimator_, X, y, cv=2).shape == y.shape
    table = make_pipeline(StandardScaler(), SpikingSSMClassifier(**QUICK, random_state=0))
    assert table.fit(*samples("table")).score(*samples("table")) > 0.8
