"""Gated mixtures of channels: laws, gradients, layouts, contract."""

from __future__ import annotations

import functools
import inspect
import re

import numpy as np
import pytest
import torch
from torch.nn.functional import glu, linear

from skspike._groups_numba import partners
from skspike._tile_numba import n_lanes
from skspike.exceptions import BackendError
from skspike.kernels import _gated_linear as module
from skspike.kernels import _gated_linear_numba, gated_linear
from tests.kernels.interpreted import twin_from
from tests.kernels.states import assert_parity, numbers, with_gradients

SHAPES = [(1, 1, 1), (3, 5, 2), (40, 7, 4), (300, 2, 4), (70, 3, 8), (9, 16)]


def problem(*shape, dtype=torch.float64):
    n = shape[-1]
    shapes = shape, (2 * n, n), (2 * n,), shape
    return [numbers(*of, dtype=dtype, seed=i) for i, of in enumerate(shapes)]


# --- laws ---


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_its_equation(backend):
    x, weight, bias, residual = problem(6, 5, 4)
    value, gate = (x @ weight.T + bias).chunk(2, -1)
    y = residual + value / (1 + torch.exp(-gate))
    torch.testing.assert_close(gated_linear(x, weight, bias, residual, backend=backend), y)
    torch.testing.assert_close(gated_linear(x, weight, bias, backend=backend), y - residual)


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_gradients_equal_finite_differences(backend):
    inputs = [a.requires_grad_() for a in problem(3, 2, 2)]
    mixed = lambda *args: gated_linear(*args, backend=backend)  # noqa: E731
    assert torch.autograd.gradcheck(mixed, inputs)
    assert torch.autograd.gradcheck(mixed, inputs[:3])


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_a_gate_is_open_or_closed_far_out(backend):
    x, bias = torch.ones(1, 1, 2), torch.tensor([3.0, 5.0, 200.0, -200.0])
    y = gated_linear(x, torch.zeros(4, 2), bias, backend=backend)
    torch.testing.assert_close(y.flatten(), torch.tensor([3.0, 0.0]))


