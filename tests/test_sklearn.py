from numbers import Integral

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skspike._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
    validate_data,
)


class Estimator(BaseEstimator):
    _parameter_constraints = {
        "size": [Interval(Integral, 1, None, closed="left")],
        "kind": [StrOptions({"a", "b"})],
        "callback": [HasMethods("notify"), None],
    }

    def __init__(self, size=1, kind="a", callback=None):
        self.size = size
        self.kind = kind
        self.callback = callback

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        self.X_ = validate_data(self, X, allow_nd=True)
        return self


@pytest.mark.parametrize("parameters", [{"size": 0}, {"size": 1.5}, {"kind": "c"}, {"callback": 1}])
def test_constraints_are_checked_in_fit(parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"The {name!r} parameter of Estimator must be"):
        Estimator(**parameters).fit([[1.0]])


def test_data_are_validated_and_features_counted():
    estimator = Estimator().fit(np.zeros((3, 2, 4)))
    assert estimator.n_features_in_ == 2
    with pytest.raises(ValueError, match="2D array, got 1D array"):
        estimator.fit([1.0, 2.0])


def test_weights_default_to_one():
    assert check_sample_weight(None, np.zeros((3, 2))).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="sample_weight"):
        check_sample_weight([1.0, 2.0], np.zeros((3, 2)))
