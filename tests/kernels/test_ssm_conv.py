"""Convolutions over time: laws, the operator of torch, and what is refused."""

from __future__ import annotations

import re

import pytest
import torch

from skspike.exceptions import BackendError
from skspike.kernels import ssm_conv
from skspike.kernels._ssm_conv import conv_backward, conv_forward
from tests.kernels.states import numbers, with_gradients

by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])
by_direction = pytest.mark.parametrize("both", [False, True], ids=["causal", "both"])


def direct(x, kernel, reverse=None):
    """Return the sums as they are defined."""
    y = torch.zeros_like(x)
    for t in range(len(x)):
        for j in range(min(t + 1, len(kernel))):
            y[t] += kernel[j] * x[t - j]
        for j in range(0 if reverse is None else min(len(x) - t - 1, len(reverse))):
            y[t] += reverse[j] * x[t + 1 + j]
    return y


# --- laws ---


@by_direction
@pytest.mark.parametrize("n_lags", [1, 2, None], ids=str)
@pytest.mark.parametrize("n_steps", [1, 2, 3, 17, 100])
@by_backend
def test_term_by_term(backend, n_steps, n_lags, both):
    n_lags = min(n_lags or n_steps, n_steps)
    x = numbers(n_steps, 2, 3)
    kernels = [numbers(n_lags, 3, seed=1 + i) for i in range(1 + both)]
    y = ssm_conv(x, *kernels, backend=backend)
    torch.testing.assert_close(y, direct(x, *kernels), rtol=0, atol=1e-12)


@by_direction
@by_backend
def test_gradients_equal_finite_differences(backend, both):
    inputs = [numbers(5, 3, 2), numbers(5, 2, seed=1), *([numbers(4, 2, seed=2)] if both else [])]
    inputs = [a.requires_grad_() for a in inputs]
    assert torch.autograd.gradcheck(lambda *args: ssm_conv(*args, backend=backend), inputs)


@by_backend
def test_the_future_does_not_matter(backend):
    x, kernel = numbers(40, 2, 3), numbers(40, 3, seed=1)
    later = x.clone()
    later[20:] += 5
    found = [ssm_conv(a, kernel, backend=backend)[:20] for a in (x, later)]
    torch.testing.assert_close(*found, rtol=0, atol=1e-12)


@by_backend
def test_reversed_time_swaps_the_kernels(backend):
    x, kernel, reverse = numbers(21, 2, 3), numbers(21, 3, seed=1), numbers(20, 3, seed=2)
    none = torch.zeros(1, 3, dtype=x.dtype)
    y = ssm_conv(x, torch.cat([none, reverse]), kernel[1:], backend=backend)
    back = ssm_conv(x.flip(0), torch.cat([none, kernel[1:]]), reverse, backend=backend).flip(0)
    torch.testing.assert_close(y, back, rtol=0, atol=1e-12)


def test_sixteen_bits_are_computed_in_float32():
    x, kernel = numbers(9, 2, 3, dtype=torch.bfloat16), numbers(9, 3, dtype=torch.float32)
    y = ssm_conv(x, kernel)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, ssm_conv(x.float(), kernel).bfloat16(), rtol=0, atol=0)


@by_backend
def test_nothing_in_gives_nothing_out(backend):
    for shape in ((5, 0, 3), (5, 2, 0)):
        x, kernel = numbers(*shape), numbers(5, shape[2])
        y, dx, dkernel = with_gradients(lambda *a: ssm_conv(*a, backend=backend), (x, kernel))
        assert (y.shape, dx.shape) == (shape, shape)
        assert (dkernel == 0).all()


# --- the operator of torch ---


@by_direction
def test_opcheck(both):
    tensors = [numbers(9, 3, 5), numbers(9, 5, seed=1), numbers(8, 5, seed=2) if both else None]
    inputs = [None if a is None else a.clone().requires_grad_() for a in tensors]
    torch.library.opcheck(conv_forward, (*inputs, "numba"))
    for needs in ((True, True), (True, False), (False, True)):
        torch.library.opcheck(conv_backward, (*tensors, numbers(9, 3, 5), *needs, "numba"))


def test_compiles_without_a_graph_break():
    def train(x, kernel, reverse):
        return ssm_conv(2 * x, kernel, reverse) + ssm_conv(x, kernel)

    inputs = numbers(9, 3, 5), numbers(9, 5, seed=1), numbers(8, 5, seed=2)
    found = with_gradients(torch.compile(train, fullgraph=True, backend="aot_eager"), inputs)
    for a, b in zip(found, with_gradients(train, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


# --- what is refused ---

X = torch.zeros(4, 2, 3)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (X.long(), TypeError, "The 'x' parameter of ssm_conv must be a floating point tensor."),
        (
            X[0],
            ValueError,
            "The 'x' parameter of ssm_conv must have shape (n_steps, n_samples, n_channels). "
            "Got (2, 3) instead.",
        ),
    ],
)
def test_inputs_that_do_not_fit(x, error, message):
    with pytest.raises(error, match=re.escape(message)):
        ssm_conv(x, torch.zeros(4, 3))


@pytest.mark.parametrize("name", ["kernel", "reverse_kernel"])
@pytest.mark.parametrize("shape", [(3,), (0, 3), (5, 3), (4, 2)], ids=str)
def test_kernels_that_do_not_fit(name, shape):
    message = (
        f"The {name!r} parameter of ssm_conv must have shape (n_lags, 3) with 1 to 4 lags. "
        f"Got {shape} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        ssm_conv(X, **{"kernel": torch.zeros(4, 3)} | {name: torch.zeros(shape)})
    message = f"The {name!r} parameter of ssm_conv must be a floating point tensor. Got float."
    with pytest.raises(TypeError, match=re.escape(message)):
        ssm_conv(X, **{"kernel": torch.zeros(4, 3)} | {name: 1.0})


def test_a_backend_that_cannot_serve():
    half = X.half()
    with pytest.raises(BackendError, match="The 'numba' backend of ssm_conv serves"):
        ssm_conv(half, torch.zeros(4, 3), backend="numba")
    assert ssm_conv(half, torch.zeros(4, 3)).dtype == torch.float16
