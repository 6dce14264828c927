"""Registration of operators."""

from __future__ import annotations

import pytest
import torch

from skspike.kernels._ops import define


@pytest.fixture(scope="module")
def twice():
    """Return an operator that has no gradient."""
    return define("test_twice", "(Tensor x) -> Tensor", lambda x: 2 * x, torch.empty_like)


def test_an_operator_runs_under_its_name(twice):
    x = torch.arange(3.0)
    assert torch.equal(twice(x), 2 * x)
    assert torch.equal(torch.ops.skspike.test_twice(x), 2 * x)
    assert twice(x.to("meta")).device.type == "meta"


def test_a_gradient_that_does_not_exist_is_refused_not_zero(twice):
    y = twice(torch.ones(3, requires_grad=True))
    message = "gradient of skspike::test_twice is not implemented"
    with pytest.raises(RuntimeError, match=message):
        y.sum().backward()
