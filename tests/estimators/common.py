"""Small data and a quick estimator for the tests of this folder."""

from __future__ import annotations

import copy
import functools

import numpy as np

from skspike import SMAClassifier

SHAPES = {
    "table": (6,),
    "series": (5, 6),
    "images": (2, 9, 8),
    "frames": (5, 2, 9, 8),
}


def quick(**params) -> SMAClassifier:
    """Return an estimator that fits in a moment."""
    small = {"width": 4, "scales": (1, 3), "max_epochs": 2, "n_steps": 4, "random_state": 0}
    return SMAClassifier(**{**small, "device": "cpu", **params})


@functools.cache
def _fitted(kind: str) -> SMAClassifier:
    """Return an estimator trained long enough that its neurons fire and its answers differ."""
    settings = {"batch_size": 4, "max_epochs": 6, "lr": 0.01, "threshold": 0.5}
    return quick(**settings).fit(*samples(kind, n=40, n_classes=3))


def fitted(kind: str) -> tuple[SMAClassifier, np.ndarray]:
    """Return a copy of an estimator that tells three classes apart, and the samples it knows."""
    return copy.deepcopy(_fitted(kind)), samples(kind, n=40, n_classes=3)[0]


def samples(kind: str, n: int = 24, n_classes: int = 2, seed: int = 0):
    """Return samples of one kind, and labels that can be read from their mean."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    X = rng.random((n, *SHAPES[kind])) + y.reshape(-1, *[1] * len(SHAPES[kind]))
    return X.astype(np.float32), y


def recordings(n: int = 12, seed: int = 0):
    """Return recordings on a 6 x 5 sensor: events on the left for class 0, on the right for 1."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    events = []
    for label in y:
        k = rng.integers(30, 50)
        recording = np.empty(k, [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
        recording["x"] = rng.integers(0, 3, k) + 3 * label
        recording["y"] = rng.integers(0, 5, k)
        recording["t"] = np.sort(rng.integers(0, 10_000, k))
        recording["p"] = rng.integers(0, 2, k)
        events.append(recording)
    return events, y


def weights(classifier) -> list[np.ndarray]:
    """Return all parameters and buffers of the fitted network."""
    return [value.cpu().numpy().copy() for value in classifier.model_.state_dict().values()]


def assert_same_weights(a, b) -> None:
    """Compare two lists of arrays bit by bit."""
    assert len(a) == len(b)
    for left, right in zip(a, b, strict=True):
        np.testing.assert_array_equal(left, right)
