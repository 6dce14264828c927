"""What the checks are made of: fitting, asking, comparing, and saying what is wrong."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.base import clone

from .._events import EventCollection
from ..exceptions import EventLossWarning

#: What an estimator is asked, where it has the method.
METHODS = ("transform", "predict", "predict_proba", "decision_function")
# Networks add up in float32, in an order that may depend on the size of a batch.
_ROUNDING = {"rtol": 1e-4, "atol": 1e-5}


class EventCheckError(AssertionError):
    """An estimator does not do what a check asks for."""


def require(condition: bool, message: str) -> None:
    """Raise unless the condition holds."""
    if not condition:
        raise EventCheckError(message)


def name_of(estimator) -> str:
    """Return the name of an estimator's class."""
    return type(estimator).__name__


def claims_of(estimator) -> frozenset[str]:
    """Return what an estimator says it can be held to."""
    declare = getattr(estimator, "__event_claims__", None)
    return frozenset(declare()) if declare is not None else frozenset()


def fresh(estimator):
    """Return an unfitted copy whose random numbers are seeded."""
    copy = clone(estimator)
    seeds = [name for name in copy.get_params() if re.search(r"(^|__)random_state$", name)]
    return copy.set_params(**dict.fromkeys(seeds, 0))


def fit(estimator, X, y):
    """Fit a seeded copy; lost events are not what is looked at."""
    return quietly(fresh(estimator).fit, X, y)


def quietly(call: Callable, *args):
    """Call without warnings of lost events."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EventLossWarning)
        return call(*args)


def count_lost(call: Callable, *args) -> tuple[object, int]:
    """Call; return the result and how many events its warnings say are left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*args)
    lost = 0
    for warning in caught:
        if issubclass(warning.category, EventLossWarning):
            found = re.search(r"\b\d+\b", str(warning.message))
            require(
                found is not None,
                "An EventLossWarning must name the number of events left out. "
                f"Got {str(warning.message)!r} instead.",
            )
            lost += int(found.group())
    return result, lost


def answers(estimator, X) -> dict[str, object]:
    """Ask a fitted estimator everything it can be asked."""
    return {
        method: quietly(getattr(estimator, method), X)
        for method in METHODS
        if hasattr(estimator, method)
    }


def assert_same_answers(got: dict, expected: dict, what: str) -> None:
    """Compare the answers of each method."""
    for method, value in expected.items():
        assert_same(got[method], value, f"{method} {what}")


def assert_same(got, expected, what: str) -> None:
    """Compare two outputs: events and labels exactly, numbers but for rounding where floats."""
    if isinstance(expected, EventCollection):
        require(
            isinstance(got, EventCollection) and len(got) == len(expected),
            f"{what}: got {got!r} instead of {expected!r}.",
        )
        for i, (a, b) in enumerate(zip(got, expected, strict=True)):
            require(np.array_equal(a, b), f"{what}: recording {i} has other events.")
        return
    got, expected = np.asarray(got), np.asarray(expected)
    require(
        got.dtype == expected.dtype and got.shape == expected.shape,
        f"{what}: got {got.dtype} of shape {got.shape} instead of {expected.dtype} of shape "
        f"{expected.shape}.",
    )
    if got.dtype.kind == "f":
        np.testing.assert_allclose(got, expected, **_ROUNDING, err_msg=what)
    else:
        np.testing.assert_array_equal(got, expected, err_msg=what)


def take(output, rows):
    """Select rows of an output, an array or a collection."""
    return output[rows] if isinstance(output, EventCollection) else np.asarray(output)[rows]


def in_order(output):
    """Return an output; recordings in order of time."""
    if not isinstance(output, EventCollection):
        return output
    recordings = [r[np.argsort(r["t"], kind="stable")] for r in output]
    return EventCollection(recordings, sensor_size=output.sensor_size)


def refuses(call: Callable, what: str) -> tuple[bool, object]:
    """Call; tell whether it refused with a ValueError or TypeError that says something."""
    try:
        return False, quietly(call)
    except (ValueError, TypeError) as error:
        require(bool(str(error).strip()), f"{what} must be refused with a message. Got {error!r}.")
        return True, None
    except Exception as error:
        raise EventCheckError(
            f"{what} must give an answer, or a ValueError or TypeError that says what is wrong. "
            f"Got {error!r} instead."
        ) from error


def must_refuse(estimator, X, y, good_X, what: str) -> None:
    """Raise unless fit, and every method after a good fit, refuse `X`."""
    refused, _ = refuses(lambda: fresh(estimator).fit(X, y), f"fit to {what}")
    require(refused, f"{name_of(estimator)}.fit must refuse {what}.")
    fitted = fit(estimator, good_X, y)
    for method in METHODS:
        if hasattr(fitted, method):
            refused, _ = refuses(lambda m=method: getattr(fitted, m)(X), f"{method} of {what}")
            require(refused, f"{name_of(estimator)}.{method} must refuse {what}.")
