"""Rounds of the fixed point: the neuron that they approach, horizon, backends, contract."""

from __future__ import annotations

import inspect
import math
import re
from itertools import product

import pytest
import torch

from skspike.exceptions import BackendError
from skspike.kernels import _fixed_point, _fixed_point_numba, fire_at, fixed_point_membrane, lif
from skspike.kernels._memory import empty_dense
from tests.kernels.interpreted import twin_from, uncompiled

by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])


def carried(x, v=None, decay=0.125, threshold=1.0):
    """Return what each step finds of the potential before it, step by step."""
    v = torch.zeros_like(x[0]) if v is None else v
    found = []
    for x_t in x:
        found.append(decay * v)
        _, v = lif(x_t[None], v, decay=decay, threshold=threshold, backend="reference")
    return torch.stack(found)


def draw(shape, dtype=torch.float64, grid=False):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, generator=generator)
    return ((2 * x).round() / 2 if grid else x).to(dtype)


# --- laws ---


@by_backend
@pytest.mark.parametrize("n_rounds", [0, 1, 2, 3, 8, 40])
@pytest.mark.parametrize("has_state", [False, True])
def test_the_first_steps_are_exact(has_state, n_rounds, backend):
    for decay, threshold, grid in product((0.125, 0.5), (1.0, 0.5, -0.25), (False, True)):
        x = draw((30, 40), grid=grid)
        v = draw((41, 40))[-1] if has_state else None
        options = {"decay": decay, "threshold": threshold}
        m = fixed_point_membrane(x, v, **options, n_rounds=n_rounds, backend=backend)
        expected = carried(x, v, **options)
        assert torch.equal(m[: n_rounds + 1], expected[: n_rounds + 1])
        exact = torch.equal(m, expected)
        assert exact == (n_rounds == 40)


@by_backend
def test_a_potential_is_that_of_a_neuron_at_rest_some_steps_before(backend):
    x, n = draw((30, 40)), 3
    m = fixed_point_membrane(x, decay=0.5, n_rounds=n, backend=backend)
    for t in range(n, 30):
        assert torch.equal(m[t], carried(x[t - n : t + 1], decay=0.5)[-1])


@by_backend
def test_spikes_after_all_rounds_are_those_of_the_neuron(backend):
    x = draw((30, 40))
    m = fixed_point_membrane(x, decay=0.5, n_rounds=30, backend=backend)
    assert torch.equal(fire_at(x + m), lif(x, decay=0.5)[0])


@pytest.mark.parametrize(
    ("n_rounds", "error", "per_cent_that_differ"),
    [
        (0, 7.13e-2, 1.640),
        (1, 9.36e-3, 0.225),
        (2, 1.26e-3, 0.0292),
        (3, 1.68e-4, 0.0032),
        (4, 2.18e-5, 0.0005),
    ],
)
def test_fidelity_for_normal_inputs(n_rounds, error, per_cent_that_differ):
    """Measured once over 2e6 neuron-steps: a round is worth a factor of about 1 / decay."""
    x = draw((1024, 256))
    m, exact = fixed_point_membrane(x, decay=0.125, n_rounds=n_rounds), carried(x)
    assert (m - exact).abs().mean().item() == pytest.approx(error, rel=0.1)
    differ = 100 * (fire_at(x + m) != fire_at(x + exact)).double().mean().item()
    assert differ == pytest.approx(per_cent_that_differ, rel=0.3, abs=0.002)


