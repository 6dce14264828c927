"""Spiking state space models as estimators: scikit-learn's battery, and what is their own."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skspike import SpikingSSMClassifier, SpikingSSMRegressor
from tests.estimators.common import samples
from tests.estimators.sequences import QUICK, fit, objects, ragged

BATTERY = [SpikingSSMClassifier(**QUICK), SpikingSSMRegressor(**{**QUICK, "max_epochs": 20})]


BATTERY += [type(e)(**e.get_params()).set_params(block="selective") for e in BATTERY]


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
        ("n_repeats", 0, "must be an int in the range"),
        ("block", "s5", "must be a str among"),
        ("d_state", 1, "must be an int in the range"),
        ("expand", 0, "must be an int in the range"),
        ("residual", "yes", "must be an instance of 'bool'"),
        ("decay", 1.5, "must be a float in the range"),
        ("mode", "loop", "must be a str among"),
        ("surrogate", "arctan", "must be a str among"),
        ("norm_place", "nowhere", "must be a str among"),
        ("final_norm", "yes", "must be an instance of 'bool'"),
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


# --- what was learnt ---


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


# --- with the rest of scikit-learn ---


def test_composition():
    X, y = ragged()
    X = objects(X)
    search = GridSearchCV(SpikingSSMClassifier(**QUICK, random_state=0), {"decay": [0, 0.5]}, cv=2)
    assert search.fit(X, y).best_score_ > 0
    assert cross_val_predict(search.best_estimator_, X, y, cv=2).shape == y.shape
    table = make_pipeline(StandardScaler(), SpikingSSMClassifier(**QUICK, random_state=0))
    assert table.fit(*samples("table")).score(*samples("table")) > 0.8
