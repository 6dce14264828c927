"""Small operations on vector registers: what compiled templates of matrix products build upon.

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

# --- the machine ---


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


def n_real_rows(dtype: np.dtype) -> int:
    """Return the rows of a tile of kind ``"real"``: enough to keep the multipliers busy."""
    return max(1, n_rows(dtype) // 2)


def has_bfloat16_products() -> bool:
    """Tell whether this machine adds up products of pairs of bfloat16 in one instruction."""
    named = llvmlite.binding.llvm_version_info >= (16,)  # older ones take other types there
    return named and bool(llvmlite.binding.get_host_cpu_features().get("avx512bf16"))


# --- vectors ---


class _BFloat16(ir.Type):
    """LLVM's type of that number, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat16)

    def __hash__(self) -> int:
        return hash(_BFloat16)


class _Vectors:
    """Instructions on vectors of floating point numbers, or of 32 bits."""

    def __init__(self, builder: Any, number: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes
        self.kind = ir.VectorType(number, lanes)
        self.bits = ir.VectorType(ir.IntType(32), lanes)
        self.pairs = ir.VectorType(_BFloat16(), 2 * lanes)
        self.suffix = f"v{lanes}{number.intrinsic_name}"

    def constant(self, value: Any) -> Any:
        """Return a vector with one number in all lanes, None for zeros."""
        if value is None:
            return ir.Constant(self.kind, None)
        return ir.Constant(self.bits, [value] * self.lanes)

    def plus(self, i: Any, j: int) -> Any:
        return self.builder.add(i, ir.Constant(i.type, j))

    def pointer(self, array: Any, i: Any) -> Any:
        kind = ir.VectorType(array.type.pointee, self.lanes)
        return self.builder.bitcast(self.builder.gep(array, [i]), kind.as_pointer())

    def load(self, array: Any, i: Any) -> Any:
        return self.builder.load(self.pointer(array, i), align=2)

    def store(self, value: Any, array: Any, i: Any) -> None:
        self.builder.store(value, self.pointer(array, i), align=2)

    def spread(self, array: Any, i: Any) -> Any:
        """Load one number into all lanes."""
        one = self.builder.load(self.builder.gep(array, [i]))
        none = ir.Constant(ir.VectorType(one.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(none, one, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        return self.builder.shuffle_vector(first, none, mask)

    def fetch(self, array: Any, i: Any, *, to_write: bool) -> None:
        """Fetch memory into the cache."""
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        place = self.builder.bitcast(self.builder.gep(array, [i]), byte)
        flags = (ir.Constant(flag, value) for value in (int(to_write), 3, 1))
        self._call("llvm.prefetch.p0", kind, [place, *flags])

    def multiply_add(self, x: Any, y: Any, total: Any) -> Any:
        kind = ir.FunctionType(self.kind, [self.kind] * 3)
        return self._call(f"llvm.fmuladd.{self.suffix}", kind, [x, y, total])

    def multiply_add_pairs(self, x: Any, y: Any, total: Any) -> Any:
        """Add both products of each lane, of which `x` and `y` have two bfloat16."""
        kind = ir.FunctionType(self.kind, [self.kind, self.pairs, self.pairs])
        x, y = (self.builder.bitcast(v, self.pairs) for v in (x, y))
        return self._call("llvm.x86.avx512bf16.dpbf16ps.512", kind, [total, x, y])

    def widen(self, value: Any) -> Any:
        """Read bfloat16, given as 16 bits, as float32: its upper half."""
        bits = self.builder.shl(self.builder.zext(value, self.bits), self.constant(16))
        return self.builder.bitcast(bits, self.kind)

    def round(self, value: Any) -> Any:
        """Round float32 to the nearest bfloat16, ties to even, in the lower half of 32 bits."""
        bits = self.builder.bitcast(value, self.bits)
        odd = self.builder.and_(self.builder.lshr(bits, self.constant(16)), self.constant(1))
        up = self.builder.add(self.builder.add(bits, self.constant(0x7FFF)), odd)
        number = self.builder.fcmp_ordered("ord", value, value)
        rounded = self.builder.select(number, up, self.constant(0x7FC00000))
        return self.builder.lshr(rounded, self.constant(16))

    def swap_halves(self, value: Any) -> Any:
        """Swap the two halves of each lane."""
        up, down = self.builder.shl, self.builder.lshr
        return self.builder.or_(up(value, self.constant(16)), down(value, self.constant(16)))

    def _call(self, name: str, kind: Any, args: list) -> Any:
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, args)


def _places(context: Any, builder: Any, signature: Any, values: Any, n: int) -> list[tuple]:
    """Return the data of each array among the arguments with the `n` numbers that follow it."""
    # Not tuples: those would count references, each time as costly as the operation itself.
    return [
        (context.make_array(kind)(context, builder, value).data, *values[i + 1 : i + 1 + n])
        for i, (kind, value) in enumerate(zip(signature.args, values, strict=True))
        if isinstance(kind, types.Array)
    ]


def _intrinsic(function: Callable, maker: Callable, *choices: object) -> Callable:
    """Return an intrinsic with a name of its own, by which `specialize` tells versions apart."""
    # all of this module decides the code: the maker, and what it calls
    content = inspect.getsource(inspect.getmodule(maker)), vector_bytes(), *choices
    function.__name__ += f"_{blake2b(repr(content).encode(), digest_size=8).hexdigest()}"
    return intrinsic(function)


# --- operations ---


@functools.cache
def make_tile(
    dtype: np.dtype,
    kind: str,
    *,
    by_row: bool = False,
    prefetch: bool = False,
    compact: bool = False,
) -> Callable:
    r"""Return a function for templates that multiplies a few rows of one matrix by another.

    ``tile(a, at, step, b, at, step, c, at, step, n, add, ahead)`` computes
    :math:`c_{rl} = \sum_{k < n} a_{rk} b_{kl}`, added to what `c` holds if `add`, for
    ``n_rows(dtype)`` rows r and ``n_lanes(dtype)`` lanes l of complex numbers. `a`, `b`, `c` are
    flat arrays that hold the matrices from the offset `at` on, and it is `step` from one k (in
    `c`: one r) to the next. The lanes are neighbours in memory: so many real parts, then as many
    imaginary parts. So are the rows of `a`, or if `by_row` its k, a multiple of those being a step
    apart.

    `kind` is ``"complex"``, ``"conjugate"`` for the conjugate of `b`, ``"adjoint"`` for that of
    `a`, or ``"real"`` for an `a` without imaginary parts, which has ``n_real_rows(dtype)`` rows.
    With `prefetch`, what lies `ahead` numbers after the part of `c` in use is fetched into the
    cache.

    With `compact`, `a` and `b` are arrays of 32 bits: one for each number, the real part in the
    lower and the imaginary part in the upper half, both bfloat16. Their products are exact in
    float32, in which they are added up.
    """
    lanes = n_lanes(dtype)
    rows = n_real_rows(dtype) if kind == "real" else n_rows(dtype)
    width = lanes if compact or kind == "real" else 2 * lanes  # of a row of `a`

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        matrices = _places(context, builder, signature, values, 2)
        (a, a_at, a_step), (b, b_at, b_step), (c, c_at, c_step) = matrices
        n, add, ahead = values[9:]
        v = _Vectors(builder, context.get_value_type(signature.args[6].dtype), lanes)

        # LLVM turns these stack slots into registers.
        sums, places = {}, {}
        for r in range(rows):
            row = builder.add(c_at, builder.mul(c_step, ir.Constant(c_step.type, r)))
            for part in range(2):
                places[r, part] = v.plus(row, part * lanes)
                sums[r, part] = cgutils.alloca_once(builder, v.kind)
                before = builder.select(add, v.load(c, places[r, part]), v.constant(None))
                builder.store(before, sums[r, part])
                if prefetch:
                    v.fetch(c, builder.add(places[r, part], ahead), to_write=True)

        def accumulate(r: int, part: int, x: Any, y: Any) -> None:
            of = v.multiply_add_pairs if compact else v.multiply_add
            builder.store(of(x, y, builder.load(sums[r, part])), sums[r, part])

        def add_products(at: Any, b_k: Any) -> None:
            b_re, b_im = v.load(b, b_k), v.load(b, v.plus(b_k, lanes))
            for r in range(rows):
                a_rk = v.plus(at, r * width if by_row else r)
                a_re = v.spread(a, a_rk)
                accumulate(r, 0, a_re, b_re)
                accumulate(r, 1, builder.fneg(a_re) if kind == "conjugate" else a_re, b_im)
                if kind != "real":
                    a_im = v.spread(a, v.plus(a_rk, lanes))
                    accumulate(r, 0, builder.fneg(a_im) if kind == "complex" else a_im, b_im)
                    accumulate(r, 1, builder.fneg(a_im) if kind == "adjoint" else a_im, b_re)

        def add_compact_products(at: Any, b_k: Any) -> None:
            # The pair of `a` is in all lanes; the lanes of `to_re` and `to_im` have what its two
            # numbers are multiplied by for either part of the result.
            pair = v.load(b, b_k)
            low, high = v.constant(0x8000), v.constant(0x80000000)  # the signs
            to_re, to_im = pair, v.swap_halves(pair)
            if kind == "complex":
                to_re = builder.xor(to_re, high)
            else:
                to_im = builder.xor(to_im, low if kind == "conjugate" else high)
            for r in range(rows):
                a_rk = v.spread(a, v.plus(at, r * width if by_row else r))
                accumulate(r, 0, a_rk, to_re)
                accumulate(r, 1, a_rk, to_im)

        with cgutils.for_range(builder, n) as loop:
            k, n_lane = loop.index, ir.Constant(n.type, lanes)
            if by_row:
                block = builder.mul(builder.udiv(k, n_lane), a_step)
                at = builder.add(a_at, builder.add(block, builder.urem(k, n_lane)))
            else:
                at = builder.add(a_at, builder.mul(k, a_step))
            add_k = add_compact_products if compact else add_products
            add_k(at, builder.add(b_at, builder.mul(k, b_step)))
        for key, place in places.items():
            v.store(builder.load(sums[key]), c, place)
        return context.get_dummy_value()

    def tile(  # type: ignore[no-untyped-def]
        typingctx, a, a_at, a_step, b, b_at, b_step, c, c_at, c_step, n, add, ahead
    ):
        i = types.intp
        return types.void(a, i, i, b, i, i, c, i, i, i, types.boolean, i), codegen

    return _intrinsic(tile, make_tile, str(dtype), kind, by_row, prefetch, compact)


@functools.cache
def make_butterfly(dtype: np.dtype, *, add: bool = False, prefetch: bool = False) -> Callable:
    """Return a function for templates that writes the sum and the difference of two vectors.

    ``butterfly(a, at, b, at, c, sum_at, difference_at, ahead)`` writes `a` + `b` and `a` - `b`, for
    ``n_lanes(dtype)`` numbers of flat arrays, to two places of `c`, or with `add` adds that to what
    is there. With `prefetch`, what lies `ahead` numbers behind `a` and `b` is fetched into cache.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (a, a_at), (b, b_at), (c, sum_at) = _places(context, builder, signature, values, 1)
        difference_at, ahead = values[-2:]
        number = context.get_value_type(signature.args[0].dtype)
        v = _Vectors(builder, number, n_lanes(dtype))
        x, y = v.load(a, a_at), v.load(b, b_at)
        if prefetch:
            for array, at in ((a, a_at), (b, b_at)):
                v.fetch(array, builder.add(at, ahead), to_write=False)
        for value, at in ((builder.fadd(x, y), sum_at), (builder.fsub(x, y), difference_at)):
            v.store(builder.fadd(v.load(c, at), value) if add else value, c, at)
        return context.get_dummy_value()

    def butterfly(  # type: ignore[no-untyped-def]
        typingctx, a, a_at, b, b_at, c, sum_at, difference_at, ahead
    ):
        i = types.intp
        return types.void(a, i, b, i, c, i, i, i), codegen

    return _intrinsic(butterfly, make_butterfly, str(dtype), add, prefetch)


@functools.cache
def make_put(dtype: np.dtype, *, compact: bool = False) -> Callable:
    """Return a function for templates that copies complex numbers.

    ``put(a, at, b, at, ahead)`` copies ``n_lanes(dtype)`` real parts and as many imaginary
    parts from one flat array to another, into 32 bits each pair if `compact`. What lies `ahead`
    numbers after that is fetched into the cache.
    """
    lanes = n_lanes(dtype)

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (a, a_at), (b, b_at) = _places(context, builder, signature, values, 1)
        ahead = values[-1]
        v = _Vectors(builder, context.get_value_type(signature.args[0].dtype), lanes)
        parts = [v.load(a, v.plus(a_at, part * lanes)) for part in range(2)]
        if compact:
            low, high = map(v.round, parts)
            parts = [builder.or_(low, builder.shl(high, v.constant(16)))]
        for i, value in enumerate(parts):
            at = v.plus(b_at, i * lanes)
            v.fetch(b, builder.add(at, ahead), to_write=True)
            v.store(value, b, at)
        return context.get_dummy_value()

    def put(typingctx, a, a_at, b, b_at, ahead):  # type: ignore[no-untyped-def]
        return types.void(a, types.intp, b, types.intp, types.intp), codegen

    return _intrinsic(put, make_put, str(dtype), compact)


@functools.cache
def make_read(dtype: np.dtype, *, compact: bool = False) -> Callable:
    """Return a function for templates that copies a vector.

    ``read(a, at, b, at)`` copies ``n_lanes(dtype)`` numbers from one flat array to another, which
    has this dtype; those of `a` are the bits of bfloat16 if `compact`.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (a, a_at), (b, b_at) = _places(context, builder, signature, values, 1)
        v = _Vectors(builder, context.get_value_type(signature.args[2].dtype), n_lanes(dtype))
        value = v.load(a, a_at)
        v.store(v.widen(value) if compact else value, b, b_at)
        return context.get_dummy_value()

    def read(typingctx, a, a_at, b, b_at):  # type: ignore[no-untyped-def]
        return types.void(a, types.intp, b, types.intp), codegen

    return _intrinsic(read, make_read, str(dtype), compact)


@functools.cache
def make_write(dtype: np.dtype, *, compact: bool = False) -> Callable:
    """Return a function for templates that adds two vectors.

    ``write(a, at, b, at, c, at)`` writes `a` + `b`, ``n_lanes(dtype)`` numbers of flat arrays of
    this dtype, to `c`, as the bits of bfloat16 if `compact`.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (a, a_at), (b, b_at), (c, c_at) = _places(context, builder, signature, values, 1)
        v = _Vectors(builder, context.get_value_type(signature.args[0].dtype), n_lanes(dtype))
        value = builder.fadd(v.load(a, a_at), v.load(b, b_at))
        if compact:
            value = builder.trunc(v.round(value), ir.VectorType(ir.IntType(16), v.lanes))
        v.store(value, c, c_at)
        return context.get_dummy_value()

    def write(typingctx, a, a_at, b, b_at, c, c_at):  # type: ignore[no-untyped-def]
        return types.void(a, types.intp, b, types.intp, c, types.intp), codegen

    return _intrinsic(write, make_write, str(dtype), compact)
