import re

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score

from skspike.datasets import make_pathfinder_like

SIZES = [(16, 200), (32, 200), (128, 6)]


@pytest.fixture(scope="module", params=SIZES, ids=lambda p: f"size{p[0]}")
def images(request):
    size, n_samples = request.param
    X, y = make_pathfinder_like(n_samples, size=size, random_state=0)
    assert X.shape == (n_samples, size * size, 1)
    assert X.dtype == np.float32
    return X.reshape(n_samples, size, size), y


def link(pixels, step):
    """Number the groups of pixels that steps of so many rows and columns link."""
    return connected_components(cdist(pixels, pixels, "chebyshev") <= step)


def find_dots(image):
    """Return the pixels in the middle of the dots."""
    pixels = np.argwhere(image == 1)
    n_dots, dot = link(pixels, 1)
    assert n_dots == 2
    return [np.rint(pixels[dot == k].mean(axis=0)) for k in range(2)]


def test_tracing_the_curves_tells_the_class(images):
    for image, label in zip(*images, strict=True):
        pixels = np.argwhere(image)
        n_curves, curve = link(pixels, 2)
        assert n_curves == 2 + len(image) // 10
        first, second = (curve[(pixels == dot).all(axis=1)] for dot in find_dots(image))
        assert (first == second) == (label == 1)
        assert link(pixels, 1)[0] > n_curves  # they are dashed


def test_classes_are_balanced_and_mixed(images):
    _, y = images
    assert abs(y.mean() - 0.5) < 0.01
    assert (np.diff(y) < 0).any()


def test_the_dots_are_as_far_apart_in_both_classes():
    for size in (16, 32):
        X, y = make_pathfinder_like(400, size=size, random_state=1)
        dots = map(find_dots, X.reshape(-1, size, size))
        distance = [np.hypot(*(first - second)) for first, second in dots]
        assert abs(roc_auc_score(y, distance) - 0.5) < 0.08


@pytest.mark.parametrize("size", [16, 32])
def test_neither_pixels_nor_local_statistics_tell_the_class(size):
    X, y = make_pathfinder_like(800, size=size, random_state=0)
    patches = np.lib.stride_tricks.sliding_window_view(X.reshape(-1, size, size), (3, 3), (1, 2))
    patterns = (patches.reshape(800, -1, 9) > 0) @ 2 ** np.arange(9)
    histograms = np.stack([np.bincount(p, minlength=512) for p in patterns])
    for features in (X[:, :, 0], np.log1p(histograms)):
        model = LogisticRegression(C=0.001, max_iter=500)
        assert abs(cross_val_score(model, features, y, cv=5).mean() - 0.5) < 0.06


def test_every_long_curve_has_its_dashes():
    X, _ = make_pathfinder_like(20, size=64, n_dashes=7, n_distractors=0, random_state=0)
    for image in X.reshape(-1, 64, 64):
        pixels = np.argwhere(image)
        n_curves, curve = link(pixels, 2)
        assert n_curves == 2
        for k in range(2):
            extent = np.ptp(pixels[curve == k], axis=0)
            assert 10 < np.hypot(*extent) < 7 * 4 + 4


def test_random_state_decides_and_global_generators_rest():
    state = np.random.mtrand._rand.get_state()[1].copy()
    (X, y), (X2, y2), (X3, _) = (make_pathfinder_like(5, random_state=s) for s in (3, 3, 4))
    assert (X == X2).all()
    assert (y == y2).all()
    assert (X != X3).any()
    assert (np.random.mtrand._rand.get_state()[1] == state).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "'n_samples' parameter of make_pathfinder_like must be an int"),
        ({"size": 15}, "'size' parameter of make_pathfinder_like must be an int in the range [16"),
        ({"n_dashes": 2}, "'n_dashes' parameter of make_pathfinder_like must be an int"),
        ({"n_distractors": -1}, "'n_distractors' parameter of make_pathfinder_like must be"),
        (
            {"n_samples": 2, "size": 16, "n_dashes": 9},
            "must fit into an image of 16 × 16 pixels. Got 9 dashes and",
        ),
    ],
)
def test_wrong_parameters_raise(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_pathfinder_like(**parameters)
