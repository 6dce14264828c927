"""The shared checks: which values pass, and the one sentence for those that do not."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
import pytest

from skspike._validation import check_choice, check_number


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        (2.0, {}),
        (-math.inf, {}),
        (1, {"low": 1}),
        (5, {"high": 5}),
        (1, {"low": 1, "high": 5, "closed": "left"}),
        (5, {"low": 1, "high": 5, "closed": "right"}),
        (1.0001, {"low": 1, "closed": "neither"}),
        (np.float32(2.5), {"low": 1}),
        (Fraction(3, 2), {"low": 1}),
        (3, {"integer": True}),
        (np.int64(3), {"integer": True}),
    ],
)
def test_number_inside(value, arguments):
    check_number("LIF", "tau", value, **arguments)


@pytest.mark.parametrize(
    ("value", "closed", "interval"),
    [
        (0.999, "both", "[1.0, 5.0]"),
        (5.001, "both", "[1.0, 5.0]"),
        (5, "left", "[1.0, 5.0)"),
        (1, "right", "(1.0, 5.0]"),
        (1, "neither", "(1.0, 5.0)"),
        (5, "neither", "(1.0, 5.0)"),
        (math.nan, "both", "[1.0, 5.0]"),
        (math.inf, "both", "[1.0, 5.0]"),
    ],
)
def test_number_outside(value, closed, interval):
    message = (
        "The 'tau' parameter of LIF must be a float in the range "
        f"{interval}. Got {value!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_number("LIF", "tau", value, 1.0, 5.0, closed)


@pytest.mark.parametrize("value", ["2", None, True, [2.0], 2j, np.array([2.0])])
def test_not_a_number(value):
    message = (
        "The 'tau' parameter of LIF must be a float in the range "
        f"[-inf, inf]. Got {value!r} instead."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        check_number("LIF", "tau", value)


@pytest.mark.parametrize("value", [2.0, "2", True, np.float64(2), None])
def test_not_a_whole_number(value):
    message = (
        f"The 'n_bins' parameter of FrameEncoder must be an int in the range [1, inf]. "
        f"Got {value!r} instead."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        check_number("FrameEncoder", "n_bins", value, 1, integer=True)


def test_whole_number_outside():
    with pytest.raises(
        ValueError, match=r"must be an int in the range \[1, inf\]\. Got 0 instead\.$"
    ):
        check_number("FrameEncoder", "n_bins", 0, 1, integer=True)


@pytest.mark.parametrize("choices", [("time", "count"), {"time": 1, "count": 2}, {"count", "time"}])
def test_choice(choices):
    check_choice("FrameEncoder", "split", "time", choices)
    for value in ("Time", None, 1, ["time"]):
        message = (
            "The 'split' parameter of FrameEncoder must be one of ['count', 'time']. "
            f"Got {value!r} instead."
        )
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            check_choice("FrameEncoder", "split", value, choices)
