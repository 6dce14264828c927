from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skspike import SMAClassifier
from skspike.encoders import (
    DeltaEncoder,
    LatencyEncoder,
    PoissonEncoder,
    PopulationEncoder,
    RepeatEncoder,
)
from skspike.encoders._signal_base import DTYPES, one_spike

PLAIN = [PoissonEncoder(), LatencyEncoder(), DeltaEncoder(), PopulationEncoder(), RepeatEncoder()]
SCALED = PLAIN[:4]
VARIANTS = [
    *PLAIN,
    PoissonEncoder(1, max_rate=0.3, quantile=0.1, dtype="uint8", random_state=3),
    LatencyEncoder(5, code="log", tau=2.0, threshold=0.2, dtype="int8"),
    DeltaEncoder(0.25, start=None, max_spikes=1, dtype="uint8"),
    DeltaEncoder(0.03, start=0.5, quantile=0.2, dtype="float64"),
    PopulationEncoder(3, n_steps=2, dtype="uint8"),
    PopulationEncoder(5, n_steps=1, code="current", threshold=0.0),
    RepeatEncoder(1, dtype="float64"),
]
each = pytest.mark.parametrize("encoder", VARIANTS, ids=lambda e: re.sub(r"\s+", " ", str(e)))
each_scaled = pytest.mark.parametrize("encoder", SCALED, ids=str)
TABLE = np.random.default_rng(0).normal(size=(9, 4))
SERIES = np.random.default_rng(1).normal(size=(9, 6, 3))


@parametrize_with_checks([*PLAIN, DeltaEncoder(0.25, start=None, max_spikes=1, dtype="uint8")])
def test_scikit_learns_battery(estimator, check):
    check(estimator)


@pytest.mark.parametrize("encoder", PLAIN, ids=str)
def test_the_battery_is_not_empty(encoder):
    assert sum(1 for _ in estimator_checks_generator(encoder)) >= 42


@each
@pytest.mark.parametrize("X", [TABLE, SERIES], ids=["table", "series"])
def test_shape_dtype_and_names(encoder, X):
    encoder = clone(encoder)
    encoded = encoder.fit_transform(X)
    assert encoded.ndim == 3
    assert encoded.dtype == encoder.dtype
    assert encoded.flags.c_contiguous
    assert np.isfinite(encoded).all()
    names = encoder.get_feature_names_out()
    assert len(names) == len(set(names)) == encoded[0].size
    assert encoder.n_features_in_ == X.shape[-1]
    steps_in = X.shape[1] if X.ndim == 3 or isinstance(encoder, DeltaEncoder) else 1
    assert encoded.shape[1] == steps_in * getattr(encoder, "n_steps", 1)


@each
@pytest.mark.parametrize("X", [TABLE, SERIES], ids=["table", "series"])
def test_a_sample_alone_is_as_among_others(encoder, X):
    fitted = clone(encoder).set_params(**_seed(encoder)).fit(X)
    encoded = fitted.transform(X)
    for i in range(len(X)):
        np.testing.assert_array_equal(fitted.transform(X[i : i + 1])[0], encoded[i])
    np.testing.assert_array_equal(fitted.transform(X[::-1]), encoded[::-1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), encoded)
    np.testing.assert_array_equal(clone(fitted).fit_transform(X), encoded)


def _seed(encoder) -> dict:
    return {"random_state": 0} if isinstance(encoder, PoissonEncoder) else {}


@each
@pytest.mark.parametrize("kind", [np.float32, np.int16, np.uint8, bool, list])
def test_the_input_may_have_any_numeric_type(encoder, kind):
    X = np.random.default_rng(0).integers(0, 2, size=(5, 4, 2))
    encoder = clone(encoder).set_params(**_seed(encoder))
    given = X.tolist() if kind is list else X.astype(kind)
    expected = encoder.fit_transform(X.astype(float))
    np.testing.assert_array_equal(encoder.fit_transform(given), expected)


