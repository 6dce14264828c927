"""Numbers in compiled templates: bfloat16, which numba does not know, and sums by vectors.

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
