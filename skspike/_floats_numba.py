"""Numbers in compiled templates: bfloat16, which numba does not know, sums and powers by vectors.

The bits of a bfloat16 travel as uint16.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def _float_of_bits(typing_context, bits):
    """Read 32 bits as a float32."""

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def _bits_of_float(typing_context, value):
    """Read a float32 as 32 bits."""

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(32))

    return types.uint32(types.float32), generate


@intrinsic
def _add_reordered(typing_context, a, b):
    """Add two numbers of one type, as a step of a sum whose order the compiler may choose."""

    def generate(context, builder, signature, args):
        return builder.fadd(*args, flags=("reassoc",))

    return a(a, a), generate


@intrinsic
def multiply_add(typing_context, a, b, c):
    """Multiply two numbers and add a third of the same type, rounded once where a machine can."""

    def generate(context, builder, signature, args):
        product = builder.fmul(*args[:2], flags=("contract",))
        return builder.fadd(product, args[2], flags=("contract",))

    return a(a, a, a), generate


def load_bfloat16(bits):
    """Return the float32 of a bfloat16: its upper half."""
    return _float_of_bits(np.uint32(bits) << np.uint32(16))


def store_bfloat16(value):
    """Return the nearest bfloat16 of a float32, ties to even; NaN stays NaN."""
    bits = _bits_of_float(value)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.uint16(rounded) if value == value else np.uint16(0x7FC0)


def same(value):
    """Load or store a number in the precision that the kernel computes in."""
    return value


def add_reordered(total, value):
    """Add to a sum of many numbers, in the order that vector instructions like best.

    That order is chosen when the loop is compiled: equal numbers give an equal sum in every run.
    """
    return _add_reordered(total, value)


def exp_float32(x):
    """Return the exponential of a float32, to two units in its last place, with no call inside.

    So loops of it become vector instructions. Outside of [-87, 88] it is that of the nearer end.
    """
    x = np.float32(-87) if x < np.float32(-87) else x  # not `max`: NaN stays NaN
    x = np.float32(88) if x > np.float32(88) else x
    half_way = np.float32(1.5 * 2**23)  # where neighbours are 1 apart
    n = (x * np.float32(1 / np.log(2)) + half_way) - half_way
    # exp(x) = 2**n exp(rest), with log(2) in two parts of which n times the first is exact
    rest = (x - n * np.float32(0.693359375)) + n * np.float32(0.693359375 - np.log(2))
    power = np.float32(1 / 5040)
    for factorial in (720, 120, 24, 6, 2, 1, 1):
        power = power * rest + np.float32(1 / factorial)
    scale = _float_of_bits(np.uint32((np.int32(n) + np.int32(127)) << np.int32(23)))
    return power * scale
