"""MATLAB files (version 5) of ST-MNIST and of ASL-DVS.

Those of ST-MNIST hold spikes of 10 x 10 tactile sensors: the matrix ``spiketrain`` has a column
per time, of 100 rows of -1, 0 or 1, one per sensor, and a last one of the time in seconds. Those
of ASL-DVS hold a vector each of ``x``, ``y``, ``ts`` and ``pol``. Both are read here and not by
SciPy, so that nothing of a damaged file is believed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._columns import pack_block
from ._format import Block, EventFormat
from ._log import DecodeLog
from ._tables import Clock, canonical, find_columns

_SPIKES = "spiketrain"
_SIDE = 10
_N_TAXELS = _SIDE * _SIDE
_START = 128  # bytes of the head
_LARGEST = 2**28  # bytes of a matrix; those of the two data sets have some megabytes
_MATRIX, _COMPRESSED = 14, 15
_INTEGERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 12: "i8", 13: "u8"}
_TYPES = {**_INTEGERS, 7: "f4", 9: "f8"}


class _Matrix(NamedTuple):
    """A matrix, and at which byte of the file its element begins."""

    values: np.ndarray
    at: int


class _Reader:
    """The elements of a file or of a matrix, one after the other."""

    def __init__(self, data: bytes, order: str, at: int = 0) -> None:
        self.data = data
        self.order = order  # of bytes: < or >
        self.at = at

    def element(self) -> tuple[int, bytes]:
        """Return the type and the bytes of the next element."""
        if self.at + 8 > len(self.data):
            raise ValueError("it ends within the head of an element")
        kind, size = struct.unpack_from(self.order + "II", self.data, self.at)
        start = self.at + 8
        if kind >> 16:  # type and size share four bytes, and the content follows in four
            kind, size, start = kind & 0xFFFF, kind >> 16, self.at + 4
            if size > 4:
                raise ValueError(f"a small element claims {size} bytes")
            self.at += 8
        else:
            # All but compressed elements are filled up to a multiple of 8 bytes.
            self.at = start + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if start + size > len(self.data):
            raise ValueError(f"an element claims {size} bytes, and {len(self.data) - start} follow")
        return kind, self.data[start : start + size]

    def numbers(self) -> np.ndarray:
        """Return the next element as an array of numbers."""
        kind, data = self.element()
        if kind not in _TYPES or len(data) % int(_TYPES[kind][1]):
            raise ValueError(f"an element of type {kind} has {len(data)} bytes")
        return np.frombuffer(data, self.order + _TYPES[kind])


def _sniff(head: bytes, path: Path) -> bool:
    return head.startswith(b"MATLAB 5.0 MAT-file")


def _decode(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode the matrices of events; a recording is read whole."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        data = file.read(_LARGEST)
    found, damage = _read_matrices(data, {b"IM": "<", b"MI": ">"}.get(data[126:128], "<"))
    names = find_columns(found)
    if _SPIKES not in found and names is None:
        reason = f"it has no matrix {_SPIKES}, and not x, y, ts and pol"
        damage = damage or (min(_START, size), reason)
    if damage:
        log.damage(*damage, n_bytes=size - damage[0])
    if _SPIKES in found:
        yield from _decode_spikes(found[_SPIKES], log, chunk)
    elif names is not None:
        yield from _decode_columns({k: found[name] for k, name in names.items()}, log, chunk)


def _read_matrices(data: bytes, order: str) -> tuple[dict[str, _Matrix], tuple[int, str] | None]:
    """Return the matrices that may be of events, and where and why reading stopped, if it did."""
    reader, found = _Reader(data, order, _START), {}
    while (at := reader.at) < len(data):
        try:
            name, values = _read_matrix(*reader.element(), order)
            if name in found:
                raise ValueError(f"it has two matrices {name}")
        except (ValueError, zlib.error) as error:
            return found, (at, str(error))
        if values is not None:
            found[name] = _Matrix(values, at)
    return found, None


def _read_matrix(kind: int, data: bytes, order: str) -> tuple[str, np.ndarray | None]:
    """Return the name of a matrix, and its content if it may be of events."""
    if kind == _COMPRESSED:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(data, _LARGEST)
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError("a compressed element is cut or too large")
        inner = _Reader(data, order)
        kind, data = inner.element()
        if inner.at < len(inner.data):
            raise ValueError("a compressed element is longer than what it holds")
    if kind != _MATRIX:
        return "", None
    reader = _Reader(data, order)
    reader.numbers()  # flags and class: numbers may be stored in any type
    shape = reader.numbers()
    name = reader.element()[1].decode("latin-1")
    if name != _SPIKES and canonical(name) not in ("x", "y", "t", "p"):
        return name, None
    values = reader.numbers()
    if len(shape) != 2 or (shape < 0).any() or int(shape[0]) * int(shape[1]) != len(values):
        raise ValueError(f"a matrix of shape {shape.tolist()} has {len(values)} numbers")
    return name, values.reshape(shape.tolist(), order="F")


def _decode_spikes(matrix: _Matrix, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode a spike train."""
    train, at = matrix
    if train.shape[0] != _N_TAXELS + 1:
        reason = f"its {_SPIKES} is of shape {train.shape}, not (101, n)"
        log.damage(at, reason, n_bytes=train.nbytes)
        return
    log.sensor_size = (_SIDE, _SIDE)
    for start in range(0, train.shape[1], chunk):
        yield _spikes(train[:, start : start + chunk], log, at)


def _spikes(matrix: np.ndarray, log: DecodeLog, at: int) -> Block:
    """Return the spikes of some columns, in order of time, then of sensor."""
    column, taxel = np.nonzero(matrix[:_N_TAXELS].T)
    columns = {
        "x": taxel % _SIDE,
        "y": taxel // _SIDE,
        "t": Clock(seconds=True).microseconds(matrix[_N_TAXELS].astype(np.float64))[column],
        "p": matrix[taxel, column],
    }
    return pack_block(log, columns, lambda k: at)


def _decode_columns(found: dict[str, _Matrix], log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode a vector each of x, y, t and p."""
    for name, (values, at) in found.items():
        if 1 not in values.shape and values.size:
            reason = f"its matrix of {name} is of shape {values.shape}, not a vector"
            log.damage(at, reason, n_bytes=values.nbytes)
            return
    columns = {name: matrix.values.ravel() for name, matrix in found.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    n, at, clock = min(lengths.values()), found["t"].at, Clock()
    if n < max(lengths.values()):
        reason = f"its vectors are of lengths {lengths}"
        log.damage(None, reason, n_events=max(lengths.values()) - n)
    for start in range(0, n, chunk):
        block = {name: column[start : min(n, start + chunk)] for name, column in columns.items()}
        block["t"] = clock.microseconds(block["t"])
        yield pack_block(log, block, lambda k: at)


FORMAT = EventFormat("mat", _sniff, _decode)