@each
def test_read_only_input_is_left_alone(encoder):
    X = SERIES.copy()
    X.flags.writeable = False
    clone(encoder).fit(X).transform(X)
    np.testing.assert_array_equal(X, SERIES)


@each
def test_samples_must_have_the_shape_of_fit(encoder):
    name = type(encoder).__name__
    fitted = clone(encoder).fit(SERIES)
    message = f"X of {name} must have shape (n_samples, 6, 3), as in fit. Got shape (n_samples, "
    for X in (SERIES[:, :5], SERIES[..., :2], TABLE):
        with pytest.raises(ValueError, match=re.escape(message)):
            fitted.transform(X)
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 4 features"):
        clone(encoder).fit(TABLE).transform(TABLE[:, :3])
    with pytest.raises(ValueError, match=re.escape("(n_samples, 4), as in fit")):
        clone(encoder).fit(TABLE).transform(SERIES)


@each
@pytest.mark.parametrize("X", [np.ones((2, 3, 4, 5)), np.ones((2, 0, 3)), np.ones((2, 3, 0))])
def test_other_shapes_raise(encoder, X):
    message = "must have shape (n_samples, n_features) or (n_samples, n_steps, n_features)"
    with pytest.raises(ValueError, match=re.escape(message)):
        clone(encoder).fit(X)


@each
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_and_infinite_values_raise(encoder, bad):
    X = SERIES.copy()
    X[1, 2, 0] = bad
    fitted = clone(encoder).fit(SERIES)
    for call in (clone(encoder).fit, fitted.transform):
        with pytest.raises(ValueError, match=r"X contains (NaN|infinity)|Input X contains"):
            call(X)


@each
def test_unfitted_encoders_say_so(encoder):
    for call in (encoder.transform, lambda X: encoder.get_feature_names_out()):
        with pytest.raises(NotFittedError):
            call(TABLE)


@each
def test_columns_have_their_names(encoder):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(TABLE, columns=list("abcd"))
    fitted = clone(encoder).set_output(transform="pandas").fit(frame)
    assert type(fitted.transform(frame)) is np.ndarray
    names = fitted.get_feature_names_out()
    assert {re.sub(r"^t\d+_|_(n\d+|off|on)$", "", name) for name in names} == set("abcd")
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        fitted.get_feature_names_out(list("dcba"))


@pytest.mark.parametrize("encoder", PLAIN, ids=str)
def test_dtypes(encoder):
    allowed = ("float32", "float64") if isinstance(encoder, RepeatEncoder) else DTYPES
    for dtype in DTYPES:
        encoder = clone(encoder).set_params(dtype=dtype)
        if dtype in allowed:
            assert encoder.fit_transform(TABLE).dtype == dtype
            assert encoder.set_params(dtype=np.dtype(dtype)).fit_transform(TABLE).dtype == dtype
        else:
            with pytest.raises(ValueError, match="'dtype' parameter of RepeatEncoder must be one"):
                encoder.fit(TABLE)
    for wrong in ("float16", "complex64", np.float16):
        with pytest.raises(ValueError, match=r"'dtype' parameter of .* must be one of"):
            encoder.set_params(dtype=wrong).fit(TABLE)


# Limits ------------------------------------------------------------------------------------------


@each_scaled
def test_limits_are_learned_in_fit(encoder):
    low, high = clone(encoder).fit(SERIES).limits_
    np.testing.assert_array_equal(low, SERIES.min(axis=(0, 1)))
    np.testing.assert_array_equal(high, SERIES.max(axis=(0, 1)))
    table = clone(encoder).fit(TABLE).limits_
    whole = isinstance(encoder, DeltaEncoder)  # a row is one signal
    expected = [[TABLE.min()], [TABLE.max()]] if whole else [TABLE.min(0), TABLE.max(0)]
    np.testing.assert_array_equal(table, expected)


