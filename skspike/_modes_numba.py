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

ROWS, COLUMNS = 4, 2  # results at once of a sum over modes
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


@functools.cache
def make_expand(dtype: np.dtype) -> Callable:
    r"""Return a function for templates that adds up products of powers of modes.

    ``expand(w, at, q, at, n, y, at, step)`` computes :math:`y_{kl} = \operatorname{Re} \sum_m
    w_{km} q_{lm}` for `ROWS` k and `COLUMNS` l and n modes m. Results k lie `step` numbers apart,
    results l follow each other, and so do the modes of each k and of each l, these one after the
    other.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        w, w_at, q, q_at, n, y, y_at, step = _unpacked(context, builder, signature, values)
        v = _machine(context, builder, signature, dtype)
        sums = _Registers(v, [(v.constant(None),)] * (ROWS * COLUMNS))
        pair, one = (ir.Constant(n.type, i * v.lanes) for i in (2, 1))
        n_numbers = builder.mul(n, pair)

        def load(array: Any, at: Any, i: int, m: Any) -> tuple:
            row = builder.add(at, builder.mul(n_numbers, ir.Constant(n.type, i)))
            return v.get(array, builder.add(row, builder.mul(m, pair)))

        with cgutils.for_range(builder, n) as loop:
            left = [load(w, w_at, k, loop.index) for k in range(ROWS)]
            for column in range(COLUMNS):
                re, im = v.conjugate(load(q, q_at, column, loop.index))
                for k, factor in enumerate(left):
                    i = k * COLUMNS + column
                    total = v.multiply_add(factor[0], re, sums[i][0])
                    sums[i] = (v.multiply_add(factor[1], im, total),)
        for i in range(ROWS * COLUMNS):
            k, column = (ir.Constant(n.type, j) for j in divmod(i, COLUMNS))
            at = builder.add(y_at, builder.mul(step, k))
            v.store(sums[i][0], y, builder.add(at, builder.mul(one, column)))
        return context.get_dummy_value()

    def expand(typingctx, w, w_at, q, q_at, n, y, y_at, step):  # type: ignore[no-untyped-def]
        i = types.intp
        return types.void(w, i, q, i, i, y, i, i), codegen

    return _of_modes(expand, make_expand, str(dtype))


@functools.cache
def make_collect(dtype: np.dtype) -> Callable:
    r"""Return a function for templates that adds up products of powers with real numbers.

    ``collect(y, at, step, q, at, n, n_modes, u, at)`` computes :math:`u_k = \sum_l \bar q_l y_{kl}`
    for `ROWS` k over n l. Numbers k of `y` lie `step` apart, those of `u` as far as `n_modes`
    complex numbers; numbers l of `y` and `q` follow each other.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        y, y_at, step, q, q_at, n, n_modes, u, u_at = _unpacked(context, builder, signature, values)
        v = _machine(context, builder, signature, dtype)
        sums = _Registers(v, [(v.constant(None),) * 2] * ROWS)
        apart = builder.mul(n_modes, ir.Constant(n.type, 2 * v.lanes))
        rows = [ir.Constant(n.type, k) for k in range(ROWS)]
        starts = [builder.add(y_at, builder.mul(step, k)) for k in rows]
        with cgutils.for_range(builder, n) as loop:
            power = v.conjugate(v.get(q, _step(v, q_at, loop.index, 2)))
            for k, start in enumerate(starts):
                number = v.load(y, _step(v, start, loop.index, 1))
                sums[k] = tuple(map(v.multiply_add, power, (number, number), sums[k]))
        for k, row in enumerate(rows):
            v.put(sums[k], u, builder.add(u_at, builder.mul(apart, row)))
        return context.get_dummy_value()

    def collect(  # type: ignore[no-untyped-def]
        typingctx, y, y_at, step, q, q_at, n, n_modes, u, u_at
    ):
        i = types.intp
        return types.void(y, i, i, q, i, i, i, u, i), codegen

    return _of_modes(collect, make_collect, str(dtype))


def _unpacked(context: Any, builder: Any, signature: Any, values: Any) -> list:
    """Return the arguments, the data of an array in place of it."""
    data = iter(_places(context, builder, signature, values, 0))
    return [
        next(data)[0] if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, values, strict=True)
    ]


def _of_modes(function: Callable, maker: Callable, *choices: object) -> Callable:
    """Return an intrinsic that is told apart by this module and by those under it."""
    return _named(
        function, maker, inspect.getsource(_radix_numba), (GROUP, ROWS, COLUMNS), *choices
    )