# --- parity ---


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_twin_agrees(shape, dtype, monkeypatch):
    monkeypatch.setattr(_gated_linear_numba, "GRAIN", 1)
    inputs = problem(*shape, dtype=dtype)
    assert_parity(gated_linear, inputs)
    assert_parity(gated_linear, inputs[:3])


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: a.movedim(0, -1).contiguous().movedim(-1, 0),
        lambda a: torch.stack([a, a + 9], -1)[..., 0],
        lambda a: a[:1].expand(a.shape),
    ],
    ids=["time innermost", "every second", "expanded"],
)
def test_layouts(layout):
    x, weight, bias, residual = problem(150, 3, 4)
    leaves = [layout(x), layout(weight), layout(bias[:, None])[:, 0], layout(residual)]
    assert_parity(gated_linear, leaves)
    x.requires_grad_()
    found, expected = (
        torch.autograd.grad(gated_linear(x, weight, bias, backend=b), x, layout(residual))[0]
        for b in ("numba", "reference")
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(_gated_linear_numba, "GRAIN", 1)
    inputs, before, found = problem(500, 30, 4, dtype=torch.float32), torch.get_num_threads(), []
    try:
        for n in (1, 2, 7):
            torch.set_num_threads(n)
            found.append(with_gradients(gated_linear, inputs))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(map(torch.equal, other, found[0]))


def mix_in_numpy(of, x, x_at, n, weights, weights_at, y, y_at, add):
    """Do what :func:`make_mix` describes, uncompiled."""
    lanes = of.shape[1]
    x, to = (a[at : at + n * lanes].reshape(n, lanes) for a, at in ((x, x_at), (y, y_at)))
    *factors, start = weights[weights_at : weights_at + of.size + lanes].reshape(-1, lanes)
    to[:] = (to if add else start) + np.einsum("dl,ndl->nl", factors, x[:, of])


def collect_in_numpy(of, x, x_at, n, dy, dy_at, totals, totals_at):
    """Do what :func:`make_collect` describes, uncompiled."""
    lanes = of.shape[1]
    x, dy = (a[at : at + n * lanes].reshape(n, lanes) for a, at in ((x, x_at), (dy, dy_at)))
    to = totals[totals_at : totals_at + of.size + lanes].reshape(-1, lanes)
    to[:-1] += np.einsum("nl,ndl->dl", dy, x[:, of])
    to[-1] += dy.sum(0)


def in_numpy(function):
    """Return a maker of a function for groups of lanes that are as wide as a vector is here."""
    return lambda dtype, n: functools.partial(function, partners(n, n_lanes(dtype)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("done, at = 0, first % len(x)", "done, at = 0, first"),
        ("        at = 0\n", "        at = len(x) - length\n"),
        ("edge[:n] = x[first : first + n]", "edge[:n] = x[:n]"),
        ("value, 0, False)\n        mix", "value, 0, True)\n        mix"),
        ("value[i] / (one + exp(-gate[i]))", "value[i] / (one + exp(gate[i]))"),
        ("before[i] + gated if ADDED else gated", "gated"),
        ("dy_run[n:] = real(0)", "dy_run[n:] = real(1)"),
        ("dvalue * value[i] * (one - share)", "dvalue * (one - share)"),
        ("value[i] = dvalue", "value[i] = dy_run[i]"),
        ("totals[:] = real(0)", "totals[:] = real(1)"),
        ("sums[chunk] = 0.0", "sums[chunk] = 1.0"),
        ("sums[chunk, i] += totals[i]", "sums[chunk, i] = totals[i]"),
        ("len(sums), n_runs * (chunk + 1)", "len(sums), n_runs * (chunk + 1) - 1"),
        ("3 * SIZE, dy_run, 0, True", "3 * SIZE, dy_run, 0, False"),
        ("w[:, other, channel]", "w[:, channel, other]"),
        ("(channel.T - channel)", "(channel - channel.T)"),
    ],
)
def test_mutants_are_caught(old, new):
    source = inspect.getsource(_gated_linear_numba)
    assert source.count(old) == 1, "the source has changed; plant this fault anew"
    x, weight, bias, residual = problem(9, 5, 4)
    dy = numbers(1, 5, 4, seed=5).expand(x.shape)
    leaves = [a.requires_grad_() for a in (x, weight, bias)]
    y = residual + glu(linear(*leaves))
    expected = y.detach(), *torch.autograd.grad(y, leaves, dy)
    x, weight, bias = (a.detach() for a in leaves)

    def differs(twin):
        vars(twin).update(RUN=2 * n_lanes(np.dtype(np.float64)), N_CHUNKS=2)
        try:
            found = twin.forward(x, weight, bias, residual), *twin.backward(x, weight, bias, dy)
        except (IndexError, ValueError):
            return True
        return not all(torch.allclose(a, b) for a, b in zip(found, expected, strict=True))

    plain = {"make_mix": in_numpy(mix_in_numpy), "make_collect": in_numpy(collect_in_numpy)}
    assert not differs(twin_from(source, **plain))
    assert differs(twin_from(source.replace(old, new), **plain))


# --- contract ---


def test_opcheck():
    x, weight, bias, residual = problem(6, 5, 4)
    leaves = [a.clone().requires_grad_() for a in (x, weight, bias, residual)]
    torch.library.opcheck(module._forward_op, leaves)
    torch.library.opcheck(module._forward_op, (*leaves[:3], None))
    torch.library.opcheck(module._backward_op, (x, weight, bias, residual))


def test_it_keeps_no_more_than_its_input():
    x, weight, bias, residual = (a.requires_grad_() for a in problem(300, 8, 4))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda a: kept.append(a) or a, lambda a: a):
        gated_linear(x, weight, bias, residual)
    assert sum(a.numel() for a in kept) == x.numel() + weight.numel() + bias.numel()


def test_what_the_twin_is_not_made_for_is_left_to_torch():
    for shape in ((4, 2, 3), (4, 2, 32), (4, 0, 2), (4, 2, 0), (4,)):
        x, weight, bias, residual = problem(*shape)
        y = gated_linear(x, weight, bias, residual, backend="numba")
        assert torch.equal(y, residual + glu(linear(x, weight, bias)))
    inputs = problem(4, 2, 4, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert gated_linear(*inputs[:3]).dtype == torch.bfloat16
    inputs = [a.bfloat16() for a in inputs]
    assert torch.equal(gated_linear(*inputs), inputs[3] + glu(linear(*inputs[:3])))


@pytest.mark.parametrize(
    ("shapes", "got"),
    [
        (((4, 2, 3), (6, 2), (6,)), "(4, 2, 3), (6, 2), (6,) and no residual"),
        (((4, 2, 3), (6, 3), (3,)), "(4, 2, 3), (6, 3), (3,) and no residual"),
        (((4, 2, 3), (6, 3), (6,), (4, 1, 3)), "(4, 2, 3), (6, 3), (6,) and (4, 1, 3)"),
    ],
)
def test_shapes_that_do_not_fit_are_told(shapes, got):
    message = (
        "The input of gated_linear must have shapes (n_steps, ..., n_channels), (2 * n_channels, "
        "n_channels), (2 * n_channels,) and, if there is a residual, that of the first. "
        f"Got {got} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        gated_linear(*map(torch.zeros, shapes))


def test_other_refusals():
    x, weight, bias, _ = problem(4, 2, 3, dtype=torch.float32)
    with pytest.raises(TypeError, match="The 'x' parameter of gated_linear must be a float"):
        gated_linear(x.long(), weight, bias)
    with pytest.raises(BackendError, match="The 'numba' backend of gated_linear serves"):
        gated_linear(x.half(), weight.half(), bias.half(), backend="numba")
