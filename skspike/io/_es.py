"""Event Stream 2: events of some bytes, between them bytes that let time go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._config import get_config
from .._event_columns import EVENT_DTYPE
from ._es_reference import decode_bytes
from ._format import Block, EventFormat
from ._log import DecodeLog

_MARK = b"Event Stream"
_HEADER = 20  # bytes: mark, version, type, width, height


class Coding(NamedTuple):
    """How the events of a type of stream are coded."""

    size: int  # bytes of an event
    special: int  # the first byte from here on is no event: a reset, then overflows
    overflow: int  # µs
    shift: int  # bits of the first byte below the time


_CODINGS = {1: Coding(5, 0xFE, 127, 1), 2: Coding(5, 0xFC, 63, 2), 4: Coding(8, 0xFE, 254, 0)}
_OTHERS = {0: "generic events", 3: "events of a display"}


def _sniff(head: bytes, path: Path) -> bool:
    return head.startswith(_MARK)


def _decode(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode the bytes block by block; an event cut by the end of a block waits for the next."""
    with open(path, "rb") as file:
        coding = _read_header(file.read(_HEADER), log)
        if coding is None:
            return
        decode = _decoder()
        offset, rest, t = _HEADER, b"", 0
        while block := file.read(chunk * coding.size):
            data = np.frombuffer(rest + block, np.uint8)
            events = np.empty(len(data) // coding.size, EVENT_DTYPE)
            places = np.empty(len(events), np.int64)
            n, used, t = decode(data, t, *coding, *log.sensor_size, events, places)
            yield Block(events[:n], lambda k, at=offset, places=places: at + int(places[k]))
            offset, rest = offset + used, data[used:].tobytes()
        if rest:
            reason = f"it ends after {len(rest)} of the {coding.size} bytes of an event"
            log.damage(offset, reason, n_bytes=len(rest))


def _decoder():
    """Return the compiled loop, or its specification if the configuration asks for it."""
    if get_config()["backend"] == "reference":
        return decode_bytes
    from ._es_numba import compiled_decode_bytes

    return compiled_decode_bytes()


def _read_header(header: bytes, log: DecodeLog) -> Coding | None:
    """Return how events are coded, or None if the file holds none that can be read."""
    version, kind = header[12:15], header[15:16]
    if len(version) < 3 or version[0] != 2:
        log.damage(12, f"it is of version {'.'.join(map(str, version))}, and only 2 is known")
    elif kind and kind[0] in _OTHERS:
        log.damage(15, f"it holds {_OTHERS[kind[0]]}, which are not those of a camera")
    elif not kind or kind[0] not in _CODINGS:
        log.damage(15, f"it holds events of the unknown type {kind.hex() or 'none'}")
    elif len(header) < _HEADER:
        log.damage(len(header), f"it ends after {len(header)} of the {_HEADER} bytes of its header")
    else:
        width, height = np.frombuffer(header[16:], "<u2").tolist()
        if 1 <= width <= 2**15 and 1 <= height <= 2**15:
            log.sensor_size = (width, height)
            return _CODINGS[kind[0]]
        log.damage(16, f"it states a sensor of size {(width, height)}")
    return None


FORMAT = EventFormat("es", _sniff, _decode)
