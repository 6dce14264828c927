"""The loop over the bytes of an Event Stream, compiled."""

from __future__ import annotations

from .._compile_numba import specialize
from ._es_reference import decode_bytes


def compiled_decode_bytes():
    """Return the compiled twin of :func:`decode_bytes`."""
    return specialize(decode_bytes)
