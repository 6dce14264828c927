"""Gated leaky integrators: laws, gradients, parity, mutants, memory, contract."""

from __future__ import annotations

import inspect
import math
import re
from functools import partial

import pytest
import torch

from skspike import config_context
from skspike.exceptions import BackendError
from skspike.kernels import _gated_scan as module
from skspike.kernels import _gated_scan_numba, _memory, gated_scan
from tests.kernels.interpreted import twin_from, uncompiled
from tests.kernels.states import assert_parity, numbers, with_gradients

SHAPES = [(1, 1), (9,), (3, 2, 5), (40, 2, 3, 7), (5, 2, 300), (100, 256)]

by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])
by_direction = pytest.mark.parametrize("reverse", [False, True], ids=["ahead", "back"])


def problem(*shape, dtype=torch.float64):
    """Return inputs, gates and first states."""
    return [numbers(*s, dtype=dtype, seed=i) for i, s in enumerate((shape, shape, shape[1:]))]


# --- laws ---


@by_backend
def test_its_equation(backend):
    x, gate, h = problem(30, 2, 3)
    found = gated_scan(x, gate, h, backend=backend)
    for t in range(30):
        share = 1 / (1 + torch.exp(-gate[t]))
        h = (1 - share) * h + share * x[t]
        torch.testing.assert_close(found[t], h, rtol=0, atol=1e-13)


@by_backend
def test_it_is_a_zero_order_hold_with_a_step_for_each_input(backend):
    x, gate, h = problem(30, 2, 3)
    dt = torch.nn.functional.softplus(gate)
    found = gated_scan(x, gate, h, backend=backend)
    for t in range(30):
        h = torch.exp(-dt[t]) * h - torch.expm1(-dt[t]) * x[t]
        torch.testing.assert_close(found[t], h, rtol=0, atol=1e-13)


@by_backend
@by_direction
def test_back_in_time_is_ahead_of_what_is_turned(reverse, backend):
    x, gate, state = problem(30, 2, 3)
    y = gated_scan(x, gate, state, reverse=reverse, backend=backend)
    turned = gated_scan(x.flip(0), gate.flip(0), state, reverse=not reverse, backend=backend)
    torch.testing.assert_close(turned.flip(0), y, rtol=0, atol=1e-14)


@pytest.mark.parametrize("split", [1, 7, 29])
@by_backend
@by_direction
def test_two_parts_give_what_the_whole_gives(reverse, backend, split):
    x, gate, state = problem(30, 2, 3)
    scan = partial(gated_scan, reverse=reverse, backend=backend)
    y = scan(x, gate, state)
    begin, end = (x[:split], gate[:split]), (x[split:], gate[split:])
    if reverse:
        after = scan(*end, state)
        parts = scan(*begin, after[0]), after
    else:
        before = scan(*begin, state)
        parts = before, scan(*end, before[-1])
    assert torch.equal(torch.cat(parts), y)


@by_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_gate_is_open_or_closed_far_out(backend, dtype):
    x, gate = torch.tensor([[2.0, 3.0], [5.0, 7.0]], dtype=dtype), torch.tensor([90.0, -90.0])
    gate = (11 * gate).to(dtype).expand(2, 2)
    y = gated_scan(x, gate, torch.tensor(4.0), backend=backend)
    torch.testing.assert_close(y, torch.tensor([[2.0, 4.0], [5.0, 4.0]], dtype=dtype))


@by_backend
@by_direction
def test_gradients_equal_finite_differences(reverse, backend):
    inputs = [a.requires_grad_() for a in problem(5, 2, 3)]
    scan = partial(gated_scan, reverse=reverse, backend=backend)
    assert torch.autograd.gradcheck(scan, inputs)
    assert torch.autograd.gradcheck(scan, inputs[:2])


# --- parity ---


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@by_direction
def test_the_twin_agrees(reverse, shape, dtype, monkeypatch):
    monkeypatch.setattr(_gated_scan_numba, "GRAIN", 1)
    inputs = problem(*shape, dtype=dtype)
    assert_parity(partial(gated_scan, reverse=reverse), inputs)
    assert_parity(partial(gated_scan, reverse=reverse), inputs[:2])


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
    assert_parity(gated_scan, [layout(a) for a in problem(20, 3, 17)])


def test_sixteen_bits_are_computed_in_float32():
    x, gate, _ = problem(9, 2, 3, dtype=torch.bfloat16)
    y = gated_scan(x, gate)
    assert y.dtype == torch.float32
    assert torch.equal(y, gated_scan(x.float(), gate.float()))


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(_gated_scan_numba, "GRAIN", 1)
    inputs, before, found = problem(50, 7, 300, dtype=torch.float32), torch.get_num_threads(), []
    try:
        for n in (1, 2, 7):
            torch.set_num_threads(n)
            found.append(with_gradients(gated_scan, inputs))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(map(torch.equal, other, found[0]))


