from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from skspike.exceptions import EventLossWarning
from skspike.utils._harness import (
    EventCheckError,
    answers,
    assert_same,
    claims_of,
    count_lost,
    fresh,
    in_order,
    quietly,
    refuses,
    require,
    take,
)
from skspike.utils._samples import make_collection, shuffled
from tests.utils.planted import TinyClassifier, TinyEncoder, TinyFilter


def say(*messages):
    for message in messages:
        warnings.warn(message, EventLossWarning, stacklevel=2)
    return "done"


def test_require():
    require(True, "never")
    with pytest.raises(AssertionError, match="so it is"):
        require(False, "so it is")


def test_claims():
    assert claims_of(TinyEncoder()) == {"counts", "time_shift"}
    assert claims_of(RandomForestClassifier()) == frozenset()


def test_a_fresh_copy_is_seeded_to_the_bottom():
    model = make_pipeline(TinyEncoder(), RandomForestClassifier())
    assert fresh(model).get_params()["randomforestclassifier__random_state"] == 0
    assert model[-1].random_state is None


def test_losses_are_quiet_or_counted():
    assert quietly(say, "3 events") == "done"
    assert count_lost(say, "left out 3 of 7 events", "12 more") == ("done", 15)
    assert count_lost(say) == ("done", 0)
    assert count_lost(say, "Encoder2 lost 5") == ("done", 5)
    with pytest.raises(EventCheckError, match="must name the number of events left out"):
        count_lost(say, "some were lost")


def test_answers_are_those_of_the_methods_that_exist():
    X, y = make_collection()
    assert set(answers(TinyEncoder().fit(X), X)) == {"transform"}
    assert set(answers(TinyClassifier().fit(X, y), X)) == {"predict", "predict_proba"}


def test_outputs_are_compared():
    X, _ = make_collection(4)
    assert_same(X, X[[0, 1, 2, 3]], "equal")
    assert_same(np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-7]), "rounding")
    for got, expected in (
        (X[:3], X),
        (X[::-1], X),
        (list(X), X),
        (np.array([1.0, 2.0]), np.array([1.0, 2.1])),
        (np.array([1, 2]), np.array([1, 3])),
        (np.array([1, 2]), np.array([1.0, 2.0])),
        (np.ones((2, 1)), np.ones(2)),
        (np.array([np.nan]), np.array([1.0])),
        (np.array(["a"]), np.array(["b"])),
    ):
        with pytest.raises(AssertionError, match="what"):
            assert_same(got, expected, "what")


def test_rows_and_order():
    X, _ = make_collection(4)
    assert take(X, [2, 0]) == X[[2, 0]]
    assert take([5, 6, 7], [2, 0]).tolist() == [7, 5]
    mixed = TinyFilter().fit(X).transform(shuffled(X))
    assert in_order(mixed) == TinyFilter().fit(X).transform(X)
    assert in_order("labels") == "labels"


def test_a_refusal_has_a_type_and_a_message():
    def fail(error):
        raise error

    assert refuses(lambda: 3, "x") == (False, 3)
    assert refuses(lambda: fail(ValueError("no")), "x") == (True, None)
    assert refuses(lambda: fail(TypeError("no")), "x") == (True, None)
    for error in (IndexError("no"), ZeroDivisionError(), ValueError("")):
        with pytest.raises(EventCheckError, match="x must"):
            refuses(lambda e=error: fail(e), "x")
