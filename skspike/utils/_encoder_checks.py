"""Checks of transformers: encoders to arrays and filters to recordings."""

from __future__ import annotations

import math

import numpy as np
from sklearn.base import clone

from .._events import EventCollection
from ._harness import (
    assert_same,
    claims_of,
    count_lost,
    fit,
    fresh,
    name_of,
    quietly,
    refuses,
    require,
)
from ._samples import (
    SENSOR_SIZE,
    busy_pixel,
    empty,
    equal_times,
    make_collection,
    shuffled,
    single,
)

_DTYPES = ("float32", "float64", "uint8", "int16")


def check_one_output_for_each_recording(estimator):
    """`transform` returns a finite array with a row for each recording, or as many recordings."""
    X, y = make_collection()
    output = quietly(fit(estimator, X, y).transform, X)
    is_output = isinstance(output, np.ndarray | EventCollection)
    require(
        is_output,
        f"{name_of(estimator)}.transform must return an ndarray or an EventCollection. "
        f"Got {type(output)} instead.",
    )
    require(
        len(output) == len(X),
        f"{name_of(estimator)}.transform must return one output for each of {len(X)} recordings. "
        f"Got {len(output)} instead.",
    )
    if isinstance(output, np.ndarray) and output.dtype.kind == "f":
        require(
            np.isfinite(output).all(), f"{name_of(estimator)}.transform must return finite numbers."
        )


def check_fit_transform(estimator):
    """`fit_transform` does what `fit` and then `transform` do."""
    X, y = make_collection()
    expected = quietly(fit(estimator, X, y).transform, X)
    got = quietly(fresh(estimator).fit_transform, X, y)
    assert_same(got, expected, "fit_transform, compared with fit and transform,")


def check_dtype(estimator):
    """The output has the dtype that the parameter `dtype` names; another may be refused by fit."""
    X, y = make_collection()
    for dtype in dict.fromkeys((clone(estimator).dtype, *_DTYPES)):
        model = fresh(estimator).set_params(dtype=dtype)
        refused, _ = refuses(lambda m=model: m.fit(X, y), f"fit with dtype={dtype!r}")
        if not refused:
            output = quietly(model.transform, X)
            require(
                output.dtype == np.dtype(dtype),
                f"{name_of(estimator)}.transform with dtype={dtype!r} must return it. "
                f"Got {output.dtype} instead.",
            )


def check_feature_names(estimator):
    """There is a name, and no name twice, for each number of a recording's flattened output."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    output = quietly(model.transform, X)
    if isinstance(output, EventCollection):
        return  # recordings have no features
    names = np.asarray(model.get_feature_names_out())
    n_values = math.prod(output.shape[1:])
    require(
        names.shape == (n_values,) and len(set(names.tolist())) == n_values,
        f"{name_of(estimator)}.get_feature_names_out must return {n_values} different names. "
        f"Got {len(set(names.ravel().tolist()))} in an array of shape {names.shape} instead.",
    )


def check_no_event_is_lost_silently(estimator):
    """The output of a recording sums up to its events, less those that a warning counts."""
    ordinary, y = make_collection()
    model = fit(estimator, ordinary, y)
    hard = [equal_times(), single(), empty(), busy_pixel()]
    for X in (ordinary, shuffled(ordinary), *([recording] for recording in hard)):
        X = EventCollection(list(X), sensor_size=SENSOR_SIZE)
        _adds_up(model, X)


def _adds_up(model, X: EventCollection) -> None:
    """Raise unless outputs and warned losses sum up to what the recordings hold."""
    output, lost = count_lost(model.transform, X)
    sums = output.reshape(len(X), -1).sum(axis=1, dtype=np.float64)
    signed = "signed_counts" in claims_of(model)
    expected = np.array([2 * int(r["p"].sum()) - len(r) if signed else len(r) for r in X])
    if lost:
        # which events the warning means is not known: all together must fit
        gap = np.abs(expected.sum() - sums.sum())
        require(
            gap <= lost * (1 + 1e-6) if signed else math.isclose(gap, lost, rel_tol=1e-6),
            f"{name_of(model)}.transform leaves out {gap:g} of {expected.sum()} events, "
            f"and warns of {lost}.",
        )
        return
    wrong = np.flatnonzero(np.abs(sums - expected) > 1e-5 * np.maximum(np.abs(expected), 1))
    if wrong.size:
        i = wrong[0]
        what = "brighter less darker events" if signed else "events"
        require(
            False,
            f"{name_of(model)}.transform must sum up to {expected[i]}, the {what} of "
            f"recording {i} of {len(X)}, or warn of a loss. Got {sums[i]:g} without a warning.",
        )


def check_only_events_of_the_input(estimator):
    """A filter returns events of the recording itself, each at most as often. If claimed."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    for i, (before, after) in enumerate(zip(X, quietly(model.transform, X), strict=True)):
        events, counts = np.unique(after, return_counts=True)
        stock = dict(
            zip(*map(np.ndarray.tolist, np.unique(before, return_counts=True)), strict=True)
        )
        more = [e for e, n in zip(events.tolist(), counts, strict=True) if n > stock.get(e, 0)]
        require(not more, f"{name_of(model)}.transform adds the event {more[:1]} to recording {i}.")
