"""Checks of classifiers of events, and of any estimator inside scikit-learn's tools."""

from __future__ import annotations

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from .._events import EventCollection
from ..encoders import FrameEncoder
from ._harness import (
    answers,
    assert_same,
    assert_same_answers,
    fit,
    fresh,
    name_of,
    quietly,
    refuses,
    require,
)
from ._samples import make_collection, make_recordings


def _flatten(output) -> np.ndarray:
    """Return a table, of frames or of recordings."""
    if isinstance(output, EventCollection):
        output = FrameEncoder(n_bins=1, sensor_size=output.sensor_size).fit_transform(output)
    return np.asarray(output).reshape(len(output), -1)


def _as_classifier(estimator):
    """Return a classifier of recordings: the estimator, or nearest neighbours behind it."""
    model = fresh(estimator)
    if is_classifier(model):
        return model
    flatten = FunctionTransformer(_flatten)
    return make_pipeline(model, flatten, KNeighborsClassifier(1, algorithm="brute"))


def check_pipeline(estimator):
    """In a pipeline the estimator does what it does alone."""
    X, y = make_collection()
    expected = answers(fit(estimator, X, y), X)
    got = answers(fit(make_pipeline(fresh(estimator)), X, y), X)
    assert_same_answers(got, expected, "in a pipeline")


def check_cross_validation(estimator):
    """`cross_val_predict` gives the same for a list, an object array and a collection."""
    X, y = make_collection()
    model = _as_classifier(estimator)
    expected = quietly(lambda: cross_val_predict(model, X, y, cv=3))
    require(
        expected.shape == y.shape and np.isin(expected, y).all(),
        f"cross_val_predict with {name_of(estimator)} must return known labels.",
    )
    for form in (make_recordings()[0], np.asarray(X)):
        got = quietly(lambda f=form: cross_val_predict(model, f, y, cv=3))
        assert_same(got, expected, f"cross_val_predict of a {type(form).__name__}")


def check_grid_search(estimator):
    """`GridSearchCV` fits, scores and predicts without a failure."""
    X, y = make_collection()
    search = GridSearchCV(_as_classifier(estimator), {}, cv=2, error_score="raise")
    quietly(search.fit, X, y)
    require(
        np.isfinite(search.cv_results_["mean_test_score"]).all(),
        f"GridSearchCV over {name_of(estimator)} must have finite scores.",
    )
    assert_same(
        quietly(search.predict, X),
        quietly(search.best_estimator_.predict, X),
        "predict of a GridSearchCV",
    )


def check_labels(estimator):
    """Labels may be texts: `classes_` holds them in order, and predictions are among them."""
    X, y = make_collection()
    labels = np.array(["up", "down"])[y]
    model = fit(estimator, X, labels)
    require(
        np.asarray(model.classes_).tolist() == ["down", "up"],
        f"{name_of(estimator)}.classes_ must be ['down', 'up']. Got {model.classes_} instead.",
    )
    predicted = np.asarray(quietly(model.predict, X))
    require(
        predicted.shape == y.shape and np.isin(predicted, model.classes_).all(),
        f"{name_of(estimator)}.predict must return labels of classes_. Got {predicted} instead.",
    )


def check_probabilities(estimator):
    """`predict_proba` has a column for each class, is positive and sums up to one."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    p = np.asarray(quietly(model.predict_proba, X))
    require(
        p.shape == (len(X), 2) and (p >= 0).all() and np.allclose(p.sum(axis=1), 1, atol=1e-5),
        f"{name_of(estimator)}.predict_proba must return rows of probabilities. Got {p} instead.",
    )
    sure = np.abs(p[:, 0] - p[:, 1]) > 1e-5
    assert_same(
        np.asarray(quietly(model.predict, X))[sure],
        model.classes_[p.argmax(axis=1)][sure],
        "predict, compared with the largest probability,",
    )


def check_lengths_of_X_and_y(estimator):
    """Labels for another number of recordings are refused."""
    X, y = make_collection()
    refused, _ = refuses(lambda: fresh(estimator).fit(X, y[:-1]), "fit with a label too few")
    require(refused, f"{name_of(estimator)}.fit must refuse {len(X)} recordings, {len(y) - 1} y.")


def check_one_class_is_answered_or_refused(estimator):
    """Recordings of a single class are learned, or refused with the reason."""
    X, y = make_collection()
    one = np.zeros_like(y)
    what = "fit to recordings of one class"
    refused, model = refuses(lambda: fresh(estimator).fit(X, one), what)
    if not refused:
        assert_same(np.asarray(quietly(model.predict, X)), one, "predict after " + what)
