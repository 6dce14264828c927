"""Linear recurrences on vector registers: what compiled templates of state space models build upon.

A few modes of a vector of channels stay in registers, while time goes on. As in `_radix_numba`,
each complex number of a flat array is ``n_lanes(dtype)`` real parts, then as many imaginary parts;
a real one is ``n_lanes(dtype)`` numbers.
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

from . import _radix_numba
from ._radix_numba import _Complex, _machine, _named
from ._tile_numba import _places

GROUP = 2  # modes at once: their numbers, and the sums of their gradients, fit into the registers


class _Registers:
    """Complex numbers that change from one turn of a loop to the next."""

    def __init__(self, v: _Complex, numbers: list[tuple]) -> None:
        # LLVM turns these stack slots into registers.
        self.v = v
        self.slots = [tuple(cgutils.alloca_once(v.builder, v.kind) for _ in z) for z in numbers]
        for i, z in enumerate(numbers):
            self[i] = z

    def __getitem__(self, i: int) -> tuple:
        return tuple(self.v.builder.load(slot) for slot in self.slots[i])

    def __setitem__(self, i: int, z: tuple) -> None:
        for slot, part in zip(self.slots[i], z, strict=True):
            self.v.builder.store(part, slot)

    def write(self, array: Any, at: Any) -> None:
        for i in range(len(self.slots)):
            self.v.put(self[i], array, self.v.plus(at, 2 * i * self.v.lanes))


def _group(v: _Complex, array: Any, at: Any) -> list[tuple]:
    """Load the numbers of a group of modes."""
    return [v.get(array, v.plus(at, 2 * g * v.lanes)) for g in range(GROUP)]


def _advanced(v: _Complex, s: tuple, d: tuple, x: Any) -> tuple:
    """Return d s + x for a real x."""
    minus = v.builder.fneg(d[1])
    re = v.multiply_add(d[0], s[0], v.multiply_add(minus, s[1], x))
    return re, v.multiply_add(d[0], s[1], v.builder.fmul(d[1], s[0]))


def _step(v: _Complex, at: Any, i: Any, numbers: int) -> Any:
    """Return the place that is `numbers` times i vectors behind another one."""
    return v.builder.add(at, v.builder.mul(i, ir.Constant(i.type, numbers * v.lanes)))


@functools.cache
def make_advance(dtype: np.dtype) -> Callable:
    r"""Return a function for templates that runs a group of modes over time.

    ``advance(x, at, n, d, at, c, at, s, at, y, at, add)`` computes :math:`s \leftarrow d s + x_t`
    and :math:`y_t = \operatorname{Re} \sum c s`, added to what `y` holds if `add`, for n steps.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x, x_at, n, d, d_at, c, c_at, s, s_at, y, y_at, add = _unpacked(
            context, builder, signature, values
        )
        v = _machine(context, builder, signature, dtype)
        d, c, state = _group(v, d, d_at), _group(v, c, c_at), _Registers(v, _group(v, s, s_at))
        with cgutils.for_range(builder, n) as loop:
            x_t, to = v.load(x, _step(v, x_at, loop.index, 1)), _step(v, y_at, loop.index, 1)
            total = builder.select(add, v.load(y, to), v.constant(None))
            for g in range(GROUP):
                state[g] = re, im = _advanced(v, state[g], d[g], x_t)
                total = v.multiply_add(c[g][0], re, total)
                total = v.multiply_add(builder.fneg(c[g][1]), im, total)
            v.store(total, y, to)
        state.write(s, s_at)
        return context.get_dummy_value()

    def advance(  # type: ignore[no-untyped-def]
        typingctx, x, x_at, n, d, d_at, c, c_at, s, s_at, y, y_at, add
    ):
        i = types.intp
        return types.void(x, i, i, d, i, c, i, s, i, y, i, types.boolean), codegen

    return _of_modes(advance, make_advance, str(dtype))


