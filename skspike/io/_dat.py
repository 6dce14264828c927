"""Prophesee's DAT files: 32 bits of time and 32 bits of address an event, of either layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .._event_columns import EVENT_DTYPE
from ._format import Block, EventFormat, read_records
from ._log import DecodeLog
from ._prophesee import Header, parse_header, read_header, sensor_size

_SIZE = 8
_KINDS = (0x00, 0x0C)  # Event2d, as the ATIS wrote it, and EventCD
_LAYOUTS = {1: (9, 8), 2: (14, 14)}  # bits of x and y; above them the polarity
_WRAP = 2**32  # µs


def _sniff(head: bytes, path: Path) -> bool:
    """Tell by the header, which names a version or is followed by a type and a size."""
    header = parse_header(head)
    if not header.stop or "evt" in header.fields or "format" in header.fields:
        return False
    known = {"data", "version"} & header.fields.keys()
    return bool(known) or head[header.stop + 1 : header.stop + 2] == bytes([_SIZE])


def _decode(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode time in the first four bytes, then x, y and polarity from the lowest bit upwards."""
    header = read_header(path)
    log.sensor_size = sensor_size(header, log)
    start = _check_kind(path, header, log)
    layout = None
    wraps, last = 0, 0
    for offset, data in read_records(path, start, _SIZE, log, chunk):
        time, address = data.reshape(-1).view("<u4").reshape(-1, 2).T
        layout = layout or _LAYOUTS[_version(header, address)]
        t = time.astype(np.int64)
        steps = np.diff(t, prepend=last)
        turns = wraps + np.cumsum(steps < -_WRAP // 2)
        last, wraps = int(t[-1]), int(turns[-1])
        x_bits, y_bits = layout
        polarity = address >> np.uint32(x_bits + y_bits)
        events = np.empty(len(data), EVENT_DTYPE)
        events["x"] = address & np.uint32(2**x_bits - 1)
        events["y"] = (address >> np.uint32(x_bits)) & np.uint32(2**y_bits - 1)
        events["t"] = t + turns * _WRAP
        events["p"] = polarity
        yield _known(Block(events, lambda k, offset=offset: offset + _SIZE * k), polarity, log)


def _check_kind(path: Path, header: Header, log: DecodeLog) -> int:
    """Return where the events begin: behind two bytes that say of which type and size they are."""
    if not header.stop:
        return 0
    with open(path, "rb") as file:
        file.seek(header.stop)
        mark = file.read(2)
    if len(mark) < 2:
        log.damage(header.stop, "it ends within its header", n_bytes=len(mark))
    elif mark[0] not in _KINDS or mark[1] != _SIZE:
        log.damage(
            header.stop,
            f"its events are of type {mark[0]} and {mark[1]} bytes long, "
            f"not of type 0 or 12 and {_SIZE} bytes long",
        )
    return header.stop + 2


def _version(header: Header, address: np.ndarray) -> int:
    """Return the layout: of a header without a version, the one that the addresses fit."""
    stated = header.fields.get("version", "")
    if stated.isdecimal():
        return min(max(int(stated), 1), 2)
    return 1 if not (address >> np.uint32(18)).any() else 2


def _known(block: Block, polarity: np.ndarray, log: DecodeLog) -> Block:
    """Return the block less the events whose polarity is neither 0 nor 1."""
    wrong = polarity > 1
    if not wrong.any():
        return block
    k, n = int(np.argmax(wrong)), int(wrong.sum())
    log.damage(block.locate(k), f"{polarity[k]} is not a polarity", n_events=n, times=n)
    kept = np.flatnonzero(~wrong)
    return Block(block.events[kept], lambda k: block.locate(int(kept[k])))


FORMAT = EventFormat("dat", _sniff, _decode)
