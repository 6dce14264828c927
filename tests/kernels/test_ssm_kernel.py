"""The impulse response of state space models: laws, the operator of torch, and what is refused."""

from __future__ import annotations

import re

import pytest
import torch

from skspike.exceptions import BackendError
from skspike.kernels import ssm_kernel
from skspike.kernels._ssm_kernel import kernel_backward, kernel_forward
from tests.kernels.states import modes, numbers, with_gradients

by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])


def direct(a, c, n_steps):
    """Return the sums as they are defined."""
    lags = torch.arange(n_steps, dtype=a.real.dtype)
    return 2 * (c * torch.exp(lags[:, None, None] * a)).sum(-1).real


# --- laws ---


@pytest.mark.parametrize("n_modes", [1, 2, 5, 32])
@pytest.mark.parametrize("n_steps", [1, 2, 63, 64, 65, 100, 1000])
@by_backend
def test_term_by_term(backend, n_steps, n_modes):
    a, c = modes(5, n_modes), numbers(5, n_modes, dtype=torch.complex128)
    kernel = ssm_kernel(a, c, n_steps, backend=backend)
    torch.testing.assert_close(kernel, direct(a, c, n_steps), rtol=0, atol=1e-12)


@by_backend
def test_float32_is_more_precise_than_an_exponential_for_each_lag(backend):
    a, c = modes(5, 32, torch.complex64), numbers(5, 32, dtype=torch.complex64)
    exact = direct(a.to(torch.complex128), c.to(torch.complex128), 4000)
    error, naive = (
        (kernel - exact).abs().max()
        for kernel in (ssm_kernel(a, c, 4000, backend=backend), direct(a, c, 4000))
    )
    assert error < naive / 2


@by_backend
def test_modes_that_are_gone_at_once(backend):
    """A power that underflows is zero, also where another factor would overflow."""
    a = torch.tensor([[-800.0 + 0j, -0.5 + 0j]], dtype=torch.complex128)
    kernel = ssm_kernel(a, torch.ones_like(a), 200, backend=backend)
    torch.testing.assert_close(kernel, direct(a, torch.ones_like(a), 200), rtol=0, atol=1e-15)


@by_backend
def test_the_first_lag_is_twice_the_real_part_of_the_sum(backend):
    c = numbers(3, 4, dtype=torch.complex128)
    kernel = ssm_kernel(modes(3, 4), c, 1, backend=backend)
    torch.testing.assert_close(kernel, 2 * c.real.sum(-1)[None], rtol=0, atol=1e-14)


@by_backend
def test_one_mode_is_a_decaying_cosine(backend):
    a = torch.tensor([[-0.1 + 0.7j]], dtype=torch.complex128)
    c = torch.polar(torch.tensor([[1.5]]), torch.tensor([[0.3]])).to(a.dtype)
    lags = torch.arange(50, dtype=torch.float64)
    expected = 3 * torch.exp(-0.1 * lags) * torch.cos(0.7 * lags + c.angle().item())
    kernel = ssm_kernel(a, c, 50, backend=backend)
    torch.testing.assert_close(kernel[:, 0], expected, rtol=0, atol=1e-6)


@by_backend
def test_gradients_equal_finite_differences(backend):
    a, c = modes(2, 3).requires_grad_(), numbers(2, 3, dtype=torch.complex128).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, c: ssm_kernel(a, c, 5, backend=backend), (a, c))


# --- the operator of torch ---


def test_opcheck():
    a, c = modes(3, 5), numbers(3, 5, dtype=torch.complex128)
    inputs = [z.clone().requires_grad_() for z in (a, c)]
    torch.library.opcheck(kernel_forward, (*inputs, 70, "numba"))
    torch.library.opcheck(kernel_backward, (a, c, numbers(70, 3), "numba"))


def test_compiles_without_a_graph_break():
    def train(a, c):
        return ssm_kernel(2 * a, c, 70) + ssm_kernel(a, 3 * c, 70)

    inputs = modes(3, 5), numbers(3, 5, dtype=torch.complex128)
    found = with_gradients(torch.compile(train, fullgraph=True, backend="aot_eager"), inputs)
    for a, b in zip(found, with_gradients(train, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12 * (1 + b.abs().max().item()))


# --- what is refused ---

A = torch.zeros(2, 3, dtype=torch.complex64)


@pytest.mark.parametrize(
    ("a", "c", "error", "message"),
    [
        (
            A.real,
            A,
            TypeError,
            "The 'a' parameter of ssm_kernel must be a complex64 or complex128 tensor. "
            "Got torch.float32.",
        ),
        (A, 1.0, TypeError, "The 'c' parameter of ssm_kernel must be a complex64 or complex128"),
        (
            A[0],
            A[0],
            ValueError,
            "The 'a' parameter of ssm_kernel must have shape (n_channels, n_modes). Got (3,) ins",
        ),
        (
            A,
            A[:1],
            ValueError,
            "The 'c' parameter of ssm_kernel must have the dtype and shape of 'a', "
            "torch.complex64 (2, 3). Got torch.complex64 (1, 3) instead.",
        ),
    ],
)
def test_modes_that_do_not_fit(a, c, error, message):
    with pytest.raises(error, match=re.escape(message)):
        ssm_kernel(a, c, 4)


@pytest.mark.parametrize(("n_steps", "error"), [(0, ValueError), (1.5, TypeError)])
def test_numbers_of_steps_that_do_not_fit(n_steps, error):
    message = "The 'n_steps' parameter of ssm_kernel must be an int in the range [1, inf)."
    with pytest.raises(error, match=re.escape(message)):
        ssm_kernel(A, A, n_steps)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)], ids=str)
@by_backend
def test_nothing_in_gives_nothing_out(backend, shape):
    a = torch.zeros(shape, dtype=torch.complex64)
    kernel = ssm_kernel(a, a, 5, backend=backend)
    assert kernel.shape == (5, shape[0])
    assert (kernel == 0).all()


def test_a_backend_that_cannot_serve():
    meta = A.to("meta")
    with pytest.raises(BackendError, match="The 'numba' backend of ssm_kernel serves complex64, "):
        ssm_kernel(meta, meta, 4, backend="numba")