@functools.cache
def make_record(dtype: np.dtype) -> Callable:
    """Return a function for templates that writes down what a group of modes runs through.

    ``record(x, at, n, d, at, s, at, states, at)`` writes the modes before the first step, then
    those after each of n steps; `s` stays as it is.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x, x_at, n, d, d_at, s, s_at, states, at = _unpacked(context, builder, signature, values)
        v = _machine(context, builder, signature, dtype)
        d, state = _group(v, d, d_at), _Registers(v, _group(v, s, s_at))
        state.write(states, at)
        with cgutils.for_range(builder, n) as loop:
            x_t = v.load(x, _step(v, x_at, loop.index, 1))
            for g in range(GROUP):
                state[g] = _advanced(v, state[g], d[g], x_t)
            after = builder.add(loop.index, ir.Constant(n.type, 1))
            state.write(states, _step(v, at, after, 2 * GROUP))
        return context.get_dummy_value()

    def record(typingctx, x, x_at, n, d, d_at, s, s_at, states, at):  # type: ignore[no-untyped-def]
        i = types.intp
        return types.void(x, i, i, d, i, s, i, states, i), codegen

    return _of_modes(record, make_record, str(dtype))


@functools.cache
def make_retreat(dtype: np.dtype) -> Callable:
    r"""Return a function for templates that runs gradients of a group of modes back over time.

    ``retreat(dy, at, n, d, at, c, at, states, at, ds, at, dd, at, dc, at, dx, at, add)`` takes n
    steps from the last to the first. With the gradient g that arrives at the modes from later steps
    in `ds`, it computes :math:`h = g + \bar c\, dy_t`, :math:`dx_t = \operatorname{Re} \sum h`,
    added to what `dx` holds if `add`, and :math:`g \leftarrow \bar d h`, and adds
    :math:`\bar s_{t-1} h` to `dd` and :math:`\bar s_t\, dy_t` to `dc`. The states are those that
    :func:`make_record` writes.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        dy, dy_at, n, d, d_at, c, c_at, states, at, *rest, dx, dx_at, add = _unpacked(
            context, builder, signature, values
        )
        v = _machine(context, builder, signature, dtype)
        d, c = _group(v, d, d_at), _group(v, c, c_at)
        d, c = [list(map(v.conjugate, group)) for group in (d, c)]
        places = list(zip(rest[::2], rest[1::2], strict=True))
        ds, dd, dc = (_Registers(v, _group(v, *place)) for place in places)
        with cgutils.for_range(builder, n) as loop:
            t = builder.sub(builder.sub(n, loop.index), ir.Constant(n.type, 1))
            dy_t, to = v.load(dy, _step(v, dy_at, t, 1)), _step(v, dx_at, t, 1)
            total = builder.select(add, v.load(dx, to), v.constant(None))
            before = _step(v, at, t, 2 * GROUP)
            s_before = [v.conjugate(s) for s in _group(v, states, before)]
            after = v.plus(before, 2 * GROUP * v.lanes)
            s_after = [v.conjugate(s) for s in _group(v, states, after)]
            for g in range(GROUP):
                h = tuple(map(v.multiply_add, c[g], (dy_t, dy_t), ds[g]))
                dc[g] = tuple(map(v.multiply_add, s_after[g], (dy_t, dy_t), dc[g]))
                dd[g] = v.times(s_before[g], h, dd[g])
                ds[g] = v.times(d[g], h)
                total = builder.fadd(total, h[0])
            v.store(total, dx, to)
        for registers, place in zip((ds, dd, dc), places, strict=True):
            registers.write(*place)
        return context.get_dummy_value()

    def retreat(  # type: ignore[no-untyped-def]
        typingctx,
        dy, dy_at, n, d, d_at, c, c_at, states, at, ds, ds_at, dd, dd_at, dc, dc_at, dx, dx_at, add,
    ):  # fmt: skip
        i = types.intp
        arrays = types.void(
            dy, i, i, d, i, c, i, states, i, ds, i, dd, i, dc, i, dx, i, types.boolean
        )
        return arrays, codegen

    return _of_modes(retreat, make_retreat, str(dtype))


def _unpacked(context: Any, builder: Any, signature: Any, values: Any) -> list:
    """Return the arguments, the data of an array in place of it."""
    data = iter(_places(context, builder, signature, values, 0))
    return [
        next(data)[0] if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, values, strict=True)
    ]


def _of_modes(function: Callable, maker: Callable, *choices: object) -> Callable:
    """Return an intrinsic that is told apart by this module and by those under it."""
    return _named(function, maker, inspect.getsource(_radix_numba), GROUP, *choices)