def differs(twin, monkeypatch):
    """Tell whether a twin errs: in narrow pieces, in memory that held something else."""
    monkeypatch.setattr(module, "twin", lambda backend: twin)
    monkeypatch.setattr(twin, "WIDTH", 4)
    monkeypatch.setattr(twin, "empty_dense", lambda *a: _memory.empty_dense(*a).fill_(math.nan))
    inputs = problem(6, 7)
    try:
        for reverse in (False, True):
            assert_parity(partial(gated_scan, reverse=reverse), inputs)
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "min((piece + 1) * WIDTH, n)\n        before",
            "min((piece + 1) * WIDTH, 4)\n        before",
        ),
        ("            before = h_t\n", ""),
        ("share * (x_t[j] - before[j])\n            before", "share * x_t[j]\n            before"),
        ("back[:] = real(0)", "pass"),
        ("if i > 0:", "if i > 1:"),
        ("t + 1 if REVERSE else t - 1", "t - 1 if REVERSE else t - 1"),
        ("through * (one - share) *", "through *"),
        ("back[j] = total - through", "back[j] = through"),
        ("total = back[j] + dh_t[j]", "total = dh_t[j]"),
    ],
)
def test_mutants_are_caught(old, new, monkeypatch):
    source = inspect.getsource(_gated_scan_numba)
    assert source.count(old) == 1, "the source has changed; plant this fault anew"
    assert not differs(uncompiled(_gated_scan_numba), monkeypatch)
    assert differs(twin_from(source.replace(old, new)), monkeypatch)


def test_what_is_kept_for_the_backward_pass():
    x, gate, state = (a.requires_grad_() for a in problem(9, 2, 3))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda a: kept.append(a) or a, lambda a: a):
        y = gated_scan(x, gate, state)
    memory = {a.data_ptr() for a in kept}
    assert memory == {a.data_ptr() for a in (x, gate, state, y)}


# --- the operator of torch ---


def test_opcheck():
    x, gate, state = (a.requires_grad_() for a in problem(9, 2, 3))
    torch.library.opcheck(module._forward_op, (x, gate, state, False, "numba"))
    y = gated_scan(x, gate, state).detach()
    inputs = [a.detach() for a in (x, gate, state)]
    torch.library.opcheck(module._backward_op, (*inputs, y, y, True, "numba"))


def test_compiles_without_a_graph_break():
    def train(x, gate, state):
        return gated_scan(2 * gated_scan(x, gate, state), gate, state, reverse=True)

    inputs = problem(9, 2, 3)
    found = with_gradients(torch.compile(train, fullgraph=True, backend="aot_eager"), inputs)
    for a, b in zip(found, with_gradients(train, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


# --- contract ---


def test_a_few_steps_take_the_reference_unless_asked_otherwise(monkeypatch):
    x, gate, _ = problem(1, 2, 3)
    monkeypatch.setattr(module, "gated_scan_reference", lambda *_: x + 7)
    assert torch.equal(gated_scan(x, gate), x + 7)
    assert not torch.equal(gated_scan(x, gate, backend="numba"), x + 7)
    with config_context(backend="numba"):
        assert not torch.equal(gated_scan(x, gate), x + 7)


@by_backend
def test_nothing_in_gives_nothing_out(backend):
    x = torch.zeros(9, 0, 3)
    found = with_gradients(lambda *a: gated_scan(*a, backend=backend), (x, x, x[0]))
    assert [a.shape for a in found] == [(9, 0, 3), (9, 0, 3), (9, 0, 3), (0, 3)]


X = torch.zeros(4, 2, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X.long(), X), TypeError, "The 'x' parameter of gated_scan must be a floating point"),
        (
            (X, X[:3]),
            ValueError,
            "The 'gate' parameter of gated_scan must be torch.float32 of shape (4, 2, 3), as x is. "
            "Got torch.float32 (3, 2, 3) instead.",
        ),
        ((X, X.double()), ValueError, "as x is. Got torch.float64 (4, 2, 3) instead."),
        (
            (X, X, X),
            ValueError,
            "The 'state' parameter of gated_scan must be broadcastable to one step of x, (2, 3). "
            "Got shape (4, 2, 3) instead.",
        ),
    ],
)
def test_arguments_that_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        gated_scan(*arguments)


def test_a_backend_that_cannot_serve():
    with pytest.raises(BackendError, match="The 'numba' backend of gated_scan serves"):
        gated_scan(X.half(), X.half(), backend="numba")
