"""The table of surrogate derivatives against the steps that they are derivatives of."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from skspike._compile_numba import specialize
from skspike.kernels._surrogate import SURROGATES

DTYPES = (torch.float32, torch.float64)
ALPHAS = (0.5, 1.0, 2.0, 5.0)


def atan_step(u, alpha):
    return np.arctan(math.pi / 2 * alpha * u) / math.pi + 0.5


def sigmoid_step(u, alpha):
    return 1 / (1 + np.exp(-alpha * u))


def unit_sigmoid_step(u, alpha):
    return 4 / alpha * sigmoid_step(u, alpha)


def triangle_step(u, alpha):
    z = np.clip(alpha * u, -1, 1)
    return 0.5 + z - 0.5 * z * np.abs(z)


def rectangle_step(u, alpha):
    return np.clip(alpha * u + 0.5, 0, 1)


def dspike_step(u, alpha):
    return np.tanh(alpha * np.clip(u, -0.5, 0.5)) / (2 * np.tanh(alpha / 2)) + 0.5


STEPS = {
    "atan": atan_step,
    "sigmoid": sigmoid_step,
    "unit_sigmoid": unit_sigmoid_step,
    "triangle": triangle_step,
    "rectangle": rectangle_step,
    "dspike": dspike_step,
    "dspike_unit": dspike_step,
}
PEAKS = {
    "atan": lambda alpha: alpha / 2,
    "sigmoid": lambda alpha: alpha / 4,
    "unit_sigmoid": lambda alpha: 1.0,
    "triangle": lambda alpha: alpha,
    "rectangle": lambda alpha: alpha,
    "dspike": lambda alpha: alpha / (2 * math.tanh(alpha / 2)),
    "dspike_unit": lambda alpha: alpha / (2 * math.tanh(alpha / 2)),
}
EDGES = {  # from here outwards the derivative is exactly zero
    "triangle": lambda alpha: 1 / alpha,
    "rectangle": lambda alpha: 1 / (2 * alpha),
    "dspike": lambda alpha: 0.5,
    "dspike_unit": lambda alpha: 0.5,
}

by_surrogate = pytest.mark.parametrize("name", SURROGATES)
by_alpha = pytest.mark.parametrize("alpha", ALPHAS)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def derivative(name, u, alpha):
    """Evaluate the table's entry as the reference does: in torch, alpha as a 0-d tensor."""
    u = torch.as_tensor(u)
    h = u + 0.5  # the threshold in the middle of dspike_unit's window
    return SURROGATES[name].derivative(u, h, torch.tensor(alpha, dtype=u.dtype)).numpy()


def test_every_surrogate_has_its_step_here():
    assert STEPS.keys() == PEAKS.keys() == SURROGATES.keys()


@by_alpha
@by_surrogate
def test_derivative_is_that_of_its_step(name, alpha):
    edge = EDGES.get(name, lambda alpha: math.inf)(alpha)
    u = np.linspace(-3, 3, 1202)
    u = u[np.abs(np.abs(u) - edge) > 1e-3]  # a kink has no derivative
    eps = 1e-5
    numerical = (STEPS[name](u + eps, alpha) - STEPS[name](u - eps, alpha)) / (2 * eps)
    np.testing.assert_allclose(derivative(name, u, alpha), numerical, rtol=1e-7, atol=1e-8)


@by_alpha
@by_surrogate
def test_derivative_is_even_with_its_peak_at_the_threshold(name, alpha):
    u = np.linspace(0, 4, 401)
    g = derivative(name, u, alpha)
    np.testing.assert_allclose(g, derivative(name, -u, alpha), rtol=0, atol=1e-14)
    assert g[0] == pytest.approx(PEAKS[name](alpha), rel=1e-14)
    assert (np.diff(g) <= 1e-14).all()
    assert (g >= 0).all()


