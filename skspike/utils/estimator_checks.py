"""Checks that any estimator of event recordings can be run through, in scikit-learn's manner.

scikit-learn's own battery knows tables alone: of an estimator that takes recordings it runs a
single check. These take its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sklearn.base import is_classifier
from sklearn.utils import get_tags

from . import _api_checks, _encoder_checks, _input_checks, _model_checks
from ._harness import claims_of

__all__ = ["check_event_estimator", "event_checks_generator", "parametrize_with_event_checks"]


def event_checks_generator(estimator) -> Iterator[Callable]:
    """Yield the checks that apply to an estimator of recordings.

    Parameters
    ----------
    estimator : estimator object
        A transformer or classifier whose `X` are recordings. It is not changed.

    Yields
    ------
    check : callable
        Takes the estimator; raises an ``AssertionError`` if it fails. Its ``__name__`` is the name
        of the check.

    Examples
    --------
    >>> from skspike import FrameEncoder
    >>> from skspike.utils.estimator_checks import event_checks_generator
    >>> next(event_checks_generator(FrameEncoder())).__name__
    'check_parameters'
    """
    params = estimator.get_params(deep=False)
    claims = claims_of(estimator)
    yield _api_checks.check_parameters
    yield _api_checks.check_fit_sets_fitted_attributes
    if get_tags(estimator).requires_fit:
        yield _api_checks.check_unfitted_estimator_says_so
    yield _api_checks.check_fit_is_idempotent
    yield _api_checks.check_refit_starts_afresh
    yield _api_checks.check_calls_leave_no_state
    yield _api_checks.check_pickle
    if "n_jobs" in params:
        yield _api_checks.check_n_jobs
    yield _api_checks.check_global_random_state_is_left_alone
    yield _api_checks.check_tables_and_events_are_told_apart
    yield _input_checks.check_kinds_of_input
    yield _input_checks.check_fields_of_other_types
    yield _input_checks.check_read_only_and_mapped_input
    yield _input_checks.check_input_is_unchanged
    yield _input_checks.check_subset_invariance
    yield _input_checks.check_order_invariance
    yield _input_checks.check_events_out_of_order
    yield _input_checks.check_equal_times
    yield _input_checks.check_single_event
    yield _input_checks.check_empty_recording
    yield _input_checks.check_empty_collection
    yield _input_checks.check_wrong_fields_are_refused
    yield _input_checks.check_nan_is_refused
    yield _input_checks.check_events_off_the_sensor_are_told
    yield _input_checks.check_sensor_size_is_that_of_fit
    if "time_shift" in claims:
        yield _input_checks.check_time_shift
    if hasattr(estimator, "transform"):
        yield from _transformer_checks(estimator, params, claims)
    if is_classifier(estimator):
        yield from _classifier_checks(estimator)
    yield _model_checks.check_pipeline
    yield _model_checks.check_cross_validation
    yield _model_checks.check_grid_search


def _transformer_checks(estimator, params: dict, claims: frozenset) -> Iterator[Callable]:
    """Yield the checks of encoders and filters."""
    yield _encoder_checks.check_one_output_for_each_recording
    yield _encoder_checks.check_fit_transform
    if "dtype" in params:
        yield _encoder_checks.check_dtype
    if hasattr(estimator, "get_feature_names_out"):
        yield _encoder_checks.check_feature_names
    if claims & {"counts", "signed_counts"}:
        yield _encoder_checks.check_no_event_is_lost_silently
    if "subset" in claims:
        yield _encoder_checks.check_only_events_of_the_input


def _classifier_checks(estimator) -> Iterator[Callable]:
    """Yield the checks of classifiers."""
    yield _model_checks.check_labels
    if hasattr(estimator, "predict_proba"):
        yield _model_checks.check_probabilities
    yield _model_checks.check_lengths_of_X_and_y
    yield _model_checks.check_one_class_is_answered_or_refused


def check_event_estimator(estimator, *, expected_failed_checks=None, on_fail="raise"):
    """Check that an estimator of recordings keeps to the conventions.

    Parameters
    ----------
    estimator : estimator object
        A transformer or classifier whose `X` are recordings. It is not changed.
    expected_failed_checks : dict of str to str, default=None
        Names of the checks that may fail, each with the reason.
    on_fail : {"raise"} or None, default="raise"
        Whether the first check that fails, and was not expected to, ends the run with its error.

    Returns
    -------
    results : list of dict
        For each check its ``"check_name"``, its ``"status"`` ("passed", "failed" or "xfail", which
        is a failure that was expected), and the ``"exception"``, None if it passed.

    Raises
    ------
    AssertionError
        With ``on_fail="raise"``, if a check fails; what the estimator itself raises is passed on.

    See Also
    --------
    parametrize_with_event_checks : The same as one test of pytest for each check.

    Notes
    -----
    An estimator declares what it can be held to by a method ``__event_claims__`` that returns a set
    of names:

    ``"counts"``
        the output of a recording sums up to the number of its events;
    ``"signed_counts"``
        it sums up to the number of brighter less that of darker events;
    ``"time_shift"``
        recordings that begin later have the same output (of a filter: with events that much later);
    ``"subset"``
        a filter returns events of its input, unchanged.

    Where an output that claims counts leaves events out, an
    :class:`~skspike.exceptions.EventLossWarning` must say so, the first number in its text being
    how many.

    The recordings of the checks come from a sensor of 16 × 12 pixels and last 50 ms.

    Examples
    --------
    >>> from skspike import FrameEncoder
    >>> from skspike.utils.estimator_checks import check_event_estimator
    >>> results = check_event_estimator(FrameEncoder(n_bins=2))
    >>> {result["status"] for result in results}
    {'passed'}
    """
    results = []
    for check in event_checks_generator(estimator):
        expected = check.__name__ in (expected_failed_checks or {})
        result = {"check_name": check.__name__, "status": "passed", "exception": None}
        try:
            check(estimator)
        except Exception as error:
            if on_fail == "raise" and not expected:
                raise
            result.update(status="xfail" if expected else "failed", exception=error)
        results.append(result)
    return results


def parametrize_with_event_checks(estimators, *, expected_failed_checks=None):
    """Decorate a test of pytest: it runs once for each check of each estimator.

    Parameters
    ----------
    estimators : list of estimator objects
        Transformers and classifiers whose `X` are recordings.
    expected_failed_checks : callable, default=None
        Takes an estimator; returns a dict from the names of checks that may fail to the reasons.
        Those tests are marked ``xfail``.

    Returns
    -------
    decorator : pytest.mark.parametrize
        For a test with the arguments ``estimator`` and ``check``.

    See Also
    --------
    check_event_estimator : The same without pytest.

    Examples
    --------
    >>> from skspike import FrameEncoder
    >>> from skspike.utils.estimator_checks import parametrize_with_event_checks
    >>> @parametrize_with_event_checks([FrameEncoder(), FrameEncoder(values="binary")])
    ... def test_event_conventions(estimator, check):
    ...     check(estimator)
    """
    import pytest  # an extra: the package itself does without

    cases = []
    for estimator in estimators:
        reasons = expected_failed_checks(estimator) if expected_failed_checks else {}
        for check in event_checks_generator(estimator):
            reason = (reasons or {}).get(check.__name__)
            marks = () if reason is None else pytest.mark.xfail(reason=reason)
            # without addresses: pytest-xdist wants the same names in every process
            name = re.sub(r" at 0x[0-9a-f]+", "", re.sub(r"\s+", " ", str(estimator)))
            case = pytest.param(estimator, check, marks=marks, id=f"{name}-{check.__name__}")
            cases.append(case)
    return pytest.mark.parametrize(("estimator", "check"), cases)
