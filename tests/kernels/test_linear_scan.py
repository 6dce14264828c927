"""State space models step by step: laws, the operator of torch, and what is refused."""

from __future__ import annotations

import re

import pytest
import torch

from skspike import config_context
from skspike.exceptions import BackendError
from skspike.kernels import _linear_scan, linear_scan, ssm_conv, ssm_kernel
from skspike.kernels._linear_scan import scan_backward, scan_forward
from tests.kernels.states import modes, numbers, with_gradients

by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])


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


@pytest.mark.parametrize("shape", [(5, 0, 3, 2), (5, 2, 0, 2), (5, 2, 3, 0)], ids=str)
@by_backend
def test_nothing_in_gives_nothing_out(backend, shape):
    *shape, n_modes = shape
    x, d = numbers(*shape), numbers(shape[2], n_modes, dtype=torch.complex128)
    y, state, *gradients = with_gradients(lambda *a: linear_scan(*a, backend=backend), (x, d, d))
    assert (y == 0).all()
    assert state.shape == (*shape[1:], n_modes)
    assert all((g == 0).all() for g in gradients)


def test_a_few_steps_take_the_reference_unless_asked_otherwise(monkeypatch):
    x, decay = numbers(1, 2, 3), modes(3, 4).exp()
    monkeypatch.setattr(_linear_scan, "linear_scan_reference", lambda *_: (x + 7, decay))
    assert torch.equal(linear_scan(x, decay, decay)[0], x + 7)
    assert not torch.equal(linear_scan(x, decay, decay, backend="numba")[0], x + 7)
    with config_context(backend="numba"):
        assert not torch.equal(linear_scan(x, decay, decay)[0], x + 7)
    many = numbers(8, 2, 3)
    assert linear_scan(many, decay, decay)[0].shape == many.shape


# --- the operator of torch ---


def test_opcheck():
    x, decay = numbers(9, 2, 3), modes(3, 5).exp()
    c, state = (numbers(*shape, 5, dtype=torch.complex128) for shape in ((3,), (2, 3)))
    inputs = [a.clone().requires_grad_() for a in (x, decay, c, state)]
    torch.library.opcheck(scan_forward, (*inputs, "numba"))
    for gradients in ((x, state), (x, None), (None, state)):
        torch.library.opcheck(scan_backward, (x, decay, c, state, *gradients, "numba"))


def test_compiles_without_a_graph_break():
    def train(x, decay, c):
        y, state = linear_scan(2 * x, decay, c)
        return linear_scan(y, decay, c, state)

    inputs = numbers(9, 2, 3), modes(3, 5).exp(), numbers(3, 5, dtype=torch.complex128)
    found = with_gradients(torch.compile(train, fullgraph=True, backend="aot_eager"), inputs)
    for a, b in zip(found, with_gradients(train, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12 * (1 + b.abs().max().item()))


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


def test_a_backend_that_cannot_serve():
    with pytest.raises(BackendError, match="The 'numba' backend of linear_scan serves"):
        linear_scan(X.half(), D, D, backend="numba")
    assert linear_scan(X.half(), D, D)[0].dtype == torch.float16
