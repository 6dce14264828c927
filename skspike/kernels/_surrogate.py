"""Surrogate derivatives of the spike: one table for every backend.

A spike is a step of ``u = h - threshold``; its derivative is replaced by a smooth bump. Each entry
is a plain function ``(u, h, alpha)`` of a few operations. The names ``real, exp, tanh, absolute,
where`` are those of torch here; a twin binds them to its own (numba scalars, Triton blocks).
``real`` casts a literal to the working precision, which torch needs not and numba does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import absolute, exp, tanh, where

HALF_PI = math.pi / 2


def real(value):
    """Cast a literal; torch scalars follow the tensor they meet."""
    return value


def atan(u, h, alpha):
    """alpha/2 / (1 + (pi/2 alpha u)^2)."""
    z = real(HALF_PI) * alpha * u
    return real(0.5) * alpha / (real(1) + z * z)


def sigmoid(u, h, alpha):
    """alpha y (1 - y) with y = 1 / (1 + exp(-alpha u))."""
    y = real(1) / (real(1) + exp(-alpha * u))
    return alpha * y * (real(1) - y)


def unit_sigmoid(u, h, alpha):
    """4 y (1 - y) with y = 1 / (1 + exp(-alpha u)): one at the threshold, however wide it is."""
    y = real(1) / (real(1) + exp(-alpha * u))
    return real(4) * y * (real(1) - y)


def triangle(u, h, alpha):
    """max(0, alpha - alpha^2 |u|), the derivative of a piecewise quadratic step."""
    g = alpha - alpha * alpha * absolute(u)
    return where(g > real(0), g, real(0))


def rectangle(u, h, alpha):
    """alpha where |u| < 1 / (2 alpha), else 0."""
    return where(absolute(alpha * u) < real(0.5), alpha, real(0))


def dspike(u, h, alpha):
    """alpha (1 - tanh(alpha u)^2) / (2 tanh(alpha/2)) where |u| < 1/2, else 0."""
    y = tanh(alpha * u)
    g = alpha * (real(1) - y * y) / (real(2) * tanh(real(0.5) * alpha))
    return where(absolute(u) < real(0.5), g, real(0))


def dspike_unit(u, h, alpha):
    """As dspike, but where 0 < h < 1, whatever the threshold."""
    y = tanh(alpha * u)
    g = alpha * (real(1) - y * y) / (real(2) * tanh(real(0.5) * alpha))
    return where(absolute(h - real(0.5)) < real(0.5), g, real(0))


@dataclass(frozen=True)
class Surrogate:
    """A derivative ``(u, h, alpha) -> ds/du`` and its default sharpness."""

    derivative: Callable
    alpha: float


SURROGATES = {
    "atan": Surrogate(atan, 2.0),
    "sigmoid": Surrogate(sigmoid, 4.0),
    "unit_sigmoid": Surrogate(unit_sigmoid, 1.0),
    "triangle": Surrogate(triangle, 1.0),
    "rectangle": Surrogate(rectangle, 1.0),
    "dspike": Surrogate(dspike, 3.0),
    "dspike_unit": Surrogate(dspike_unit, 3.0),
}
