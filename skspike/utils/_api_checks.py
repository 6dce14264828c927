"""Checks of the contract with scikit-learn: parameters, fitting, state, persistence."""

from __future__ import annotations

import copy
import pickle

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state, get_tags

from ._harness import (
    METHODS,
    answers,
    assert_same_answers,
    fit,
    fresh,
    name_of,
    quietly,
    refuses,
    require,
)
from ._samples import make_collection, make_recordings


def check_parameters(estimator):
    """A copy has the same parameters, and a new estimator has nothing else."""
    name = name_of(estimator)
    params = estimator.get_params(deep=False)
    twin = clone(estimator)
    require(
        repr(twin.get_params(deep=False)) == repr(params),
        f"A clone of {name} has other parameters: {twin.get_params(deep=False)}.",
    )
    more = sorted(set(vars(twin)) - set(params) - {"_sklearn_output_config"})
    more = [key for key in more if not key.startswith("_metadata_request")]
    require(not more, f"{name}.__init__ sets {more}, which are no parameters.")
    require(
        twin.set_params(**params) is twin, f"{name}.set_params must return the estimator itself."
    )


def check_fit_sets_fitted_attributes(estimator):
    """`fit` returns the estimator, leaves parameters alone and sets names that end in ``_``."""
    name = name_of(estimator)
    X, y = make_collection()
    model = fresh(estimator)
    before = copy.copy(vars(model))
    early = [key for key in before if key.endswith("_") and not key.startswith("_")]
    require(not early, f"{name} has the fitted attributes {early} before fit.")
    params = repr(model.get_params())
    require(quietly(model.fit, X, y) is model, f"{name}.fit must return the estimator itself.")
    require(repr(model.get_params()) == params, f"{name}.fit changes parameters.")
    new = set(vars(model)) - set(before)
    wrong = sorted(key for key in new if not key.endswith("_") and not key.startswith("_"))
    require(not wrong, f"{name}.fit sets {wrong}, whose names do not end in '_'.")


def check_unfitted_estimator_says_so(estimator):
    """A method called before `fit` raises NotFittedError."""
    X, _ = make_collection()
    for method in METHODS:
        model = fresh(estimator)
        if not hasattr(model, method):
            continue
        try:
            quietly(getattr(model, method), X)
        except NotFittedError:
            continue
        except Exception as error:
            require(False, f"{method} before fit must raise NotFittedError. Got {error!r} instead.")
        require(False, f"{name_of(model)}.{method} before fit must raise NotFittedError.")


def check_fit_is_idempotent(estimator):
    """Fitting twice to the same recordings, or a new copy, gives the same answers."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    expected = answers(model, X)
    assert_same_answers(answers(fit(estimator, X, y), X), expected, "after a fit of a new copy")
    quietly(model.fit, X, y)
    assert_same_answers(answers(model, X), expected, "after a second fit")


def check_refit_starts_afresh(estimator):
    """What an earlier fit learned from other recordings is forgotten."""
    X, y = make_collection()
    others, y_others = make_recordings(6, seed=1)
    others = [recording[: len(recording) // 2] for recording in others]
    model = fresh(estimator)
    quietly(model.fit, others, y_others)
    quietly(model.fit, X, y)
    expected = answers(fit(estimator, X, y), X)
    assert_same_answers(answers(model, X), expected, "after a fit to other recordings")


def check_calls_leave_no_state(estimator):
    """An answer does not depend on what was asked before."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    expected = answers(model, X)
    answers(model, make_collection(5, seed=1)[0])
    assert_same_answers(answers(model, X), expected, "in a later call")


def check_pickle(estimator):
    """A pickled estimator gives the answers of the original."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    loaded = pickle.loads(pickle.dumps(model))
    assert_same_answers(answers(loaded, X), answers(model, X), "of a pickled copy")


def check_n_jobs(estimator):
    """Two jobs do what one does."""
    X, y = make_collection()
    expected = answers(fit(clone(estimator).set_params(n_jobs=1), X, y), X)
    got = answers(fit(clone(estimator).set_params(n_jobs=2), X, y), X)
    assert_same_answers(got, expected, "with n_jobs=2")


def check_global_random_state_is_left_alone(estimator):
    """An estimator with an int `random_state` neither reads nor changes numpy's global state."""
    X, y = make_collection()
    expected = answers(fit(estimator, X, y), X)
    generator = check_random_state(None)  # numpy's global one
    saved = generator.get_state()
    try:
        generator.seed(12345)
        before = generator.get_state()[1].copy(), generator.get_state()[2]
        got = answers(fit(estimator, X, y), X)
        after = generator.get_state()[1], generator.get_state()[2]
    finally:
        generator.set_state(saved)
    assert_same_answers(got, expected, "after numpy's global seed changed")
    untouched = np.array_equal(before[0], after[0]) and before[1] == after[1]
    require(untouched, f"{name_of(estimator)} draws from numpy's global random state.")


def check_tables_and_events_are_told_apart(estimator):
    """What was fitted to events refuses a table; what was fitted to a table refuses events."""
    name = name_of(estimator)
    X, y = make_collection()
    table = np.random.default_rng(0).normal(size=(len(X), 4))
    if not get_tags(estimator).input_tags.two_d_array:
        refused, _ = refuses(lambda: fresh(estimator).fit(table, y), "fit to a table")
        require(refused, f"{name}.fit must refuse a table.")
    else:
        _refuses_all(fit(estimator, table, y), X, "recordings after a fit to a table")
    _refuses_all(fit(estimator, X, y), table, "a table after a fit to recordings")


def _refuses_all(fitted, X, what: str) -> None:
    """Raise unless every method refuses `X`."""
    for method in METHODS:
        if hasattr(fitted, method):
            refused, _ = refuses(lambda m=method: getattr(fitted, m)(X), f"{method} of {what}")
            require(refused, f"{name_of(fitted)}.{method} must refuse {what}.")
