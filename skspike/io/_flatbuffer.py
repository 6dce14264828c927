"""Read a flatbuffer that cannot be trusted: every offset is checked before it is followed."""

from __future__ import annotations

import struct


class FlatbufferError(ValueError):
    """An offset or a length points out of the buffer."""


class Table:
    """A table of a flatbuffer: fields by number, as the schema counts them."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position
        # A table begins with the distance back to its vtable: size, table size, field offsets.
        self._vtable = position - _unpack("<i", data, position)
        # The size of the table itself goes unread: it is wrong in files of some tools.
        size = _unpack("<H", data, self._vtable)
        self._n_fields = max(size - 4, 0) // 2

    def number(self, field: int, code: str, default: int) -> int:
        """Return a field that is a number, of a code of :mod:`struct`."""
        at = self._at(field)
        return default if at is None else _unpack("<" + code, self.data, at)

    def vector(self, field: int, size: int) -> tuple[int, int]:
        """Return where a vector of elements of `size` bytes begins, and how many there are."""
        at = self._at(field)
        if at is None:
            return 0, 0
        at += _unpack("<I", self.data, at)
        n = _unpack("<I", self.data, at)
        if at + 4 + n * size > len(self.data):
            raise FlatbufferError(f"a vector of {n} elements does not fit in its buffer")
        return at + 4, n

    def tables(self, field: int) -> list[Table]:
        """Return the tables of a vector of tables."""
        start, n = self.vector(field, 4)
        places = range(start, start + 4 * n, 4)
        return [Table(self.data, at + _unpack("<I", self.data, at)) for at in places]

    def struct(self, field: int, codes: str) -> tuple[int, ...] | None:
        """Return the numbers of a field that is a struct, or None if it is absent."""
        at = self._at(field)
        if at is None:
            return None
        if at + struct.calcsize(codes) > len(self.data):
            raise FlatbufferError("a struct does not fit in its buffer")
        return struct.unpack_from(codes, self.data, at)

    def _at(self, field: int) -> int | None:
        """Return where a field lies, or None if it has its default."""
        if field >= self._n_fields:
            return None
        offset = _unpack("<H", self.data, self._vtable + 4 + 2 * field)
        return self.position + offset if offset else None


def root(data: bytes, identifier: bytes) -> Table:
    """Return the root table of a buffer with the given identifier."""
    if data[4:8] != identifier:
        raise FlatbufferError(f"a buffer is marked {data[4:8]!r}, not {identifier!r}")
    return Table(data, _unpack("<I", data, 0))


def _unpack(code: str, data: bytes, at: int) -> int:
    """Return the number at an offset of the buffer."""
    if not 0 <= at <= len(data) - struct.calcsize(code):
        raise FlatbufferError(f"an offset points to byte {at} of {len(data)}")
    return struct.unpack_from(code, data, at)[0]
