import re

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from skspike import FrameEncoder
from skspike.datasets import make_moving_shapes


@pytest.mark.parametrize("target", ["shape", "direction"])
def test_recordings_carry_the_class(target):
    X, y = make_moving_shapes(n_samples=200, target=target, random_state=0)
    frames = FrameEncoder(n_bins=3, values="signed", downsample=2).fit_transform(X)
    images = np.abs(np.fft.fft2(frames)) if target == "shape" else frames  # places vary
    scores = cross_val_score(LogisticRegression(max_iter=1000), images.reshape(200, -1), y, cv=3)
    assert scores.mean() > 0.9


@pytest.mark.parametrize(("direction", "axis", "sign"), [(0, "x", 1), (1, "y", 1), (2, "x", -1)])
def test_direction_is_where_the_shape_goes(direction, axis, sign):
    X, y = make_moving_shapes(n_samples=20, target="direction", noise=0, random_state=0)
    for recording in X[y == direction]:
        early, late = np.array_split(recording[axis].astype(float), 2)
        assert sign * (late.mean() - early.mean()) > 2


@pytest.mark.parametrize("target", ["shape", "direction"])
def test_classes_are_balanced_and_mixed(target):
    _, y = make_moving_shapes(
        n_samples=42, shapes=("ring", "bar", "disc", "square"), target=target, random_state=0
    )
    assert np.ptp(np.bincount(y, minlength=4)) <= 1
    assert (np.diff(y) < 0).any()


@pytest.mark.parametrize("sensor_size", [(8, 8), (48, 20), (128, 128)])
def test_sensors_of_any_size_see_the_whole_shape(sensor_size):
    X, _ = make_moving_shapes(n_samples=4, sensor_size=sensor_size, noise=0, random_state=0)
    assert X.sensor_size == sensor_size
    assert X.lengths.min() > 10
    for recording in X:
        assert (np.diff(recording["t"]) >= 0).all()
        assert recording["t"][-1] < 100_000


def test_duration_stretches_time():
    slow, _ = make_moving_shapes(n_samples=3, duration=10**6, noise=0, random_state=0)
    fast, _ = make_moving_shapes(n_samples=3, duration=10**5, noise=0, random_state=0)
    assert (slow.lengths == fast.lengths).all()
    np.testing.assert_allclose(slow.events["t"], 10 * fast.events["t"], atol=10)


def test_random_state_decides_and_global_generators_rest():
    state = np.random.mtrand._rand.get_state()[1].copy()
    (X, y), (X2, y2), (X3, _) = (make_moving_shapes(5, random_state=s) for s in (3, 3, 4))
    assert X == X2
    assert (y == y2).all()
    assert X != X3
    assert make_moving_shapes(5)[0] != make_moving_shapes(5)[0]
    assert (np.random.mtrand._rand.get_state()[1] == state).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "'n_samples' parameter of make_moving_shapes must be an int"),
        ({"sensor_size": (7, 9)}, "'sensor_size' parameter of make_moving_shapes must be an int"),
        ({"shapes": ("bar", "star")}, "'shapes' parameter of make_moving_shapes must be one of"),
        ({"shapes": ()}, "'shapes' parameter of make_moving_shapes must be one of"),
        ({"n_directions": 0}, "'n_directions' parameter of make_moving_shapes must be an int"),
        ({"target": "size"}, "'target' parameter of make_moving_shapes must be one of"),
        ({"duration": 0}, "'duration' parameter of make_moving_shapes must be an int"),
        ({"contrast": 0.0}, "'contrast' parameter of make_moving_shapes must be a float"),
        ({"noise": -1.0}, "'noise' parameter of make_moving_shapes must be a float"),
    ],
)
def test_wrong_parameters_raise(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_moving_shapes(**parameters)
