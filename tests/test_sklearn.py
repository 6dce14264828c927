from numbers import Integral

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skspike import _sklearn
from skspike._sklearn import (
    Interval,
    InvalidParameterError,
    StrOptions,
    check_sample_weight,
    fit_context,
    num_samples,
    safe_indexing,
    validate_data,
)


class Estimator(BaseEstimator):
    _parameter_constraints = {
        "size": [Interval(Integral, 1, None, closed="left")],
        "kind": [StrOptions({"a", "b"})],
    }

    def __init__(self, size=1, kind="a"):
        self.size = size
        self.kind = kind

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        self.X_ = validate_data(self, X, allow_nd=True)
        return self


def test_every_exported_name_exists():
    assert all(hasattr(_sklearn, name) for name in _sklearn.__all__)


@pytest.mark.parametrize("parameters", [{"size": 0}, {"size": 1.5}, {"kind": "c"}])
def test_constraints_are_checked_in_fit(parameters):
    (name,) = parameters
    with pytest.raises(InvalidParameterError, match=f"The {name!r} parameter of Estimator must be"):
        Estimator(**parameters).fit([[1.0]])


def test_data_are_validated_and_features_counted():
    estimator = Estimator().fit(np.zeros((3, 2, 4)))
    assert estimator.n_features_in_ == 2
    with pytest.raises(ValueError, match="2D array, got 1D array"):
        estimator.fit([1.0, 2.0])


def test_helpers_do_what_their_names_say():
    X = np.arange(6).reshape(3, 2)
    assert num_samples(X) == 3
    assert safe_indexing(X, [2, 0]).tolist() == [[4, 5], [0, 1]]
    assert check_sample_weight(None, X).tolist() == [1, 1, 1]
