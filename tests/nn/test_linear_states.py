"""What layers with linear states share."""

import math
import re

import pytest
import torch

from skspike.nn._linear_states import check_causal, check_channels, draw_logarithms


def test_logarithms_are_uniform_between_the_ends():
    torch.manual_seed(0)
    logs = draw_logarithms("Layer", 10_000, low=0.01, high=1.0).sort().values
    expected = torch.linspace(math.log(0.01), 0.0, 10_000)
    torch.testing.assert_close(logs, expected, rtol=0, atol=0.06)
    assert expected[0] <= logs[0]
    assert logs[-1] <= expected[-1]


def test_ends_may_be_equal():
    assert draw_logarithms("Layer", 3, low=0.5, high=0.5).exp().tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("name", "ends", "wanted"),
    [
        ("low", {"low": 0, "high": 1}, "a float in the range (0.0, inf)"),
        ("low", {"low": math.nan, "high": 1}, "a float in the range (0.0, inf)"),
        ("high", {"low": 0.5, "high": 0.4}, "a float in the range [0.5, inf)"),
        ("high", {"low": 0.5, "high": math.inf}, "a float in the range [0.5, inf)"),
    ],
)
def test_ends_that_are_none(name, ends, wanted):
    message = f"The '{name}' parameter of Layer must be {wanted}. Got {ends[name]!r} instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        draw_logarithms("Layer", 3, **ends)


def test_states_from_both_ends_do_not_stream():
    check_causal("Layer", False)
    message = "The 'bidirectional' parameter of Layer must be False to stream. Got True instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        check_causal("Layer", True)


@pytest.mark.parametrize("shape", [(7, 2, 4), (7, 5), (7, 2, 5, 1)])
def test_channels_that_do_not_fit(shape):
    check_channels("Layer", torch.zeros(7, 2, 5), 5)
    message = f"The input of Layer must have shape (n_steps, n_samples, 5). Got {shape} instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        check_channels("Layer", torch.zeros(shape), 5)
