"""Checking X: events, frames, images, series or tables become one numeric array, sample first."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.utils import check_array

from .._encoded import EncodedRows
from .._events import as_event_collection, is_events
from .._memory import free_memory
from .._sklearn import validate_data
from ..encoders import FrameEncoder

__all__ = ["as_numeric", "check_X", "has_steps"]

_LAYOUTS = {
    2: "(n_samples, n_features)",
    3: "(n_samples, n_steps, n_features)",
    4: "(n_samples, n_channels, height, width)",
    5: "(n_samples, n_steps, n_channels, height, width)",
}
# encoded recordings that take less than this share of the free memory are kept in it
_SHARE = 1 / 4
_FLOAT32_MAX = np.finfo(np.float32).max


def has_steps(sample_shape: tuple[int, ...]) -> bool:
    """Tell whether samples of this shape have steps, as series and frames do."""
    return len(sample_shape) % 2 == 0


def check_X(estimator, X, *, reset: bool) -> np.ndarray | EncodedRows:
    """Return X as an array that the network can read, whatever it was given as.

    Recordings whose encoded rows would not fit into memory become rows that are encoded when they
    are used.

    With `reset`, learn what later calls are held to: the encoder of events, the shape of a sample,
    the number and names of features.
    """
    if is_events(X):
        X = _encode(estimator, X, reset)
    elif reset and hasattr(estimator, "encoder_"):
        del estimator.encoder_
    array = as_numeric(estimator, X.sample if isinstance(X, EncodedRows) else X)
    if not reset:
        _check_same_shape(estimator, array)
    checked = array if isinstance(X, EncodedRows) else X
    validate_data(estimator, checked, skip_check_array=True, ensure_2d=array.ndim == 2, reset=reset)
    if reset:
        _learn_shape(estimator, array.shape[1:])
    return X if isinstance(X, EncodedRows) else array


def _encode(estimator, X, reset: bool) -> np.ndarray | EncodedRows:
    """Turn recordings into frames with the encoder, fitted now or before."""
    events = as_event_collection(X, type(estimator).__name__)
    if not reset and not hasattr(estimator, "encoder_"):
        raise ValueError(
            f"X of {type(estimator).__name__} must be an array, as in fit. Got events instead."
        )
    if reset:
        encoder = estimator.encoder
        encoder = FrameEncoder(n_bins=estimator.n_steps) if encoder is None else clone(encoder)
        estimator.encoder_ = encoder.fit(events)
        events._release()
    in_blocks = events._is_mapped or estimator.cache is not None
    if len(events) == 0 or (len(events) <= estimator.batch_size and not in_blocks):
        return estimator.encoder_.transform(events)
    rows = EncodedRows(
        estimator.encoder_,
        events,
        owner=type(estimator).__name__,
        check=lambda rows: as_numeric(estimator, rows),
        cache=estimator.cache,
        n_jobs=effective_n_jobs(estimator.n_jobs),
    )
    if rows.nbytes > _memory_limit(estimator):
        return rows
    if not in_blocks:
        return estimator.encoder_.transform(events)
    with closing(rows):
        return rows.to_array()


def _memory_limit(estimator) -> float:
    """Return how many bytes encoded recordings may take at once."""
    limit = estimator.memory_limit
    return _SHARE * free_memory() if limit == "auto" else limit


def as_numeric(estimator, X) -> np.ndarray:
    """Return X as a finite numeric array of 2 to 5 axes, without a copy where possible."""
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        X = (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    X = check_array(X, allow_nd=True, input_name="X", estimator=estimator)
    if X.ndim not in _LAYOUTS or 0 in X.shape[1:]:
        layouts = ", ".join(_LAYOUTS.values())
        raise ValueError(
            f"X of {type(estimator).__name__} must have one of the shapes {layouts}, "
            f"without an empty axis. Got shape {X.shape} instead."
        )
    if X.dtype.itemsize > 4 and max(X.max(), -X.min()) > _FLOAT32_MAX:
        raise ValueError(
            f"X of {type(estimator).__name__} must fit into float32: it contains infinity "
            f"or a value too large. Got {max(X.max(), -X.min())} instead."
        )
    return X


def _check_same_shape(estimator, array: np.ndarray) -> None:
    """Raise unless samples have the shape of `fit`; tables are left to scikit-learn's own words."""
    expected = estimator.sample_shape_
    if array.shape[1:] != expected and not (array.ndim == 2 and len(expected) == 1):
        raise ValueError(
            f"X of {type(estimator).__name__} must have shape "
            f"({', '.join(map(str, ('n_samples', *expected)))}), as in fit. "
            f"Got shape {array.shape} instead."
        )


def _learn_shape(estimator, sample_shape: tuple[int, ...]) -> None:
    """Store the shape of a sample, the number of its steps and of the features of each step."""
    timed = has_steps(sample_shape)
    estimator.sample_shape_ = sample_shape
    estimator.n_steps_ = sample_shape[0] if timed else estimator.n_steps
    estimator.n_features_in_ = int(np.prod(sample_shape[1:] if timed else sample_shape))
