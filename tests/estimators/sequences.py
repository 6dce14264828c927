"""Small sequences, and estimators that fit them quickly."""

from __future__ import annotations

import numpy as np

from skspike import SpikingSSMClassifier

# Fewer epochs than by default: the battery trains again and again.
QUICK = {"width": 16, "n_layers": 1, "d_state": 4, "n_steps": 4, "max_epochs": 8}
OPTIONS = [
    {},
    {"bidirectional": True},
    {"norm": "batch"},
    {"norm": "batch", "norm_place": "after", "bidirectional": True, "trainable_input": True},
    {"readout": "max"},
    {"readout": "last"},
    {"block": "selective", "dt_max": 1.0},
    {"block": "selective", "bidirectional": True, "readout": "ends", "expand": 3},
    {"block": "selective", "residual": False, "mode": "fixed_point"},
    {"n_repeats": 2, "final_norm": True},
    {"patch_size": 3},
    {"mode": "fixed_point"},
    {"mode": "sdn"},
    {"standardize": False},
    {"standardize": False, "patch_size": 2},
]


def ragged(n: int = 24, n_features: int = 2, seed: int = 0):
    """Return sequences of 5 to 30 steps, and whether their beginning is high."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = [rng.normal(size=(rng.integers(5, 31), n_features)) for _ in y]
    for x, label in zip(X, y, strict=True):
        x[:4] += 3 * label
    return X, y


def objects(X) -> np.ndarray:
    """Return sequences as an array of objects."""
    array = np.empty(len(X), object)
    array[:] = X
    return array


def fit(kind=SpikingSSMClassifier, data=None, **params):
    """Return a small estimator that has learnt ragged sequences, or other data."""
    model = kind(**{**QUICK, "random_state": 0, **params})
    return model.fit(*(ragged() if data is None else data))
