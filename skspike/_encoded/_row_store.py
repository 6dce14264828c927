"""Rows on disk under keys: append-only, safe to read and write by several processes at once.

Every process that writes has a segment of its own, two files that only grow: the rows, and an
index with one entry of fixed size for each. An entry is written after its row and carries checksums
of the row and of itself, so whatever a crash or a bad disk leaves behind is not found, never wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

try:
    import fcntl
except ImportError:  # no such locks on Windows: two processes may write the same row
    fcntl = None  # type: ignore[assignment]

_FORMAT = "skspike-rows-1"
# key, digest of the row, start, size of the row, size of its note, is it narrow, their checksum
_ENTRY = struct.Struct("<16sQQQI?I")
_CHECKED = struct.Struct("<I")  # the checksum of the entry itself
_ENTRY_SIZE = _ENTRY.size + _CHECKED.size
_LONGEST_HEADER = 2**12  # bytes; what has no end of line until then is not ours


class StoredRow(NamedTuple):
    """A row as it was stored: its values, their digest, and what was said when it was made."""

    values: np.ndarray
    digest: int
    note: str


class _Entry(NamedTuple):
    """Where a row lies in the file of its segment."""

    segment: _Segment
    digest: int
    start: int
    size: int
    note_size: int
    narrow: bool
    checksum: int


@dataclass(eq=False)
class _Segment:
    """What one process has written: `name.rows` and `name.index`."""

    path: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    read: int  # bytes of the index that were read

    def read_row(self, entry: _Entry) -> StoredRow | None:
        """Read a row and its note; return None if they are not what was written."""
        try:
            with open(self.path.with_suffix(".rows"), "rb") as file:
                file.seek(entry.start)
                payload = file.read(entry.size + entry.note_size)
        except OSError:
            return None
        if len(payload) != entry.size + entry.note_size or zlib.crc32(payload) != entry.checksum:
            return None
        stored = np.frombuffer(payload[: entry.size], np.uint8 if entry.narrow else self.dtype)
        values = stored.astype(self.dtype).reshape(self.shape)
        return StoredRow(values, entry.digest, payload[entry.size :].decode())

    def write(
        self, keys: Sequence[bytes], rows: np.ndarray, digests: np.ndarray, note: bytes
    ) -> dict[bytes, _Entry]:
        """Write rows with their note, and then the entries that tell of them."""
        entries = {}
        with (
            open(self.path.with_suffix(".rows"), "ab") as data,
            open(self.path.with_suffix(".index"), "ab") as index,
        ):
            for key, row, digest in zip(keys, rows, digests.tolist(), strict=True):
                small = narrowed(row)
                values = (row if small is None else small).tobytes()
                sizes, checksum = (len(values), len(note)), zlib.crc32(values + note)
                entries[key] = _Entry(
                    self, digest, data.tell(), *sizes, small is not None, checksum
                )
                data.write(values + note)
            data.flush()
            packed = b"".join(_packed(key, entry[1:]) for key, entry in entries.items())
            index.write(packed)
        self.read += len(packed)
        return entries


class RowStore:
    """Rows of one shape and dtype, in a folder that several processes share.

    Parameters
    ----------
    folder : Path
        Made when the first row is stored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._segments: dict[str, _Segment] = {}
        self._entries: dict[bytes, tuple[_Entry, ...]] = {}
        self._own: _Segment | None = None
        self._mutex = threading.RLock()
        self.refresh()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._entries)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other processes from writing, and see all that they have written so far."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # nothing can be written, or the disk has no locks
                self.folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(open(self.folder / "lock", "ab"))
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed
            self.refresh()
            yield

    def row_type(self) -> tuple[np.dtype, tuple[int, ...]] | None:
        """Return dtype and shape of the rows, None before there is one."""
        with self._mutex:
            return next(((s.dtype, s.shape) for s in self._segments.values()), None)

    def digest(self, key: bytes) -> int | None:
        """Return the digest of a row if it was made without a note: the row itself is not read."""
        entries = self._entries.get(key)
        return None if not entries or entries[0].note_size else entries[0].digest

    def get(self, key: bytes) -> StoredRow | None:
        """Return a row, or None where there is none, or none that is whole."""
        for entry in self._entries.get(key, ()):
            row = entry.segment.read_row(entry)
            if row is not None:
                return row
            self._keep(lambda other, damaged=entry: other is not damaged, key)
        return None

    def append(
        self, keys: Sequence[bytes], rows: np.ndarray, digests: np.ndarray, note: str
    ) -> None:
        """Store rows, all with one note; `writing` must have been entered."""
        with self._mutex:
            self._check_type(rows)
            segment = self._writable_segment(rows)
            try:
                entries = segment.write(keys, rows, digests, note.encode())
            except BaseException:
                self._own = None  # nobody knows where its files end
                raise
            for key, entry in entries.items():
                self._add(key, entry)

    def _check_type(self, rows: np.ndarray) -> None:
        """Raise unless rows are like those that are stored: as others they would be read."""
        dtype, shape = self.row_type() or (rows.dtype, rows.shape[1:])
        if (rows.dtype, rows.shape[1:]) != (dtype, shape):
            raise ValueError(
                f"The rows of a store must be of shape {shape} and dtype {dtype}. "
                f"Got {rows.shape[1:]} and {rows.dtype} instead."
            )

    def refresh(self) -> None:
        """See what other processes have written or deleted."""
        with self._mutex:
            names = {path.stem: path for path in self.folder.glob("*.index")}
            gone = self._segments.keys() - names.keys()
            if gone:
                self._segments = {n: s for n, s in self._segments.items() if n not in gone}
                self._keep(lambda entry: entry.segment.path.stem not in gone)
            if self._own is not None and self._own.path.stem in gone:
                self._own = None
            for name, path in sorted(names.items()):
                with contextlib.suppress(OSError):  # deleted meanwhile
                    self._read_index(name, path)

    def _read_index(self, name: str, path: Path) -> None:
        """Read the entries that were added to an index."""
        segment = self._segments.get(name)
        if segment is not None and path.stat().st_size == segment.read:
            return
        with open(path, "rb") as file:
            if segment is None:
                segment = _read_header(path, file.readline(_LONGEST_HEADER))
                if segment is None or self.row_type() not in (None, (segment.dtype, segment.shape)):
                    return
                self._segments[name] = segment
            file.seek(segment.read)
            content = file.read()
        whole = 0  # what follows the last whole entry may be half written: it is read again later
        for end in range(_ENTRY_SIZE, len(content) + 1, _ENTRY_SIZE):
            packed = content[end - _ENTRY_SIZE : end]
            if _packed_checksum(packed) == zlib.crc32(packed[: _ENTRY.size]):
                key, *fields = _ENTRY.unpack(packed[: _ENTRY.size])
                self._add(key, _Entry(segment, *fields))
                whole = end
        segment.read += whole

    def _add(self, key: bytes, entry: _Entry) -> None:
        """Note where a row lies; a key has several rows where one of them was damaged."""
        self._entries[key] = (*self._entries.get(key, ()), entry)

    def _keep(self, wanted, *keys: bytes) -> None:
        """Forget the entries of the given keys, by default of all, that are not wanted."""
        with self._mutex:
            for key in keys or tuple(self._entries):
                kept = tuple(entry for entry in self._entries.get(key, ()) if wanted(entry))
                if kept:
                    self._entries[key] = kept
                else:
                    self._entries.pop(key, None)

    def _writable_segment(self, rows: np.ndarray) -> _Segment:
        """Return the segment of this process, made at its first row."""
        if self._own is None:
            path = self.folder / f"{os.getpid()}-{uuid.uuid4().hex[:12]}.index"
            header = {"format": _FORMAT, "dtype": rows.dtype.str, "shape": rows.shape[1:]}
            line = _signed(json.dumps(header).encode())
            path.write_bytes(line)
            self._own = _Segment(path, rows.dtype, rows.shape[1:], len(line))
            self._segments[path.stem] = self._own
        return self._own


