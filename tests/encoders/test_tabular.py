import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from skspike import FrameEncoder
from skspike.datasets import make_moving_shapes
from skspike.encoders import LatencyEncoder, ToTabular

SHAPES = [(7,), (3, 4), (2, 5, 4), (3, 2, 5, 4)]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def numbers(*shape, dtype="float64"):
    return np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(dtype)


@each_shape
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64", "bool"])
def test_rows_hold_the_numbers_of_samples(shape, dtype):
    X = numbers(6, *shape, dtype=dtype)
    step = ToTabular().fit(X)
    table = step.transform(X)
    assert table.dtype == X.dtype
    np.testing.assert_array_equal(table, [sample.ravel() for sample in X])
    assert np.shares_memory(table, X)
    np.testing.assert_array_equal(step.inverse_transform(table), X)
    assert step.sample_shape_ == shape
    assert pickle.loads(pickle.dumps(step)).transform(X[:2]).shape == (2, np.prod(shape))


@pytest.mark.parametrize(
    ("shape", "letters"), [((3, 4), "tf"), ((2, 5, 4), "pyx"), ((3, 2, 5, 4), "tpyx")]
)
def test_columns_are_named_by_their_places(shape, letters):
    X = numbers(1, *shape)
    step = ToTabular().fit(X)
    names = step.get_feature_names_out()
    assert len(set(names)) == len(names)
    for name, value in zip(names, step.transform(X)[0], strict=True):
        parts = name.split("_")
        assert "".join(part[0] for part in parts) == letters
        assert X[(0, *(int(part[1:]) for part in parts))] == value


def test_frames_are_named_as_their_encoder_names_them():
    X, _ = make_moving_shapes(n_samples=3, sensor_size=(8, 9), random_state=0)
    pipeline = make_pipeline(FrameEncoder(n_bins=2), ToTabular()).set_output(transform="pandas")
    table = pipeline.fit_transform(X)
    assert table.columns.tolist() == pipeline.get_feature_names_out().tolist()
    assert table.columns.tolist() == pipeline[0].get_feature_names_out().tolist()
    assert table["t1_p1_y3_x7"].tolist() == pipeline[0].transform(X)[:, 1, 1, 3, 7].tolist()


def test_names_of_series_survive():
    X = pd.DataFrame(numbers(5, 2), columns=["left", "right"])
    pipeline = make_pipeline(LatencyEncoder(n_steps=3), ToTabular()).fit(X)
    assert pipeline.get_feature_names_out().tolist() == [
        f"t{t}_{name}" for t in range(3) for name in ("left", "right")
    ]
    assert pipeline.set_output(transform="pandas").transform(X).shape == (5, 6)


def test_tables_pass_through():
    X = pd.DataFrame(numbers(5, 2), columns=["a", "b"], index=[3, 1, 4, 0, 9])
    step = ToTabular().set_output(transform="pandas")
    pd.testing.assert_frame_equal(step.fit_transform(X), X)
    assert step.get_feature_names_out().tolist() == ["a", "b"]


def test_models_of_tables_follow():
    X, y = make_moving_shapes(n_samples=30, sensor_size=(8, 8), random_state=0)
    model = make_pipeline(
        FrameEncoder(n_bins=2), ToTabular(), PCA(5), RandomForestClassifier(5, random_state=0)
    )
    assert model.fit(X, y).score(X, y) > 0.8


@estimator_checks.parametrize_with_checks([ToTabular()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_scikit_learn_generates_its_whole_battery():
    assert len(list(estimator_checks.estimator_checks_generator(ToTabular()))) >= 40


def test_other_shapes_than_in_fit_raise():
    step = ToTabular().fit(numbers(4, 2, 3, 5))
    for shape in ((4, 2, 5, 3), (4, 30), (4, 1, 2, 3, 5)):
        with pytest.raises(ValueError, match=r"must have shape \(n_samples, 2, 3, 5\), as in fit"):
            step.transform(numbers(*shape))
    with pytest.raises(ValueError, match=r"inverse_transform must have 30 .* Got 29 inst"):
        step.inverse_transform(np.ones((4, 29)))
    assert step.transform(np.ones((1, 2, 3, 5))).shape == (1, 30)


@pytest.mark.parametrize("shape", [(2, 2, 2, 2, 2, 2), (2, 0, 3), (2, 3, 0, 2)])
def test_strange_shapes_raise(shape):
    with pytest.raises(ValueError, match=r"X of ToTabular must have one of the shapes|0 feature"):
        ToTabular().fit(np.ones(shape))


def test_recordings_need_an_encoder():
    X, _ = make_moving_shapes(n_samples=3, random_state=0)
    for events in (X, list(X)):
        with pytest.raises(TypeError, match="X of ToTabular must be an array: encode recordings"):
            ToTabular().fit(events)
