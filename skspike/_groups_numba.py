"""Products with small matrices on vector registers: what compiled templates of few channels use.

The channels of several samples lie side by side in a vector, one group of lanes for each sample. A
channel meets the others of its group by turning all groups at once, so that nothing is transposed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from . import _tile_numba
from ._tile_numba import _intrinsic, _places, _Vectors, n_lanes


def partners(n_channels: int, n: int) -> np.ndarray:
    """Return which of `n` lanes each meets by d turns of its group, (n_channels, n)."""
    lane, turns = np.arange(n), np.arange(n_channels)[:, None]
    return lane - lane % n_channels + (lane + turns) % n_channels


class _Groups(_Vectors):
    """Instructions on vectors of groups of lanes."""

    def __init__(self, builder: Any, number: Any, lanes: int, n_channels: int) -> None:
        super().__init__(builder, number, lanes)
        self.partners = partners(n_channels, lanes).tolist()

    def turned(self, x: Any) -> list:
        """Return a vector as it is, with its groups turned once, twice and so on."""
        mask = ir.VectorType(ir.IntType(32), self.lanes)
        masks = [ir.Constant(mask, lanes) for lanes in self.partners]
        return [x, *(self.builder.shuffle_vector(x, x, m) for m in masks[1:])]

    def at(self, start: Any, i: Any) -> Any:
        """Return the place that is `i` vectors behind another one."""
        return self.builder.add(start, self.builder.mul(i, ir.Constant(i.type, self.lanes)))


def _named(function: Callable, maker: Callable, *choices: object) -> Callable:
    """Return an intrinsic that is told apart by this module and by the one under it."""
    return _intrinsic(function, maker, inspect.getsource(_tile_numba), *choices)


def _groups(context: Any, builder: Any, signature: Any, dtype: np.dtype, n: int) -> _Groups:
    return _Groups(builder, context.get_value_type(signature.args[0].dtype), n_lanes(dtype), n)


@functools.cache
def make_mix(dtype: np.dtype, n_channels: int) -> Callable:
    r"""Return a function for templates that mixes channels.

    ``mix(x, at, n, weights, at, y, at, add)`` takes n vectors, of ``n_lanes(dtype) / n_channels``
    samples each. Vector d of the weights is multiplied by `x` turned d times; the products are
    added to what `y` holds if `add`, else to the vector of weights behind these.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x, weights, y = _places(context, builder, signature, values, 1)
        v = _groups(context, builder, signature, dtype, n_channels)
        places = [v.plus(weights[1], d * v.lanes) for d in range(n_channels + 1)]
        *factors, start = [v.load(weights[0], place) for place in places]
        with cgutils.for_range(builder, values[2]) as loop:
            to = v.at(y[1], loop.index)
            total = builder.select(values[7], v.load(y[0], to), start)
            turned = v.turned(v.load(x[0], v.at(x[1], loop.index)))
            for factor, partner in zip(factors, turned, strict=True):
                total = v.multiply_add(factor, partner, total)
            v.store(total, y[0], to)
        return context.get_dummy_value()

    def mix(typingctx, x, x_at, n, weights, weights_at, y, y_at, add):  # type: ignore[no-untyped-def]
        i = types.intp
        return types.void(x, i, i, weights, i, y, i, types.boolean), codegen

    return _named(mix, make_mix, str(dtype), n_channels)


@functools.cache
def make_collect(dtype: np.dtype, n_channels: int) -> Callable:
    r"""Return a function for templates that adds up the gradient to what :func:`make_mix` takes.

    ``collect(x, at, n, dy, at, totals, at)`` adds the products of `dy` and `x`, turned d times, to
    vector d of the totals, and `dy` itself to the one behind these.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x, dy, totals = _places(context, builder, signature, values, 1)
        v = _groups(context, builder, signature, dtype, n_channels)
        places = [v.plus(totals[1], d * v.lanes) for d in range(n_channels + 1)]
        # LLVM turns these stack slots into registers.
        sums = [cgutils.alloca_once(builder, v.kind) for _ in places]
        for total, place in zip(sums, places, strict=True):
            builder.store(v.load(totals[0], place), total)
        with cgutils.for_range(builder, values[2]) as loop:
            g = v.load(dy[0], v.at(dy[1], loop.index))
            turned = v.turned(v.load(x[0], v.at(x[1], loop.index)))
            for total, partner in zip(sums, turned, strict=False):
                builder.store(v.multiply_add(g, partner, builder.load(total)), total)
            builder.store(builder.fadd(g, builder.load(sums[-1])), sums[-1])
        for total, place in zip(sums, places, strict=True):
            v.store(builder.load(total), totals[0], place)
        return context.get_dummy_value()

    def collect(typingctx, x, x_at, n, dy, dy_at, totals, totals_at):  # type: ignore[no-untyped-def]
        i = types.intp
        return types.void(x, i, i, dy, i, totals, i), codegen

    return _named(collect, make_collect, str(dtype), n_channels)
