"""Checking X of estimators that read sequences of any length, beside all that others read."""

from __future__ import annotations

import numpy as np
import torch

from .._encoded import EncodedRows
from .._events import is_events
from .._sklearn import validate_data
from ._input import as_numeric, check_X
from ._sequences import Sequences, are_sequences, patch

__all__ = ["ANY_LENGTH", "check_sequences", "standardize"]

ANY_LENGTH = "n_steps"  # stands in `sample_shape_` for a number that differs between samples


def check_sequences(estimator, X, *, reset: bool) -> np.ndarray | EncodedRows | Sequences:
    """Return X as numbers; series may be of any length, and of different ones as a list of arrays.

    With `reset`, learn what later calls are held to; see :func:`check_X`.
    """
    if is_events(X):
        return check_X(estimator, X, reset=reset)
    series = _as_series(estimator, X)
    if series is None:
        return check_X(estimator, X, reset=reset)
    width = () if estimator.n_tokens is not None else series_width(series)
    if reset:
        if hasattr(estimator, "encoder_"):
            del estimator.encoder_
        estimator.sample_shape_ = (ANY_LENGTH, *width)
        estimator.n_steps_ = None
    elif estimator.sample_shape_ != (ANY_LENGTH, *width):
        expected = ", ".join(map(str, ("n_samples", *estimator.sample_shape_)))
        raise ValueError(
            f"X of {type(estimator).__name__} must have shape ({expected}), as in fit. Got series "
            f"of {' × '.join(map(str, width)) or 'no'} features instead."
        )
    names = np.empty((len(series), 1))  # series have no names of columns
    validate_data(estimator, names, skip_check_array=True, ensure_2d=False, reset=reset)
    if reset:
        estimator.n_features_in_ = int(np.prod(width))
    return series


def series_width(series: np.ndarray | Sequences) -> tuple[int, ...]:
    """Return the shape of one step."""
    return (series.flat.shape if isinstance(series, Sequences) else series.shape[1:])[1:]


def standardize(X, mean: np.ndarray, scale: np.ndarray):
    """Return series or a table with a mean of 0 and a deviation of 1, in the precision of X."""
    if isinstance(X, Sequences):
        return Sequences(standardize(X.flat, mean, scale), X.offsets)
    dtype = np.float64 if X.dtype == np.float64 else np.float32
    return ((X - mean) / scale).astype(dtype, copy=False)


def patched(X, size: int):
    """Join `size` steps of series at a time to one."""
    return X.patched(size) if isinstance(X, Sequences) else patch(X, size) if size > 1 else X


def _as_series(estimator, X) -> np.ndarray | Sequences | None:
    """Return X as an array of series, or as series of different lengths; None if it is neither."""
    if are_sequences(X):
        series = _join(estimator, X)
    elif estimator.n_tokens is None and getattr(X, "ndim", 3) != 3:
        return None  # without a look at its values, which `check_X` takes
    else:
        series = as_numeric(estimator, X)
        if estimator.n_tokens is None and series.ndim != 3:
            return None
    return series if estimator.n_tokens is None else _as_tokens(estimator, series)


def _join(estimator, X) -> Sequences:
    """Return a list of arrays as sequences, or raise at the first that is none."""
    name, parts = type(estimator).__name__, []
    for i, part in enumerate(X):
        part = part.detach().cpu().numpy() if isinstance(part, torch.Tensor) else part
        part = part[:, None] if part.ndim == 1 else part
        first = parts[0] if parts else part
        if part.ndim != 2 or 0 in part.shape or part.dtype.kind not in "biuf":
            raise ValueError(
                f"Sequences of X of {name} must be numbers of shape (n_steps,) or (n_steps, "
                f"n_features) with at least one step. Number {i} has shape {X[i].shape} and dtype "
                f"{X[i].dtype} instead."
            )
        if part.shape[1] != first.shape[1]:
            raise ValueError(
                f"Sequences of X of {name} must have the same number of features. Number {i} has "
                f"{part.shape[1]}, number 0 has {first.shape[1]}."
            )
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            raise ValueError(f"Input X contains NaN or infinity: sequence {i} of {name}.")
        parts.append(part)
    return Sequences.join(parts)


def _as_tokens(estimator, series: np.ndarray | Sequences) -> np.ndarray | Sequences:
    """Return series of one whole number a step as tokens, without the axis of features."""
    values = series.flat if isinstance(series, Sequences) else series
    owner, n_tokens = type(estimator).__name__, estimator.n_tokens
    if isinstance(series, Sequences) or series.ndim == 3:
        if values.shape[-1] != 1:
            raise ValueError(
                f"X of {owner} with n_tokens={n_tokens} must have one token a step. Got "
                f"{values.shape[-1]} numbers instead."
            )
        values = values[..., 0]
    elif values.ndim != 2:
        raise ValueError(
            f"X of {owner} with n_tokens={n_tokens} must have shape (n_samples, n_steps). "
            f"Got shape {values.shape} instead."
        )
    if values.size and not (0 <= values.min() <= values.max() < n_tokens):
        raise ValueError(
            f"Tokens of X of {owner} must be in [0, {n_tokens}). "
            f"Got {values.min()} to {values.max()} instead."
        )
    tokens = values.astype(np.int64)
    if not np.array_equal(tokens, values):
        raise ValueError(f"Tokens of X of {owner} must be whole numbers. Got fractions instead.")
    return Sequences(tokens, series.offsets) if isinstance(series, Sequences) else tokens
