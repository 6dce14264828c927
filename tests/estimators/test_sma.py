from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_classification
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skspike import SMAClassifier
from skspike.estimators._base import SURROGATES
from skspike.models import create_model
from tests.estimators.common import quick, samples

# Fewer epochs than by default: the battery trains again and again.
QUICK = SMAClassifier(width=8, max_epochs=5, lr=0.02)


@parametrize_with_checks([QUICK])
def test_scikit_learns_battery(estimator, check):
    check(estimator)


def test_the_battery_is_not_empty():
    assert sum(1 for _ in estimator_checks_generator(QUICK)) >= 54


def test_the_defaults_learn_what_the_battery_asks_for():
    X, y = make_blobs(n_samples=300, random_state=0)
    X = StandardScaler().fit_transform(X)
    assert SMAClassifier(random_state=0).fit(X, y).score(X, y) > 0.83


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("backbone", "resnet", "one of {'auto', 'sma_mlp', 'sma_vgg8'}|must be a str among"),
        ("width", 0, r"must be an int in the range \[1, inf\)"),
        ("tau", 1.0, r"must be a float in the range \(1.0, inf\)|in the range \(1, inf\)"),
        ("n_steps", 2.5, "must be an int"),
        ("dropout", 1.0, r"in the range \[0, 1\)|in the range \[0.0, 1.0\)"),
        ("loss", "hinge", "must be a str among"),
        ("optimizer", "lbfgs", "must be a str among"),
        ("validation_fraction", 0, r"in the range \(0.0, 1.0\)|in the range \(0, 1\)"),
        ("encoder", "frames", "must be an object implementing 'fit' and 'transform'"),
        ("callbacks", "bar", "must be an instance of 'list'"),
        ("early_stopping", "yes", "must be an instance of 'bool'"),
    ],
)
def test_wrong_parameters_are_named(name, wrong, right):
    classifier = SMAClassifier(**{name: wrong})
    with pytest.raises(ValueError, match=f"The '{name}' parameter of SMAClassifier.*(?:{right})"):
        classifier.fit(*samples("table"))
    assert not hasattr(classifier, "classes_")


def test_every_parameter_has_a_constraint():
    assert set(SMAClassifier._parameter_constraints) == set(SMAClassifier().get_params())


def test_every_network_parameter_reaches_the_network(monkeypatch):
    asked = {
        "width": 3,
        "scales": (1, 5),
        "channel_reduction": 2,
        "time_reduction": 3,
        "zoneout": False,
        "zoneout_channels": 2,
        "zoneout_steps": 3,
        "neuron": "plif",
        "tau": 3.0,
        "threshold": 0.5,
        "surrogate": "triangle",
        "dropout": 0.25,
        "backend": "reference",
    }
    of_images = {"min_map": 2, "hidden": (2,)}
    got = {}

    def spy(name, **options):
        got.clear()
        got.update(options, name=name)
        return create_model(name, **options)

    monkeypatch.setattr("skspike.estimators._sma.create_model", spy)
    SMAClassifier(max_epochs=1, **asked, **of_images).fit(*samples("frames", n_classes=3))
    shape = {"name": "sma_vgg8", "n_classes": 3, "n_steps": 5, "in_channels": 2}
    assert got == asked | of_images | shape
    SMAClassifier(max_epochs=1, n_steps=2, **asked, **of_images).fit(*samples("table"))
    assert got == asked | {"name": "sma_mlp", "n_classes": 2, "n_steps": 2, "in_channels": 6}


def test_every_surrogate_trains_another_network():
    X, y = samples("table")
    outputs = [
        quick(surrogate=surrogate, backend="reference").fit(X, y).predict_proba(X)
        for surrogate in sorted(SURROGATES.options)
    ]
    assert len(outputs) == 6
    assert np.isfinite(outputs).all()
    assert len(np.unique(outputs, axis=0)) == len(outputs)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "tet"])
def test_it_learns_what_no_linear_model_can(loss):
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(200, 2)) + rng.normal(scale=0.2, size=(200, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    classifier = quick(width=8, loss=loss, max_epochs=30, lr=0.01).fit(X[:120], y[:120])
    assert classifier.score(X[120:], y[120:]) > 0.95


def test_it_learns_from_time_alone():
    # both classes have the same sum over time: one rises, the other falls
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    ramp = np.linspace(0, 2, 6)
    X = np.where(y[:, None] == 1, ramp, ramp[::-1])[:, :, None] + rng.normal(
        scale=0.2, size=(120, 6, 1)
    )
    classifier = quick(width=8, max_epochs=30, lr=0.01).fit(X[:80], y[:80])
    assert classifier.score(X[80:], y[80:]) > 0.9


def test_score_with_weights():
    X, y = samples("table")
    classifier = quick().fit(X, y)
    hits = classifier.predict(X) == y
    weight = np.random.default_rng(0).random(len(y))
    assert classifier.score(X, y, sample_weight=weight) == pytest.approx(
        np.average(hits, weights=weight)
    )


def test_methods_before_fit():
    X, _ = samples("table")
    for method in ("predict", "predict_proba", "predict_proba_over_time", "decision_function"):
        with pytest.raises(NotFittedError, match="This SMAClassifier instance is not fitted yet"):
            getattr(quick(), method)(X)


def test_clone_is_unfitted_and_equal():
    classifier = quick(tau=3.0, scales=(1, 5)).fit(*samples("table"))
    copy = clone(classifier)
    assert copy.get_params() == classifier.get_params()
    assert not hasattr(copy, "net_")


def test_sparse_tables_are_refused():
    from scipy.sparse import csr_matrix

    X, y = make_classification(n_samples=20, random_state=0)
    with pytest.raises(TypeError, match=r"Sparse data was passed.*but dense data is required"):
        quick().fit(csr_matrix(X), y)


def test_repr_shows_what_was_chosen():
    assert re.sub(r"\s+", " ", repr(SMAClassifier(width=8))) == "SMAClassifier(width=8)"
    assert "SMAClassifier" in quick().fit(*samples("table"))._repr_html_()
