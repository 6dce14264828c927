"""Recordings that are encoded when they are used: rows, the cache that keeps them, processes."""

from ._encode_block import row_digests
from ._encoder_cache import EncoderCache
from ._rows import EncodedRows

__all__ = ["EncodedRows", "EncoderCache", "row_digests"]