def narrowed(values: np.ndarray) -> np.ndarray | None:
    """Return whole numbers from 0 to 255 as uint8 if that loses no bit of them, else None."""
    if values.dtype.kind not in "iuf" or values.dtype.itemsize == 1:
        return None
    with np.errstate(invalid="ignore"):
        small = values.astype(np.uint8)
    bits = np.dtype(f"u{values.dtype.itemsize}") if values.dtype.itemsize <= 8 else None
    if bits is None or not values.dtype.isnative:
        return None
    # compared as bits: -0.0 equals 0.0, and is not the same
    same = small.astype(values.dtype).view(bits) == np.ascontiguousarray(values).view(bits)
    return small if same.all() else None


def _packed(key: bytes, fields: tuple) -> bytes:
    """Return an entry as it stands in the index."""
    entry = _ENTRY.pack(key, *fields)
    return entry + _CHECKED.pack(zlib.crc32(entry))


def _packed_checksum(packed: bytes) -> int:
    """Return the checksum at the end of an entry."""
    return _CHECKED.unpack(packed[-_CHECKED.size :])[0]


def _signed(text: bytes) -> bytes:
    """Return a line of text with its checksum."""
    return text + b" %08x\n" % zlib.crc32(text)


def _read_header(path: Path, line: bytes) -> _Segment | None:
    """Return the segment that an index begins, None if it is not (yet) one of ours."""
    text = line.rpartition(b" ")[0]
    if line != _signed(text):
        return None
    try:
        header = json.loads(text)
        if header["format"] != _FORMAT:
            return None
        return _Segment(path, np.dtype(header["dtype"]), tuple(header["shape"]), len(line))
    except (ValueError, TypeError, KeyError):
        return None
