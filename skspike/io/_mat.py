"""MATLAB files (version 5) of ST-MNIST: spikes of 10 x 10 tactile sensors.

The matrix ``spiketrain`` has a column per time: 100 rows of -1, 0 or 1, one per sensor, and a last
one of the time in seconds. It is read here and not by SciPy, so that nothing of a damaged file
is believed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ._columns import pack_block
from ._format import Block, EventFormat
from ._log import DecodeLog
from ._tables import Clock

_NAME = b"spiketrain"
_SIDE = 10
_N_TAXELS = _SIDE * _SIDE
_LARGEST = 2**28  # bytes of a matrix; those of ST-MNIST have some megabytes
_MATRIX, _COMPRESSED = 14, 15
_INTEGERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 12: "i8", 13: "u8"}
_TYPES = {**_INTEGERS, 7: "f4", 9: "f8"}


class _Reader:
    """The elements of a file or of a matrix, one after the other."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data = data
        self.order = order  # of bytes: < or >
        self.at = 0

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
    """Decode the matrix named spiketrain; a recording of ST-MNIST is read whole."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        data = file.read(_LARGEST)
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128], "<")
    reader = _Reader(data, order)
    reader.at = 128
    at, matrix = 128, None
    try:
        while reader.at < len(data):
            at = reader.at
            matrix = _find_matrix(*reader.element(), order)
            if matrix is not None:
                break
        else:
            raise ValueError("it has no matrix spiketrain")
        if matrix.shape[0] != _N_TAXELS + 1:
            raise ValueError(f"its spiketrain is of shape {matrix.shape}, not (101, n)")
    except (ValueError, zlib.error) as error:
        log.damage(at, str(error), n_bytes=size - at)
        return
    if size > reader.at:
        log.damage(reader.at, "there is more after the spiketrain", n_bytes=size - reader.at)
    log.sensor_size = (_SIDE, _SIDE)
    for start in range(0, matrix.shape[1], chunk):
        yield _spikes(matrix[:, start : start + chunk], log, at)


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


def _find_matrix(kind: int, data: bytes, order: str) -> np.ndarray | None:
    """Return the content of an element if it is the matrix that is looked for."""
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
        return None
    reader = _Reader(data, order)
    reader.numbers()  # flags and class: numbers may be stored in any type
    shape = reader.numbers()
    _, name = reader.element()
    if name != _NAME:
        return None
    values = reader.numbers()
    if len(shape) != 2 or (shape < 0).any() or int(shape[0]) * int(shape[1]) != len(values):
        raise ValueError(f"a matrix of shape {shape.tolist()} has {len(values)} numbers")
    return values.reshape(shape.tolist(), order="F")


FORMAT = EventFormat("mat", _sniff, _decode)
