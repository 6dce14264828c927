"""Small estimators of recordings that keep every rule, to plant faults in."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skspike import EventCollection
from skspike.exceptions import EventLossWarning
from skspike.utils.estimator_checks import event_checks_generator


def as_collection(X) -> EventCollection:
    return X if isinstance(X, EventCollection) else EventCollection(X)


def check_on_sensor(X, sensor_size) -> None:
    width, height = sensor_size
    for events in X:
        if len(events) and (events["x"].max() >= width or events["y"].max() >= height):
            raise ValueError("An event lies off the sensor.")


class TinyEncoder(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Counts the events of each pixel in bins of equal duration."""

    def __init__(self, n_bins=3, dtype="float32", n_jobs=None):
        self.n_bins = n_bins
        self.dtype = dtype
        self.n_jobs = n_jobs

    def __event_claims__(self):
        return {"counts", "time_shift"}

    def fit(self, X, y=None):
        self.sensor_size_ = as_collection(X).sensor_size
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = as_collection(X)
        width, height = self.sensor_size_
        counts = np.zeros((len(X), self.n_bins, height, width))
        self.check_sensor(X)
        for i, events in enumerate(X):
            np.add.at(counts[i], (self.bins(events), events["y"], events["x"]), 1)
        return self.narrow(counts)

    def check_sensor(self, X):
        check_on_sensor(X, self.sensor_size_)

    def bins(self, events):
        t = events["t"] - events["t"].min(initial=2**61)
        return t * self.n_bins // (t.max(initial=0) + 1)

    def narrow(self, counts):
        dtype = np.dtype(self.dtype)
        most = np.iinfo(dtype).max if dtype.kind in "ui" else 2**24
        lost = int(np.maximum(counts - most, 0).sum())
        if lost:
            warnings.warn(f"{lost} events are too many for {dtype}.", EventLossWarning, 2)
        return np.minimum(counts, most).astype(dtype)

    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        width, height = self.sensor_size_
        names = [f"t{b}_y{y}_x{x}" for b, y, x in np.ndindex(self.n_bins, height, width)]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


class TinyFilter(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Keeps brighter events."""

    def __event_claims__(self):
        return {"subset", "time_shift"}

    def fit(self, X, y=None):
        self.sensor_size_ = as_collection(X).sensor_size
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = as_collection(X)
        check_on_sensor(X, self.sensor_size_)
        return EventCollection([self.keep(r) for r in X], sensor_size=self.sensor_size_)

    def keep(self, events):
        return events[events["p"]]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


class TinyClassifier(ClassifierMixin, BaseEstimator):
    """Takes the class whose recordings have the nearest mean column."""

    def __event_claims__(self):
        return {"time_shift"}

    def fit(self, X, y):
        X, y = as_collection(X), np.asarray(y)
        if len(X) != len(y) or not len(X):
            raise ValueError("There must be one label for each recording, and one recording.")
        self.classes_ = np.unique(y)
        self.sensor_size_ = X.sensor_size
        columns = self.columns(X)
        self.means_ = np.array([columns[y == label].mean() for label in self.classes_])
        return self

    def columns(self, X):
        check_on_sensor(X, self.sensor_size_)
        return np.array([r["x"].mean() if len(r) else self.sensor_size_[0] / 2 for r in X])

    def predict_proba(self, X):
        check_is_fitted(self)
        columns = self.columns(as_collection(X)).reshape(-1, 1)
        nearness = np.exp(-np.abs(columns - self.means_))
        return nearness / nearness.sum(axis=1, keepdims=True)

    def predict(self, X):
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def failure(estimator, name: str) -> BaseException | None:
    """Run the check of this name among those generated for an estimator; return how it failed."""
    (check,) = [c for c in event_checks_generator(estimator) if c.__name__ == name]
    try:
        check(estimator)
    except Exception as error:
        return error
    return None
