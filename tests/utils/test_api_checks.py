from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.validation import check_is_fitted

from tests.utils.planted import TinyClassifier, TinyEncoder, as_collection, failure


class ChangesItsParameters(TinyEncoder):
    def __init__(self, n_bins=3, dtype="float32", n_jobs=None):
        super().__init__(n_bins, dtype, n_jobs)
        self.plan = (n_bins, dtype)


class KeepsPlainNames(TinyEncoder):
    def fit(self, X, y=None):
        self.n_seen = len(X)
        return super().fit(X)


class ReturnsNothing(TinyEncoder):
    def fit(self, X, y=None):
        super().fit(X)


class ResolvesParameters(TinyEncoder):
    def fit(self, X, y=None):
        self.n_jobs = self.n_jobs or 1
        return super().fit(X)


class NeedsNoFit(TinyEncoder):
    def transform(self, X):
        return super().transform(X) if hasattr(self, "sensor_size_") else self.fit(X).transform(X)


class CountsItsFits(TinyEncoder):
    def fit(self, X, y=None):
        self.n_fits_ = getattr(self, "n_fits_", 0) + 1
        return super().fit(X)

    def transform(self, X):
        check_is_fitted(self)
        return super().transform(X) * self.n_fits_


class KeepsTheFirstFit(TinyEncoder):
    def fit(self, X, y=None):
        self.weight_ = getattr(self, "weight_", 1 / max(len(r) for r in as_collection(X)))
        return super().fit(X)

    def transform(self, X):
        return super().transform(X) * self.weight_


class KeepsState(TinyEncoder):
    def fit(self, X, y=None):
        self.last_ = 0
        return super().fit(X)

    def transform(self, X):
        out = super().transform(X)
        out += self.last_
        self.last_ = out.max(initial=0)
        return out


class HoldsAFunction(TinyEncoder):
    def fit(self, X, y=None):
        self.scale_ = lambda out: out
        return super().fit(X)


class TreatsJobsDifferently(TinyEncoder):
    def transform(self, X):
        out = super().transform(X)
        if self.n_jobs == 2:
            out[len(out) // 2 :] = 0  # the second job's part
        return out


class DrawsGlobally(TinyEncoder):
    def fit(self, X, y=None):
        self.seed_ = np.random.mtrand._rand.randint(2**31)
        return super().fit(X)


class DependsOnTheGlobalSeed(DrawsGlobally):
    def transform(self, X):
        return super().transform(X) + self.seed_ % 1009


class TakesTables(TinyEncoder):
    def fit(self, X, y=None):
        if isinstance(X, np.ndarray) and X.ndim == 2:
            self.sensor_size_ = (1, 1)
            return self
        return super().fit(X)


class GuessesTables(TinyClassifier):
    def predict(self, X):
        if isinstance(X, np.ndarray) and X.ndim == 2:
            return np.repeat(self.classes_[:1], len(X))
        return super().predict(X)


FAULTS = {
    ChangesItsParameters: "check_parameters",
    KeepsPlainNames: "check_fit_sets_fitted_attributes",
    ReturnsNothing: "check_fit_sets_fitted_attributes",
    ResolvesParameters: "check_fit_sets_fitted_attributes",
    NeedsNoFit: "check_unfitted_estimator_says_so",
    CountsItsFits: "check_fit_is_idempotent",
    KeepsTheFirstFit: "check_refit_starts_afresh",
    KeepsState: "check_calls_leave_no_state",
    HoldsAFunction: "check_pickle",
    TreatsJobsDifferently: "check_n_jobs",
    DrawsGlobally: "check_global_random_state_is_left_alone",
    DependsOnTheGlobalSeed: "check_global_random_state_is_left_alone",
    TakesTables: "check_tables_and_events_are_told_apart",
    GuessesTables: "check_tables_and_events_are_told_apart",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault):
    assert failure(fault(), FAULTS[fault]) is not None
