"""Small matrix products held in vector registers: what compiled templates build upon.

Numba vectorises loops, but does not keep a block of results in registers while it adds up a
product; with that, a matrix product runs at the speed of the processor's multipliers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@functools.cache
def vector_bytes() -> int:
    """Return the width of a vector register of this machine."""
    features = llvmlite.binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx") else 16


def n_lanes(dtype: np.dtype) -> int:
    """Return how many numbers fill a vector register."""
    return vector_bytes() // dtype.itemsize


def n_rows(dtype: np.dtype) -> int:
    """Return the rows of a tile, whose results fill half of the vector registers (or fewer)."""
    return min(n_lanes(dtype), 8 if vector_bytes() == 64 else 4)


def has_bfloat16_products() -> bool:
    """Tell whether this machine adds up products of pairs of bfloat16 in one instruction."""
    named = llvmlite.binding.llvm_version_info >= (16,)  # as below
    return named and bool(llvmlite.binding.get_host_cpu_features().get("avx512bf16"))


class _BFloat16(ir.Type):
    """LLVM's type of that number, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat16)

    def __hash__(self) -> int:
        return hash(_BFloat16)


@functools.cache
def make_tile(
    dtype: np.dtype, kind: str, *, by_row: bool = False, prefetch: str = "", compact: str = ""
) -> Callable:
    r"""Return a function for templates that multiplies a few rows of one matrix by another.

    ``tile((a, at, step), (b, at, step), (c, at, step), n, add, ahead)`` computes
    :math:`c_{rl} = \sum_{k < n} a_{rk} b_{kl}`, added to what `c` holds if `add`, for
    ``n_rows(dtype)`` rows r and ``n_lanes(dtype)`` lanes l. `a`, `b`, `c` are flat arrays that hold
    the matrices from the offset `at` on, and it is `step` from one k (in `c`: one r) to the next.
    The lanes are neighbours in memory; complex matrices hold so many real parts, then as many
    imaginary parts. So does `a` with its rows, or if `by_row` with its k, a multiple of those being
    a step apart.

    `kind` is ``"real"``, ``"complex"``, ``"conjugate"`` for the conjugate of `b`, or ``"adjoint"``
    for that of `a`. What lies `ahead` numbers after the part of ``"b"`` or ``"c"`` in use is
    fetched into the cache, if `prefetch` names one of them.

    With `compact`, complex matrices are arrays of 32 bits: one for each number, the real part in
    the lower and the imaginary part in the upper half, both bfloat16. `compact` is ``"in"`` for
    such `a` and `b`, or ``"out"`` for such a `c`, which is written and not added to. Products of
    bfloat16 are exact in float32, in which they are added up.
    """
    lanes, rows = n_lanes(dtype), n_rows(dtype)
    parts = 1 if kind == "real" else 2
    width = lanes if compact == "in" else parts * lanes  # of a row of `a` and `b`

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        *matrices, n, add, ahead = values
        (a, a_at, a_step), (b, b_at, b_step), (c, c_at, c_step) = (
            unpack(context, builder, *pair) for pair in zip(signature.args, matrices, strict=False)
        )
        number = context.get_value_type(signature.args[2 if compact == "in" else 0][0].dtype)
        vector = ir.VectorType(number, lanes)
        bits = ir.VectorType(ir.IntType(32), lanes)
        halves = ir.VectorType(_BFloat16(), 2 * lanes)

        def multiply_add(x: Any, y: Any, total: Any) -> Any:
            kind = ir.FunctionType(vector, [vector] * 3)
            name = f"llvm.fmuladd.v{lanes}{number.intrinsic_name}"
            return builder.call(
                cgutils.get_or_insert_function(builder.module, kind, name), [x, y, total]
            )

        def multiply_add_pairs(x: Any, y: Any, total: Any) -> Any:
            kind = ir.FunctionType(vector, [vector, halves, halves])
            name = "llvm.x86.avx512bf16.dpbf16ps.512"
            return builder.call(
                cgutils.get_or_insert_function(builder.module, kind, name), [total, x, y]
            )

        def plus(i: Any, j: int) -> Any:
            return builder.add(i, ir.Constant(i.type, j))

        def pointer(array: Any, i: Any) -> Any:
            kind = bits if array.type.pointee == ir.IntType(32) else vector
            return builder.bitcast(builder.gep(array, [i]), kind.as_pointer())

        def load(array: Any, i: Any) -> Any:
            return builder.load(pointer(array, i), align=dtype.itemsize)

        def spread(array: Any, i: Any) -> Any:
            one = builder.load(builder.gep(array, [i]))
            none, index = ir.Constant(ir.VectorType(one.type, lanes), ir.Undefined), ir.IntType(32)
            first = builder.insert_element(none, one, ir.Constant(index, 0))
            return builder.shuffle_vector(
                first, none, ir.Constant(ir.VectorType(index, lanes), None)
            )

        def every(number: int) -> Any:
            return ir.Constant(bits, [number] * lanes)

        def fetch(array: Any, i: Any, *, to_write: bool) -> None:
            byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
            touch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            place = builder.bitcast(builder.gep(array, [i]), byte)
            builder.call(touch, [place, *(ir.Constant(flag, v) for v in (int(to_write), 3, 1))])

        # LLVM turns these stack slots into registers.
        sums, places = {}, {}
        for r in range(rows):
            row = builder.add(c_at, builder.mul(c_step, ir.Constant(c_step.type, r)))
            for part in range(parts):
                places[r, part] = plus(row, part * lanes)
                sums[r, part] = cgutils.alloca_once(builder, vector)
                before = ir.Constant(vector, None)
                if compact != "out":
                    before = builder.select(add, load(c, places[r, part]), before)
                builder.store(before, sums[r, part])
                if prefetch == "c":
                    fetch(c, builder.add(places[r, part], ahead), to_write=True)

        def add_product(r: int, part: int, x: Any, y: Any, of: Any = multiply_add) -> None:
            builder.store(of(x, y, builder.load(sums[r, part])), sums[r, part])

        def accumulate_parts(at: Any, b_k: Any) -> None:
            b_re, b_im = load(b, b_k), load(b, plus(b_k, lanes)) if parts == 2 else None
            if prefetch == "b":
                for part in range(parts):
                    fetch(b, plus(builder.add(b_k, ahead), part * lanes), to_write=False)
            for r in range(rows):
                a_rk = plus(at, r * width if by_row else r)
                a_re = spread(a, a_rk)
                add_product(r, 0, a_re, b_re)
                if parts == 1:
                    continue
                a_im = spread(a, plus(a_rk, lanes))
                add_product(r, 1, builder.fneg(a_re) if kind == "conjugate" else a_re, b_im)
                add_product(r, 0, builder.fneg(a_im) if kind == "complex" else a_im, b_im)
                add_product(r, 1, builder.fneg(a_im) if kind == "adjoint" else a_im, b_re)

        def accumulate_pairs(at: Any, b_k: Any) -> None:
            # Each lane adds up two products: of the pair that `a` has in all lanes with what `b`
            # contributes to the real part of the result, and with what to its imaginary part.
            pair = load(b, b_k)
            high, low = every(0x80000000), every(0x8000)
            swapped = builder.or_(builder.shl(pair, every(16)), builder.lshr(pair, every(16)))
            negative = builder.xor(swapped, low if kind == "conjugate" else high)
            to_re = builder.xor(pair, high) if kind == "complex" else pair
            to_im = swapped if kind == "complex" else negative
            factors = [builder.bitcast(factor, halves) for factor in (to_re, to_im)]
            for r in range(rows):
                a_rk = builder.bitcast(spread(a, plus(at, r * width if by_row else r)), halves)
                for part, factor in enumerate(factors):
                    add_product(r, part, a_rk, factor, of=multiply_add_pairs)

        def pack(re: Any, im: Any) -> Any:
            short = ir.VectorType(ir.IntType(16), lanes)
            half = ir.VectorType(_BFloat16(), lanes)
            re, im = (
                builder.zext(builder.bitcast(builder.fptrunc(v, half), short), bits)
                for v in (re, im)
            )
            return builder.or_(re, builder.shl(im, every(16)))

        with cgutils.for_range(builder, n) as loop:
            k, n_lane = loop.index, ir.Constant(n.type, lanes)
            if by_row:
                block = builder.mul(builder.udiv(k, n_lane), a_step)
                at = builder.add(a_at, builder.add(block, builder.urem(k, n_lane)))
            else:
                at = builder.add(a_at, builder.mul(k, a_step))
            b_k = builder.add(b_at, builder.mul(k, b_step))
            accumulate = accumulate_pairs if compact == "in" else accumulate_parts
            accumulate(at, b_k)
        if compact == "out":
            for r in range(rows):
                pair = pack(*(builder.load(sums[r, part]) for part in range(parts)))
                builder.store(pair, pointer(c, places[r, 0]), align=dtype.itemsize)
            return context.get_dummy_value()
        for key, place in places.items():
            builder.store(builder.load(sums[key]), pointer(c, place), align=dtype.itemsize)
        return context.get_dummy_value()

    def unpack(context: Any, builder: Any, kind: Any, value: Any) -> tuple:
        array, at, step = cgutils.unpack_tuple(builder, value, 3)
        return context.make_array(kind[0])(context, builder, array).data, at, step

    def tile(typingctx, a, b, c, n, add, ahead):  # type: ignore[no-untyped-def]
        matrices = (types.Tuple((m[0], types.intp, types.intp)) for m in (a, b, c))
        return types.void(*matrices, types.intp, types.boolean, types.intp), codegen

    # `specialize` tells versions apart by name: this one is made from all that decides the code.
    choices = str(dtype), kind, by_row, lanes, rows, prefetch, compact
    content = (inspect.getsource(make_tile), *choices)
    tile.__name__ = f"tile_{blake2b(repr(content).encode(), digest_size=8).hexdigest()}"
    return intrinsic(tile)
