"""Division by the thresholds of channels: the quotient, gradients, layouts, contract."""

from __future__ import annotations

import inspect
import re

import pytest
import torch

from skspike.exceptions import BackendError
from skspike.kernels import _divide_by_threshold as module
from skspike.kernels import _divide_by_threshold_numba, divide_by_threshold
from tests.kernels.interpreted import twin_from

SHAPES = [(1, 1, 1), (3, 2, 5), (40, 7, 33), (70, 3, 1024), (5, 300, 700), (4, 0, 3), (4, 3, 0)]
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4, torch.bfloat16: 1e-2}


def draw(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)


def results(x, threshold, dy, backend):
    """Return the quotient and both gradients."""
    leaves = x.detach().requires_grad_(), threshold.detach().requires_grad_()
    y = divide_by_threshold(*leaves, backend=backend)
    return y.detach(), *torch.autograd.grad(y, leaves, dy)


def problem(shape, dtype):
    return (
        draw(*shape, dtype=dtype),
        draw(shape[2], seed=1).exp(),
        draw(*shape, dtype=dtype, seed=2),
    )


# --- laws ---


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_gradients_are_exact(backend):
    x, threshold = draw(3, 2, 5).requires_grad_(), draw(5, seed=1).exp().requires_grad_()
    divide = lambda *inputs: divide_by_threshold(*inputs, backend=backend)  # noqa: E731
    assert torch.equal(divide(x, threshold), x / threshold)
    assert torch.autograd.gradcheck(divide, (x, threshold))
    assert torch.autograd.gradcheck(divide, (x, threshold[:1].detach().requires_grad_()))


# --- parity ---


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_twin_agrees(shape, dtype, monkeypatch):
    monkeypatch.setattr(_divide_by_threshold_numba, "GRAIN", 2**10)
    x, threshold, dy = problem(shape, dtype)
    found, expected = (results(x, threshold, dy, b) for b in ("numba", "reference"))
    assert torch.equal(found[0], expected[0])
    for a, b in zip(found[1:], expected[1:], strict=True):
        assert a.dtype == b.dtype
        assert (a - b).norm() <= TOLERANCE[dtype] * b.norm()  # a sum may be small by chance


def test_layouts():
    x, threshold, dy = problem((6, 4, 5), torch.float64)
    expected = results(x, threshold, dy, "reference")
    transposed = x.movedim(0, -1).contiguous().movedim(-1, 0)
    for given, gradient in ((transposed, dy), (x, dy[:1].expand(6, 4, 5)), (x, dy.flip(0).flip(0))):
        found = results(given, threshold, gradient, "numba")
        expected = results(x, threshold, gradient, "reference")
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(_divide_by_threshold_numba, "GRAIN", 2**10)
    given = *problem((50, 30, 70), torch.float32), "numba"
    before, found = torch.get_num_threads(), []
    try:
        for n in (1, 2, 7):
            torch.set_num_threads(n)
            found.append(results(*given))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, found[0], strict=True))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("load(x_r[j]) / threshold[j]", "load(x_r[j]) / threshold[0]"),
        ("run[j] += g", "run[j] = g"),
        ("store(g / threshold[j])", "store(g)"),
        (" or r + 1 == edges[chunk + 1]", ""),
        ("sums[chunk, j] += run[j]", "sums[chunk, j] = run[j]"),
        ("run[j] = real(0)\n", "pass\n"),
        ("/ -threshold", "/ threshold"),
        ("edges[chunk], edges[chunk + 1]", "edges[chunk], edges[chunk + 1] - 1"),
    ],
)
def test_mutants_are_caught(old, new, monkeypatch):
    source = inspect.getsource(_divide_by_threshold_numba)
    assert source.count(old) == 1, "the source has changed; plant this fault anew"
    x, threshold, dy = problem((9, 4, 5), torch.float64)
    expected = x / threshold, dy / threshold, -(dy * x / threshold**2).sum((0, 1))

    def differs(twin):
        vars(twin).update(ROW=6, RUN=4, N_CHUNKS=2)
        y = twin.forward(x, threshold)
        found = y, *twin.backward(expected[0], threshold, dy)
        return not all(torch.allclose(a, b) for a, b in zip(found, expected, strict=True))

    assert not differs(twin_from(source))
    assert differs(twin_from(source.replace(old, new)))


# --- contract ---


def test_opcheck():
    x, threshold, dy = problem((6, 4, 5), torch.float64)
    leaves = x.requires_grad_(), threshold.requires_grad_()
    torch.library.opcheck(module._forward_op, leaves)
    torch.library.opcheck(module._backward_op, (x.detach(), threshold.detach(), dy))


def test_axes_behind_the_channels():
    x, threshold = draw(2, 3, 4, 5, 6), draw(4, seed=1).exp()
    y = divide_by_threshold(x, threshold)
    torch.testing.assert_close(y.movedim(2, -1), x.movedim(2, -1) / threshold)


def test_shapes_that_do_not_fit_are_told():
    message = (
        "The input of divide_by_threshold must have shapes (n_steps, n_samples, n_channels, ...) "
        "and (n_channels,) or (1,). Got (2, 3, 4) and (3,) instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        divide_by_threshold(draw(2, 3, 4), torch.ones(3))
    with pytest.raises(ValueError, match="must have shapes"):
        divide_by_threshold(draw(2, 3), torch.ones(1))
    with pytest.raises(TypeError, match="The 'x' parameter of divide_by_threshold must be a float"):
        divide_by_threshold(torch.ones(2, 3, 4).long(), torch.ones(1))
    with pytest.raises(BackendError, match="The 'numba' backend of divide_by_threshold serves"):
        divide_by_threshold(torch.ones(2, 3, 4).half(), torch.ones(1), backend="numba")