@each_scaled
def test_quantiles_leave_outliers_outside(encoder):
    X = np.arange(101.0).reshape(-1, 1)
    X[100] = 1e300
    limits = clone(encoder).set_params(quantile=0.05).fit(X).limits_
    np.testing.assert_array_equal(limits, [[5.0], [95.0]])


@each_scaled
@pytest.mark.parametrize("limits", [(-1, 2), [-1.0, [2, 2, 2]], np.array([-1, 2])])
def test_limits_may_be_given(encoder, limits):
    fitted = clone(encoder).set_params(limits=limits).fit(SERIES)
    np.testing.assert_array_equal(fitted.limits_, [[-1] * 3, [2] * 3])


@each_scaled
@pytest.mark.parametrize(
    "limits", [(2, 2), (3, 1), (0,), (0, 1, 2), (0, np.inf), (np.nan, 1), ("a", "b"), ([1, 2], 3)]
)
def test_wrong_limits_raise(encoder, limits):
    with pytest.raises(ValueError, match=r"'limits' parameter of .* must be 'fit' or a pair"):
        clone(encoder).set_params(limits=limits).fit(SERIES)


@each_scaled
def test_values_outside_the_limits_are_clipped_or_raise(encoder):
    fitted = clone(encoder).set_params(**_seed(encoder)).fit(TABLE)
    low, high = TABLE.min(), TABLE.max()
    outside = np.where(TABLE > 0, high + 1, low - 1)
    spikes = fitted.transform(outside)
    levels = fitted._levels(fitted._as_series(outside))
    assert set(np.unique(levels)) == {0.0, 1.0}
    assert spikes.any()
    strict = clone(encoder).set_params(clip=False).fit(TABLE)
    strict.transform(TABLE)
    with pytest.raises(
        ValueError, match=r"with clip=False must lie within limits_, .* in sample 0"
    ):
        strict.transform(outside)


@each_scaled
def test_constant_features_have_level_zero(encoder):
    X = TABLE.copy()
    X[:, 1] = 7.0
    X = np.repeat(X[:, None], 2, axis=1)
    fitted = clone(encoder).fit(X)
    for value in (7.0, -1e9, 1e9):
        other = X.copy()
        other[..., 1] = value
        assert not fitted._levels(other)[..., 1].any()


@each_scaled
def test_the_widest_range_does_not_overflow(encoder):
    largest = np.finfo(float).max
    X = np.array([[-largest], [0.0], [largest]])
    with np.errstate(all="raise", under="ignore"):
        fitted = clone(encoder).fit(X)
        assert fitted._levels(fitted._as_series(X)).ravel().tolist() == [0.0, 0.5, 1.0]
        fitted.transform(X)


def test_one_spike():
    spikes = one_spike(
        np.array([[[0, 2]], [[1, 1]]]), np.array([[[False, False]], [[True, False]]]), 3
    )
    assert spikes.shape == (2, 3, 2)
    assert np.argwhere(spikes).tolist() == [[0, 0, 0], [0, 2, 1], [1, 1, 1]]


# In front of a network ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoder",
    [
        LatencyEncoder(n_steps=8),
        PoissonEncoder(n_steps=16, random_state=0),
        PopulationEncoder(n_steps=8),
        RepeatEncoder(n_steps=4),
    ],
    ids=str,
)
def test_a_network_learns_from_the_code(encoder):
    X, y = load_iris(return_X_y=True)
    network = SMAClassifier(width=8, scales=(1, 3), max_epochs=20, lr=0.01, random_state=0)
    model = make_pipeline(encoder, network).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.8


def test_the_code_is_a_parameter_of_a_grid_search():
    X, y = load_iris(return_X_y=True)
    network = SMAClassifier(width=2, scales=(1,), max_epochs=1, random_state=0)
    search = GridSearchCV(
        make_pipeline(LatencyEncoder(), network),
        {"latencyencoder__n_steps": [2, 4], "latencyencoder__code": ["linear", "log"]},
        cv=2,
        refit=False,
    )
    assert np.isfinite(search.fit(X, y).cv_results_["mean_test_score"]).all()