# --- parity ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("n_rounds", [0, 2, 9])
def test_the_twin_is_bit_equal(n_rounds, dtype, monkeypatch):
    monkeypatch.setattr(_fixed_point_numba, "GRAIN", 2**8)
    for shape, grid in product([(1,), (7,), (5, 3), (40, 2, 3, 7), (3, 8200)], (False, True)):
        x, v = draw(shape, dtype, grid), draw(shape)[-1]
        options = {"decay": 0.3, "threshold": 0.5, "n_rounds": n_rounds}
        for given in (x, x.movedim(0, -1).contiguous().movedim(-1, 0)):
            found, expected = (
                fixed_point_membrane(given, v, **options, backend=backend)
                for backend in ("numba", "reference")
            )
            assert found.dtype == (torch.float32 if dtype == torch.bfloat16 else dtype)
            assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("w >= threshold", "w > threshold"),
        ("t <= n_rounds", "t < n_rounds"),
        ("min(t, n_rounds)", "min(t, n_rounds - 1)"),
        ("x[t - back, first:last]", "x[t, first:last]"),
        ("decay * v[first + j]", "decay * v[j]"),
        ("decay * v[first + j]", "v[first + j]"),
        ("i // n_steps * panel", "0"),
    ],
)
def test_mutants_are_caught(old, new, monkeypatch):
    def differs(twin):
        monkeypatch.setattr(_fixed_point, "twin", lambda backend: twin)
        monkeypatch.setattr(twin, "PANEL", 4)
        # what is left out must not be there from the call before
        monkeypatch.setattr(twin, "empty_dense", lambda *a: empty_dense(*a).fill_(math.nan))
        x, v = draw((6, 7), grid=True), draw((6, 7), grid=True)[-1]
        found, expected = (
            fixed_point_membrane(x, v, decay=0.5, n_rounds=3, backend=backend)
            for backend in ("numba", "reference")
        )
        return not torch.equal(found, expected)

    assert not differs(uncompiled(_fixed_point_numba))
    source = inspect.getsource(_fixed_point_numba)
    assert source.count(old) == 1, "the source has changed; plant this fault anew"
    assert differs(twin_from(source.replace(old, new)))


# --- contract ---


@by_backend
def test_it_is_data(backend):
    x = draw((5, 3)).requires_grad_()
    v = draw((3,)).requires_grad_()
    m = fixed_point_membrane(x, v, decay=0.5, backend=backend)
    assert not m.requires_grad
    (dx,) = torch.autograd.grad(fire_at(x + m).sum(), x)
    h = x.detach() + m
    torch.testing.assert_close(dx, (1 - (h - 1).abs()).clamp(min=0))


def test_opcheck():
    x = draw((5, 2, 3)).movedim(0, -1).contiguous().movedim(-1, 0)
    torch.library.opcheck(_fixed_point._op, (x, None, 0.5, 1.0, 2, "numba"))
    torch.library.opcheck(_fixed_point._op, (x.bfloat16(), x[0].float(), 0.5, 1.0, 2, "numba"))


@pytest.mark.parametrize("shape", [(3, 0), (2, 4, 0, 5)])
def test_no_neurons(shape):
    assert fixed_point_membrane(torch.ones(shape), decay=0.5).shape == shape


@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("decay", 1.5, "a float in the range [0.0, 1.0]"),
        ("threshold", float("inf"), "a float in the range (-inf, inf)"),
        ("n_rounds", -1, "an int in the range [0, inf)"),
    ],
)
def test_value_out_of_range(name, value, must):
    message = (
        f"The {name!r} parameter of fixed_point_membrane must be {must}. Got {value!r} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        fixed_point_membrane(torch.ones(3, 4), **{"decay": 0.5} | {name: value})


def test_wrong_input_is_told():
    message = "The 'x' parameter of fixed_point_membrane must be a floating point tensor. Got "
    with pytest.raises(TypeError, match=re.escape(message)):
        fixed_point_membrane(torch.ones(3).long(), decay=0.5)
    with pytest.raises(ValueError, match="'v' parameter of fixed_point_membrane must be broad"):
        fixed_point_membrane(torch.ones(3, 4), torch.ones(5), decay=0.5)
    with pytest.raises(BackendError, match="The 'numba' backend of fixed_point_membrane serves"):
        fixed_point_membrane(torch.ones(3, 4).half(), decay=0.5, backend="numba")
