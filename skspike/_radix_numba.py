"""Steps of Fourier transforms on vector registers: what compiled templates of long ones build upon.

A transform of a whole vector of sequences at once: each complex number of a flat array is
``n_lanes(dtype)`` real parts, then as many imaginary parts, one for each sequence.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from . import _tile_numba
from ._tile_numba import _intrinsic, _places, _Vectors, n_lanes


class _Complex(_Vectors):
    """Instructions on pairs (real part, imaginary part) of vectors."""

    def get(self, array: Any, i: Any) -> tuple:
        return self.load(array, i), self.load(array, self.plus(i, self.lanes))

    def put(self, z: tuple, array: Any, i: Any) -> None:
        self.store(z[0], array, i)
        self.store(z[1], array, self.plus(i, self.lanes))

    def get_root(self, table: Any, i: Any) -> tuple:
        """Load one complex number into all lanes."""
        return self.spread(table, i), self.spread(table, self.plus(i, 1))

    def number(self, value: float) -> Any:
        return ir.Constant(self.kind, [value] * self.lanes)

    def add(self, x: tuple, y: tuple) -> tuple:
        return tuple(map(self.builder.fadd, x, y))

    def subtract(self, x: tuple, y: tuple) -> tuple:
        return tuple(map(self.builder.fsub, x, y))

    def conjugate(self, z: tuple) -> tuple:
        return z[0], self.builder.fneg(z[1])

    def times(self, x: tuple, y: tuple, total: tuple | None = None) -> tuple:
        """Multiply, and add that to a total."""
        minus = self.builder.fneg(x[1])
        if total is None:
            parts = self.builder.fmul(x[0], y[0]), self.builder.fmul(x[0], y[1])
        else:
            parts = tuple(self.multiply_add(x[0], b, t) for b, t in zip(y, total, strict=True))
        return self.multiply_add(minus, y[1], parts[0]), self.multiply_add(x[1], y[0], parts[1])

    def transform(self, z: Sequence[tuple], sign: int) -> list[tuple]:
        r"""Return :math:`\sum_q z_q \exp(2 \pi i\, \mathrm{sign}\, p q / R)` for all p < R."""
        half = len(z) // 2
        if half == 0:
            return list(z)
        even, odd = self.transform(z[::2], sign), self.transform(z[1::2], sign)
        sums, differences = [], []
        for p in range(half):
            a, (re, im), angle = even[p], odd[p], sign * math.pi * p / half
            if p == 0:
                sums.append(self.add(a, odd[p]))
                differences.append(self.subtract(a, odd[p]))
            elif 2 * p == half:  # times i or -i
                turned = (im, self.builder.fneg(re)) if sign < 0 else (self.builder.fneg(im), re)
                sums.append(self.add(a, turned))
                differences.append(self.subtract(a, turned))
            else:  # times (+-1 +- i) / sqrt(2)
                c, s = (math.copysign(1, f(angle)) for f in (math.cos, math.sin))
                re, im = self._signed(c, re, -s, im), self._signed(c, im, s, re)
                for results, size in ((sums, math.sqrt(0.5)), (differences, -math.sqrt(0.5))):
                    scale = self.number(size)
                    parts = zip((re, im), a, strict=True)
                    results.append(tuple(self.multiply_add(scale, b, t) for b, t in parts))
        return sums + differences

    def _signed(self, c: float, x: Any, s: float, y: Any) -> Any:
        """Return c x + s y for signs c and s."""
        if c < 0:
            x, y = (y, x) if s > 0 else (self.builder.fneg(x), y)
            return self.builder.fsub(x, y)
        return (self.builder.fadd if s > 0 else self.builder.fsub)(x, y)


def _machine(context: Any, builder: Any, signature: Any, dtype: np.dtype) -> _Complex:
    return _Complex(builder, context.get_value_type(signature.args[0].dtype), n_lanes(dtype))


def _named(function: Callable, maker: Callable, *choices: object) -> Callable:
    """Return an intrinsic that is told apart by this module and by the one under it."""
    return _intrinsic(function, maker, inspect.getsource(_tile_numba), *choices)


@functools.cache
def make_step(
    dtype: np.dtype, radix: int, *, inverse: bool = False, turned: bool = True
) -> Callable:
    r"""Return a function for templates that does one butterfly of a transform.

    ``step(z, at, step, table, table_at)`` takes `radix` complex numbers, which lie `step` apart,
    and writes their transform in place, number p multiplied by root p - 1 of the table if `turned`:
    decimation in frequency. If `inverse`, it multiplies by the conjugates, and then transforms
    with the other sign: decimation in time.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (z, at), (table, table_at) = (
            (places[0], places[1]) for places in _places(context, builder, signature, values, 1)
        )
        v, apart = _machine(context, builder, signature, dtype), values[2]
        at = [builder.add(at, builder.mul(apart, ir.Constant(at.type, q))) for q in range(radix)]
        numbers = [v.get(z, place) for place in at]
        roots = [v.get_root(table, v.plus(table_at, 2 * p)) for p in range(radix - 1)]
        if inverse and turned:
            roots = [v.conjugate(root) for root in roots]
            numbers[1:] = map(v.times, roots, numbers[1:])
        numbers = v.transform(numbers, 1 if inverse else -1)
        if turned and not inverse:
            numbers[1:] = map(v.times, roots, numbers[1:])
        for number, place in zip(numbers, at, strict=True):
            v.put(number, z, place)
        return context.get_dummy_value()

    def step(typingctx, z, at, step, table, table_at):  # type: ignore[no-untyped-def]
        return types.void(z, types.intp, types.intp, table, types.intp), codegen

    return _named(step, make_step, str(dtype), radix, inverse, turned)


