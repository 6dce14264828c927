from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import TransformerMixin

from skspike import EventCollection
from tests.utils.planted import TinyClassifier, TinyEncoder, failure


class NumbersTheClasses(TinyClassifier):
    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)


class KeepsTheOrderOfLabels(TinyClassifier):
    def fit(self, X, y):
        super().fit(X, y)
        self.classes_ = self.classes_[::-1]
        return self


class ForgetsToNormalise(TinyClassifier):
    def predict_proba(self, X):
        return 2 * super().predict_proba(X)


class SwapsColumns(TinyClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]

    def predict(self, X):
        return self.classes_[super().predict_proba(X).argmax(axis=1)]


class CutsLabels(TinyClassifier):
    def fit(self, X, y):
        n = min(len(X), len(y))
        return super().fit(X[:n], y[:n])


class NeedsTwoClasses(TinyClassifier):
    def fit(self, X, y):
        super().fit(X, y)
        self.means_[1]
        return self


class ScoresNothing(TinyClassifier):
    def score(self, X, y, sample_weight=None):
        return np.nan


class DependsOnTheForm(TinyClassifier):
    def predict(self, X):
        labels = super().predict(X)
        return labels if isinstance(X, EventCollection) else labels[::-1]


class RefusesObjects(TinyEncoder):
    def transform(self, X):
        if isinstance(X, np.ndarray) and len(X) < 12:
            raise TypeError("Recordings must be given as a list.")
        return super().transform(X)


class HidesItsSteps(TransformerMixin, TinyClassifier):
    """Is a transformer as well, whose output pipelines cannot see."""

    def transform(self, X):
        return self.predict_proba(X) + self.shift

    @property
    def shift(self):
        import inspect

        return any("pipeline" in frame.filename for frame in inspect.stack())


FAULTS = {
    NumbersTheClasses: "check_labels",
    KeepsTheOrderOfLabels: "check_labels",
    ForgetsToNormalise: "check_probabilities",
    SwapsColumns: "check_probabilities",
    CutsLabels: "check_lengths_of_X_and_y",
    NeedsTwoClasses: "check_one_class_is_answered_or_refused",
    ScoresNothing: "check_grid_search",
    DependsOnTheForm: "check_cross_validation",
    RefusesObjects: "check_cross_validation",
    HidesItsSteps: "check_pipeline",
}


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault):
    assert failure(fault(), FAULTS[fault]) is not None
