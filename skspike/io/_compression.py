"""Decompress packets whose first four bytes say how long the rest is."""

from __future__ import annotations

import io
import struct

LARGEST = 2**28  # bytes of a packet; cameras write some hundred kilobytes


class CompressionError(ValueError):
    """The compressed bytes are damaged."""


def unpack_none(data: bytes) -> bytes:
    """Return the packet after its length."""
    return _checked(data)


def unpack_lz4(data: bytes) -> bytes:
    """Return the packet after its length, from one LZ4 frame."""
    try:
        import lz4.frame
    except ImportError:
        raise _missing("lz4") from None
    reader = lz4.frame.LZ4FrameDecompressor()
    try:
        prefix = reader.decompress(data, max_length=4)
        packet = b""
        if not reader.eof:
            packet = reader.decompress(b"", max_length=_length(prefix, data) + 1)
    except (RuntimeError, EOFError, ValueError, MemoryError) as error:
        raise CompressionError(f"LZ4 cannot decode it ({_first_line(error)})") from None
    if not reader.eof or reader.unused_data:
        raise CompressionError("its LZ4 frame does not end where the packet ends")
    return _checked(prefix + packet)


def unpack_zstd(data: bytes) -> bytes:
    """Return the packet after its length, from one Zstandard frame."""
    try:
        import zstandard
    except ImportError:
        raise _missing("zstandard") from None
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data))
    try:
        prefix = reader.read(4)
        packet = reader.read(_length(prefix, data) + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise CompressionError(f"Zstandard cannot decode it ({_first_line(error)})") from None
    return _checked(prefix + packet)


# In the order of the enumeration `Compression` of the file header.
UNPACK = (unpack_none, unpack_lz4, unpack_lz4, unpack_zstd, unpack_zstd)


def _length(prefix: bytes, data: bytes) -> int:
    """Return the length that a packet states for itself, if memory for it may be taken."""
    length = struct.unpack("<I", prefix)[0] if len(prefix) == 4 else 0
    if length > min(LARGEST, 64 + 2**16 * len(data)):
        raise CompressionError(f"it claims to hold {length} bytes")
    return length


def _checked(packet: bytes) -> bytes:
    """Return a packet without its length, which must be right."""
    length = struct.unpack_from("<I", packet)[0] if len(packet) >= 4 else -1
    if length != len(packet) - 4:
        raise CompressionError(f"it holds {max(len(packet) - 4, 0)} bytes and claims {length}")
    return packet[4:]


def _missing(package: str) -> ImportError:
    return ImportError(
        f"This AEDAT 4 file is compressed, and reading it needs the package {package}: "
        'pip install "skspike[io]".'
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
