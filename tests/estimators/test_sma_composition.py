"""SMAClassifier inside scikit-learn's tools, on events and on frames."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
import torch
from joblib import Parallel, cpu_count, delayed
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import make_pipeline

from skspike import EventCollection, FrameEncoder
from skspike.datasets import load_digits_events
from tests.estimators.common import quick, recordings, samples

SETTINGS = {"backbone": "sma_mlp", "max_epochs": 40, "lr": 0.01, "batch_size": 8}


@pytest.fixture
def events():
    X, y = recordings(24)
    return EventCollection(X), np.array(["left", "right"])[y]


@pytest.fixture
def model():
    return make_pipeline(FrameEncoder(n_bins=4), quick(**SETTINGS))


def test_pipeline_with_memory(events, model, tmp_path):
    X, y = events
    cached = sklearn.base.clone(model).set_params(memory=str(tmp_path))
    for _ in range(2):
        np.testing.assert_array_equal(
            cached.fit(X, y).predict_proba(X), model.fit(X, y).predict_proba(X)
        )
    assert any(tmp_path.rglob("*.pkl"))


def test_grid_search_over_encoder_and_network(events, model):
    X, y = events
    grid = {"frameencoder__n_bins": [3, 5], "smaclassifier__tau": [1.5, 2.0]}
    search = GridSearchCV(model, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_estimator_
    assert best[-1].n_steps_ == search.best_params_["frameencoder__n_bins"]
    assert best[-1].tau == search.best_params_["smaclassifier__tau"]
    assert search.best_score_ > 0.8
    alone = cross_val_score(model.set_params(**search.best_params_), X, y, cv=2)
    assert alone.mean() == pytest.approx(search.best_score_, abs=1e-12)


def test_workers_share_the_cores():
    threads = Parallel(n_jobs=2)(delayed(torch.get_num_threads)() for _ in range(2))
    assert max(threads) <= max(1, cpu_count() // 2)


def test_cross_val_predict(events, model):
    X, y = events
    proba = cross_val_predict(model, X, y, cv=3, method="predict_proba")
    assert proba.shape == (24, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert np.mean(np.array(["left", "right"])[proba.argmax(axis=1)] == y) > 0.8


def test_voting(events):
    X, y = events
    members = [(str(tau), quick(tau=tau, **SETTINGS)) for tau in (1.5, 4.0)]
    vote = VotingClassifier(members, voting="soft").fit(X, y)
    mean = np.mean([member.predict_proba(X) for member in vote.estimators_], axis=0)
    np.testing.assert_allclose(vote.predict_proba(X), mean)
    assert vote.score(X, y) > 0.8


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(events, model, method):
    X, y = events
    calibrated = CalibratedClassifierCV(model, method=method, cv=2).fit(X, y)
    assert calibrated.predict_proba(X).shape == (24, 2)
    assert calibrated.score(X, y) > 0.8


def test_learning_curve(events, model):
    X, y = events
    sizes, _, scores = learning_curve(
        model, X, y, train_sizes=[0.5, 1.0], cv=2, shuffle=True, random_state=0
    )
    assert scores.shape == (len(sizes), 2)
    assert np.isfinite(scores).all()


def test_routing_of_sample_weight(events, model):
    X, y = events
    weight = np.random.default_rng(0).random(len(y))
    given = []

    class Recorder(type(model[-1])):
        def fit(self, X, y, sample_weight=None):
            given.append(sample_weight)
            return super().fit(X, y, sample_weight=sample_weight)

    with sklearn.config_context(enable_metadata_routing=True):
        recorder = Recorder(**model[-1].get_params()).set_fit_request(sample_weight=True)
        scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
        results = cross_validate(
            make_pipeline(model[0], recorder),
            X,
            y,
            cv=2,
            scoring=scorer,
            params={"sample_weight": weight},
            return_indices=True,
        )
    for fold, passed in zip(results["indices"]["train"], given, strict=True):
        np.testing.assert_array_equal(passed, weight[fold])


def test_routing_without_a_request_is_an_error(events, model):
    X, y = events
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match="sample_weight"),
    ):
        cross_validate(model, X, y, cv=2, params={"sample_weight": np.ones(len(y))})


def test_weights_through_a_pipeline(events, model):
    X, y = events
    weight = np.arange(len(y)) % 3
    weighted = model.fit(X, y, smaclassifier__sample_weight=weight).predict_proba(X)
    kept = np.repeat(np.arange(len(y)), weight)
    np.testing.assert_array_equal(model.fit(X[kept], y[kept]).predict_proba(X), weighted)


def test_frames_through_a_search():
    X, y = samples("frames")
    search = GridSearchCV(quick(), {"loss": ["mse", "tet"]}, cv=2).fit(X, y)
    assert search.predict(X).shape == y.shape


@pytest.mark.parametrize("backbone", ["sma_mlp", "sma_vgg8"])
def test_both_networks_learn_from_events(backbone):
    X, y = recordings(48)
    settings = SETTINGS | {"backbone": backbone, "dropout": 0.0, "max_epochs": 60}
    model = make_pipeline(FrameEncoder(n_bins=4), quick(**settings))
    assert model.fit(X[:24], y[:24]).score(X[24:], y[24:]) > 0.9


def test_digits_are_learned():
    X, y = load_digits_events(return_X_y=True)
    few, _, y_few, _ = train_test_split(X, y, train_size=600, stratify=y, random_state=0)
    train, test, y_train, y_test = train_test_split(few, y_few, stratify=y_few, random_state=0)
    classifier = quick(backbone="sma_mlp", width=16, max_epochs=15, lr=0.005)
    model = make_pipeline(FrameEncoder(n_bins=5), classifier)
    assert model.fit(train, y_train).score(test, y_test) > 0.8
