"""Numbers as targets."""

from __future__ import annotations

import numpy as np
import pytest

from skspike import SpikingSSMRegressor
from tests.estimators.sequences import OPTIONS, QUICK, fit

by_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


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