@functools.cache
def make_filter(dtype: np.dtype, *, adjoint: bool = False, correlate: bool = False) -> Callable:
    """Return a function for templates that multiplies eight frequencies, there and back at once.

    ``filter(z, at, spectrum, at)`` transforms eight complex numbers that follow each other,
    multiplies them by a spectrum, or its conjugate if `adjoint`, and transforms them back. With
    `correlate`, ``filter(z, at, spectrum, at, other, at, total, at)`` also adds the product of the
    conjugate of another spectrum with that of `z` to a total.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        places = _places(context, builder, signature, values, 1)
        v = _machine(context, builder, signature, dtype)
        (z, at), (spectrum, spectrum_at) = places[:2]
        numbers = v.transform([v.get(z, v.plus(at, 2 * v.lanes * p)) for p in range(8)], -1)
        for p, number in enumerate(numbers):
            if correlate:
                (other, other_at), (total, total_at) = places[2:]
                to = v.plus(total_at, 2 * v.lanes * p)
                x = v.conjugate(v.get(other, v.plus(other_at, 2 * v.lanes * p)))
                v.put(v.times(x, number, v.get(total, to)), total, to)
            factor = v.get(spectrum, v.plus(spectrum_at, 2 * v.lanes * p))
            numbers[p] = v.times(v.conjugate(factor) if adjoint else factor, number)
        for p, number in enumerate(v.transform(numbers, 1)):
            v.put(number, z, v.plus(at, 2 * v.lanes * p))
        return context.get_dummy_value()

    if correlate:

        def filter_(  # type: ignore[no-untyped-def]
            typingctx, z, at, spectrum, spectrum_at, other, other_at, total, total_at
        ):
            i = types.intp
            return types.void(z, i, spectrum, i, other, i, total, i), codegen

    else:

        def filter_(typingctx, z, at, spectrum, spectrum_at):  # type: ignore[no-untyped-def]
            return types.void(z, types.intp, spectrum, types.intp), codegen

    return _named(filter_, make_filter, str(dtype), adjoint, correlate)


@functools.cache
def make_enter(dtype: np.dtype) -> Callable:
    """Return a function for templates that makes two vectors the parts of a complex number.

    ``enter(x, re_at, im_at, z, at, turned_at, table, table_at, ahead)`` writes that number to one
    place, and multiplied by a root of the table to another. Without an imaginary part, both places
    in `x` are the same. What lies `ahead` numbers after them is fetched into the cache.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        arrays = _places(context, builder, signature, values, 1)
        (x, re_at), (z, at), (table, table_at) = arrays
        v = _machine(context, builder, signature, dtype)
        im_at, ahead = values[2], values[8]
        im = builder.select(
            builder.icmp_signed("==", re_at, im_at), v.constant(None), v.load(x, im_at)
        )
        number = v.load(x, re_at), im
        for place in (re_at, im_at):
            v.fetch(x, builder.add(place, ahead), to_write=False)
        v.put(number, z, at)
        v.put(v.times(v.get_root(table, table_at), number), z, values[5])
        return context.get_dummy_value()

    def enter(  # type: ignore[no-untyped-def]
        typingctx, x, re_at, im_at, z, at, turned_at, table, table_at, ahead
    ):
        i = types.intp
        return types.void(x, i, i, z, i, i, table, i, i), codegen

    return _named(enter, make_enter, str(dtype))


@functools.cache
def make_leave(dtype: np.dtype, *, subtract: bool = False) -> Callable:
    """Return a function for templates that undoes what that of :func:`make_enter` does.

    ``leave(z, at, turned_at, table, table_at, y, re_at, im_at, ahead)`` multiplies the number at
    `turned_at` by the conjugate of a root, adds it to the one at `at` or subtracts it from that,
    and writes both parts; the imaginary part is lost where both places in `y` are the same.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (z, at), (table, table_at), (y, re_at) = _places(context, builder, signature, values, 1)
        v = _machine(context, builder, signature, dtype)
        root = v.conjugate(v.get_root(table, table_at))
        if subtract:
            root = tuple(map(builder.fneg, root))
        number = v.times(root, v.get(z, values[2]), v.get(z, at))
        for part, place in ((number[1], values[7]), (number[0], re_at)):
            v.fetch(y, builder.add(place, values[8]), to_write=True)
            v.store(part, y, place)
        return context.get_dummy_value()

    def leave(  # type: ignore[no-untyped-def]
        typingctx, z, at, turned_at, table, table_at, y, re_at, im_at, ahead
    ):
        i = types.intp
        return types.void(z, i, i, table, i, y, i, i, i), codegen

    return _named(leave, make_leave, str(dtype), subtract)