@by_alpha
@by_surrogate
def test_integral_is_the_rise_of_the_step(name, alpha):
    n, half_width = 400_000, 100.0
    u = (np.arange(n) + 0.5) * (2 * half_width / n) - half_width
    rise = STEPS[name](half_width, alpha) - STEPS[name](-half_width, alpha)
    assert derivative(name, u, alpha).sum() * (2 * half_width / n) == pytest.approx(rise, rel=2e-3)
    assert rise == pytest.approx(4 / alpha if name == "unit_sigmoid" else 1.0, abs=0.01)


@by_alpha
@pytest.mark.parametrize("name", sorted(EDGES.keys() - {"dspike_unit"}))  # whose h here is rounded
def test_support_ends_at_its_edge_exclusive(name, alpha):
    edge = EDGES[name](alpha)
    inside, outside = math.nextafter(edge, 0), math.nextafter(edge, math.inf)
    g = derivative(name, np.array([inside, edge, outside]), alpha)
    assert g[0] > 0 or name == "triangle"  # which is continuous: the last bit may round to zero
    assert g[1] == g[2] == 0.0


def test_dspike_has_the_published_values():
    """Of the authors' g_b on [0, 1] with its centre at 1/2, so u there is u + 1/2 here."""
    table = {
        1.0: (0.850997, 1.017074, 1.081977, 1.017074, 0),
        3.0: (0.299627, 0.988654, 1.657187, 0.988654, 0),
        5.0: (0.067449, 0.710548, 2.533918, 0.710548, 0),
    }
    for alpha, values in table.items():
        u = np.array([1e-4, 0.25, 0.5, 0.75, 1.0]) - 0.5
        np.testing.assert_allclose(derivative("dspike", u, alpha), values, atol=6e-7)


def test_dspike_unit_has_the_published_values():
    """The window is on the potential: with a threshold of 0.3 it is not symmetric about that."""
    h = np.array([-0.1, 0.0, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0, 1.2])
    alpha = torch.tensor(3.0, dtype=torch.float64)
    for threshold, values in {
        0.3: (0, 0, 0.98865, 1.65719, 1.17922, 0.50548, 0.12891, 0, 0),
        0.5: (0, 0, 0.39115, 1.17922, 1.65719, 1.17922, 0.39115, 0, 0),
    }.items():
        h_ = torch.from_numpy(h)
        found = SURROGATES["dspike_unit"].derivative(h_ - threshold, h_, alpha)
        np.testing.assert_allclose(found, values, atol=1e-5)


@by_dtype
@by_surrogate
def test_finite_far_from_the_threshold(name, dtype):
    u = torch.linspace(-100, 100, 2001, dtype=dtype)
    g = derivative(name, u, SURROGATES[name].alpha)
    assert g.dtype == u.numpy().dtype
    assert np.isfinite(g).all()
    assert g[[0, -1]] == pytest.approx([0, 0], abs=1e-4)


def _at(u, alpha):
    return derivative_of_u(u, u + real(0.5), alpha)


derivative_of_u = real = None  # bound by `specialize`


@by_dtype
@by_surrogate
def test_numba_evaluates_the_same_table_in_the_same_precision(name, dtype):
    from skspike.kernels._lif_numba import where

    u = torch.linspace(-3, 3, 121, dtype=dtype)
    real = u.numpy().dtype.type
    kernel = specialize(
        _at,
        derivative_of_u=SURROGATES[name].derivative,
        real=real,
        exp=math.exp,
        tanh=math.tanh,
        absolute=abs,
        where=where,
    )
    alpha = real(SURROGATES[name].alpha)
    found = np.array([kernel(value, alpha) for value in u.numpy()])
    tolerance = 100 * np.finfo(real).eps
    np.testing.assert_allclose(found, derivative(name, u, alpha), rtol=tolerance, atol=tolerance)
    (signature,) = kernel.__wrapped__.nopython_signatures
    assert str(signature.return_type) == np.dtype(real).name
