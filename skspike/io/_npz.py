"""NumPy's files: columns in an ``.npz``, with offsets if they are many recordings, and ``.npy``."""

from __future__ import annotations

import ast
import io
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._event_columns import EVENT_DTYPE, check_offsets
from ..exceptions import EventFormatError
from ._columns import pack_block
from ._format import Block, EventFormat, read_records
from ._log import DecodeLog
from ._tables import Clock, find_columns

_NPY = b"\x93NUMPY"
_ZIP = b"PK\x03\x04"
_MAX_HEADER = 2**14  # bytes of the header of an array
_BLOCK = 2**20  # bytes read at a time of an array that is needed whole


class _Array(NamedTuple):
    """A one-dimensional array of a file, and how far into the file its first item is."""

    dtype: np.dtype
    n: int
    start: int


def _read_header(file: io.BufferedIOBase) -> _Array:
    """Read the header of an array, or raise ValueError."""
    mark = file.read(8)
    if len(mark) < 8 or mark[:6] != _NPY or mark[6] not in (1, 2, 3):
        raise ValueError(f"an array begins with {mark!r}")
    n_size = 2 if mark[6] == 1 else 4
    size = int.from_bytes(file.read(n_size), "little")
    if size > _MAX_HEADER:
        raise ValueError(f"the header of an array claims {size} bytes")
    text = file.read(size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd expressions and old names
            header = ast.literal_eval(text.decode("utf-8" if mark[6] == 3 else "latin-1").strip())
            shape, dtype = header["shape"], np.lib.format.descr_to_dtype(header["descr"])
    except Exception as error:  # a damaged expression can fail in any way
        reason = f"the header of an array cannot be read ({type(error).__name__})"
        raise ValueError(reason) from None
    if not (isinstance(shape, tuple) and len(shape) == 1 and type(shape[0]) is int):
        raise ValueError(f"an array is of shape {shape}, not one-dimensional")
    if shape[0] < 0 or len(text) < size or dtype.hasobject or not dtype.itemsize:
        raise ValueError(f"an array is of shape {shape} and dtype {dtype}")
    return _Array(dtype, shape[0], len(mark) + n_size + size)


# npy ------------------------------------------------------------------------------------------


def _sniff_npy(head: bytes, path: Path) -> bool:
    return head.startswith(_NPY)


def _decode_npy(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode an array with the fields x, y, t, p."""
    with open(path, "rb") as file:
        try:
            array = _read_header(file)
            names = find_columns(array.dtype.names or ())
            if names is None:
                raise ValueError(f"it is of dtype {array.dtype}, without fields x, y, t, p")
            _check_numeric(array.dtype[name] for name in names.values())
        except ValueError as error:
            log.damage(0, str(error), n_bytes=path.stat().st_size)
            return
    clock, n = Clock(), 0
    size = array.dtype.itemsize
    for offset, data in read_records(path, array.start, size, log, chunk):
        rows = data.reshape(-1).view(array.dtype)[: array.n - n]
        n += len(data)
        columns = {key: rows[name] for key, name in names.items()}
        columns["t"] = clock.microseconds(columns["t"])
        yield pack_block(log, columns, lambda k, at=offset: at + size * k)
    if n != array.n:
        missing = max(array.n - n, 0)
        log.damage(None, f"it claims {array.n} events and stores {n}", n_events=missing)


def _check_numeric(dtypes) -> None:
    """Raise unless all dtypes are of numbers."""
    for dtype in dtypes:
        if dtype.kind not in "buif" or dtype.shape:
            raise ValueError(f"a column is of dtype {dtype}")


# npz ------------------------------------------------------------------------------------------


def _has_offsets(path: Path) -> bool:
    """Tell whether a zip holds offsets of recordings, as write_events writes them."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "offsets.npy" in archive.namelist()
    except Exception:  # a damaged zip is reported when it is read
        return False


def _sniff_columns(head: bytes, path: Path) -> bool:
    return head.startswith(_ZIP) and b".npy" in head and not _has_offsets(path)


def _sniff_recordings(head: bytes, path: Path) -> bool:
    return head.startswith(_ZIP) and b".npy" in head and _has_offsets(path)


def _decode_npz(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode columns side by side, block by block; zip checks what it decompressed."""
    blocks = _Columns(path, log)
    try:
        with zipfile.ZipFile(path) as archive:
            blocks.open(archive)
            yield from blocks.read(chunk)
    except EventFormatError:
        raise
    except Exception as error:  # a damaged zip can fail in any way
        message = " ".join(str(error).split()) or type(error).__name__
        log.damage(None, f"it cannot be unpacked ({message})", n_events=blocks.n_left())


class _Columns:
    """The columns of an archive, and how far they have been read."""

    def __init__(self, path: Path, log: DecodeLog) -> None:
        self.log = log
        self.offsets = np.zeros(1, np.int64)
        self.n = self.done = 0

    def n_left(self) -> int:
        """Return how many events have not been handed over."""
        return max(self.n - self.done, 0)

    def open(self, archive: zipfile.ZipFile) -> None:
        """Open the columns, and read offsets and sensor size."""
        names = {}
        for member in archive.namelist():
            # Its name stands in two places; that they agree is checked by opening it.
            archive.open(member).close()
            names[member.removesuffix(".npy")] = member
        columns = find_columns(names)
        if columns is None:
            raise ValueError(f"it holds {sorted(names)}, not x, y, t, p")
        self.files = {key: archive.open(names[name]) for key, name in columns.items()}
        self.arrays = {key: _read_header(file) for key, file in self.files.items()}
        _check_numeric(array.dtype for array in self.arrays.values())
        lengths = {key: array.n for key, array in self.arrays.items()}
        self.n = min(lengths.values())
        if self.n < max(lengths.values()):
            lost = max(lengths.values()) - self.n
            self.log.damage(None, f"its columns are of lengths {lengths}", n_events=lost)
        if "sensor_size" in names:
            size = _read_whole(archive, names["sensor_size"], 2).tolist()
            if len(size) != 2 or not all(1 <= side <= 2**15 for side in size):
                raise ValueError(f"its sensor is of size {size}")
            self.log.sensor_size = tuple(map(int, size))
        self.offsets = np.array([0, self.n])
        if "offsets" in names:
            offsets = _read_whole(archive, names["offsets"], None)
            try:
                self.offsets = check_offsets(offsets, self.n)
            except EventFormatError as error:
                self.log.damage(None, str(error).rstrip(".").lower())

    def read(self, chunk: int) -> Iterator[Block]:
        """Yield blocks that end where recordings end."""
        clock = Clock()
        for recording, stop in enumerate(self.offsets[1:].tolist()):
            yield Block(np.empty(0, EVENT_DTYPE), lambda k: None, recording)
            while self.done < stop:
                n = min(chunk, stop - self.done)
                columns = {key: self._take(key, n) for key in self.files}
                columns["t"] = clock.microseconds(columns["t"])
                yield pack_block(self.log, columns, lambda k: None, recording)
                self.done += n
        for key, file in self.files.items():
            # At its end zip compares the checksum.
            if file.read(1) and self.arrays[key].n == self.n:
                self.log.damage(None, f"the array {key!r} is longer than it claims")

    def _take(self, key: str, n: int) -> np.ndarray:
        """Read the next items of a column."""
        dtype = self.arrays[key].dtype
        data = self.files[key].read(n * dtype.itemsize)
        if len(data) < n * dtype.itemsize:
            raise ValueError(f"the array {key!r} ends after {self.done} of {self.n} items")
        return np.frombuffer(data, dtype)


def _read_whole(archive: zipfile.ZipFile, member: str, most: int | None) -> np.ndarray:
    """Read a small array of ints; memory is taken as its bytes come."""
    with archive.open(member) as file:
        array = _read_header(file)
        if array.dtype.kind not in "iu" or (most is not None and array.n > most):
            raise ValueError(f"{member!r} is of dtype {array.dtype} and length {array.n}")
        parts, left = [], array.n * array.dtype.itemsize
        while left and (part := file.read(min(left, _BLOCK))):
            parts.append(part)
            left -= len(part)
        if left or file.read(1):
            raise ValueError(f"{member!r} is not as long as it claims")
    return np.frombuffer(b"".join(parts), array.dtype)


FORMATS = (
    EventFormat("npy", _sniff_npy, _decode_npy),
    EventFormat("npz", _sniff_recordings, _decode_npz, ordered=False, may_be_empty=True),
    EventFormat("npz_columns", _sniff_columns, _decode_npz),
)
