"""State space models step by step: laws of the reference, and what is refused."""

from __future__ import annotations

import re

import pytest
import torch

from skspike.kernels import linear_scan, ssm_conv, ssm_kernel
from tests.kernels.states import modes, numbers

by_backend = pytest.mark.parametrize("backend", ["reference"])


# --- laws ---


@pytest.mark.parametrize("n_steps", [1, 2, 3, 17, 100, 1000])
@by_backend
def test_it_is_the_convolution_with_the_impulse_response(backend, n_steps):
    x, a, c = numbers(n_steps, 2, 3), modes(3, 4), numbers(3, 4, dtype=torch.complex128)
    y, _ = linear_scan(x, a.exp(), c, backend=backend)
    expected = ssm_conv(x, ssm_kernel(a, c, n_steps, backend="reference"), backend="reference")
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("split", [1, 7, 64, 99])
@by_backend
def test_two_parts_give_what_the_whole_gives(backend, split):
    x, decay = numbers(100, 2, 3), modes(3, 4).exp()
    c, state = (numbers(*shape, 4, dtype=torch.complex128) for shape in ((3,), (2, 3)))
    y, last = linear_scan(x, decay, c, state, backend=backend)
    first, between = linear_scan(x[:split], decay, c, state, backend=backend)
    second, end = linear_scan(x[split:], decay, c, between, backend=backend)
    assert torch.equal(torch.cat([first, second]), y)
    assert torch.equal(end, last)


@by_backend
def test_a_state_decays_without_input(backend):
    decay, c = modes(3, 4).exp(), numbers(3, 4, dtype=torch.complex128)
    state = numbers(2, 3, 4, dtype=torch.complex128, seed=1)
    zero = torch.zeros(9, 2, 3, dtype=torch.float64)
    y, last = linear_scan(zero, decay, c, state, backend=backend)
    torch.testing.assert_close(last, decay**9 * state, rtol=0, atol=1e-13)
    torch.testing.assert_close(y[8], 2 * (c * last).sum(-1).real, rtol=0, atol=1e-13)


@by_backend
def test_gradients_equal_finite_differences(backend):
    x, decay = numbers(5, 2, 3), modes(3, 2).exp()
    c, state = (numbers(*shape, 2, dtype=torch.complex128) for shape in ((3,), (2, 3)))
    inputs = [a.requires_grad_() for a in (x, decay, c, state)]
    assert torch.autograd.gradcheck(lambda *args: linear_scan(*args, backend=backend), inputs)


def test_sixteen_bits_are_computed_in_float32():
    x, decay = numbers(9, 2, 3, dtype=torch.bfloat16), modes(3, 4, torch.complex64).exp()
    y, state = linear_scan(x, decay, decay)
    assert (y.dtype, state.dtype) == (torch.bfloat16, torch.complex64)
    expected, last = linear_scan(x.float(), decay, decay)
    assert torch.equal(y, expected.bfloat16())
    assert torch.equal(state, last)


# --- what is refused ---

X, D = torch.zeros(4, 2, 3), torch.zeros(3, 5, dtype=torch.complex64)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X.long(), D, D), TypeError, "The 'x' parameter of linear_scan must be a floating point"),
        ((X[0], D, D), ValueError, "The 'x' parameter of linear_scan must have shape (n_steps, n_"),
        ((X, D.real, D), TypeError, "The 'decay' parameter of linear_scan must be a complex64 or"),
        (
            (X.double(), D, D),
            ValueError,
            "The 'decay' parameter of linear_scan must be torch.complex128 of shape (3, n_modes) "
            "to go with x. Got torch.complex64 (3, 5) instead.",
        ),
        ((X, D[:2], D[:2]), ValueError, "of shape (3, n_modes) to go with x. Got torch.complex64 "),
        ((X, D, D[:, :2]), ValueError, "The 'c' parameter of linear_scan must have the dtype and "),
        (
            (X, D, D, D),
            ValueError,
            "The 'state' parameter of linear_scan must be torch.complex64 of shape (2, 3, 5). "
            "Got torch.complex64 (3, 5) instead.",
        ),
        ((X, D, D, 0), ValueError, "of shape (2, 3, 5). Got 0 instead."),
    ],
)
def test_arguments_that_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        linear_scan(*arguments)
