"""AEDAT 1, 2 and 3: lines of text, then addresses of jAER or packets of cAER.

jAER's addresses count columns from the right and rows from the bottom of the image; events are
turned to begin at the upper left, as those of all other formats do.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._event_columns import EVENT_DTYPE
from ._format import Block, EventFormat, read_records
from ._log import DecodeLog
from ._packets import find_mark, size_of

# Chips by a part of their name in the header, the longer names first.
_SENSORS = {
    "dvs128": (128, 128),
    "davis128": (128, 128),
    "davis208": (208, 192),
    "davis240": (240, 180),
    "davis346": (346, 260),
    "davis640": (640, 480),
    "dvs132": (132, 104),
    "dvxplorer": (640, 480),
}
_MAX_LINE = 2**16  # bytes of a header line
_TEXT = re.compile(rb"[\t\x20-\xff]*(\r?\n)?")
_HEAD = struct.Struct("<hhiiiiii")  # of a packet: 28 bytes
_SPECIAL, _POLARITY, _FRAME = 0, 1, 2
# Size of an event and place of its time, by type of packet; 3 and 4 are inertial data.
_LAYOUTS = {_SPECIAL: (8, 4), _POLARITY: (8, 4), 3: (36, 4), 4: (48, 4)}
_N_SPECIAL = 32  # kinds of special events; libcaer defines fewer
_POLARITY_MARK = struct.pack("<ii", 8, 4)  # an event of 8 bytes whose time is at byte 4


class _Header(NamedTuple):
    version: str
    sensor: str | None  # the chip, as a key of _SENSORS
    size: int  # in bytes


def _read_header(path: Path) -> _Header:
    """Read the lines that begin with #, of which the first states the version."""
    version, chip, size = "1.0", "", 0
    with open(path, "rb") as file:
        # An event can begin with the byte of #, but is no text.
        while (line := file.readline(_MAX_LINE)).startswith(b"#") and _TEXT.fullmatch(line):
            size += len(line)
            text = line.decode("latin-1").strip()
            if text.startswith("#!AER-DAT"):
                version = text[len("#!AER-DAT") :]
            elif re.match(r"#\s*AEChip:|#Source \d+:", text):
                chip = text.partition(":")[2].lower()
            elif text.startswith(("#!END-HEADER", "#End Of ASCII Header")):
                break
    return _Header(version, next((name for name in _SENSORS if name in chip), None), size)


# AEDAT 1 and 2 --------------------------------------------------------------------------------


def _sniff_jaer(head: bytes, path: Path) -> bool:
    """AEDAT 1 needs no header: then the name has to tell."""
    return head.startswith((b"#!AER-DAT1.", b"#!AER-DAT2.")) or (
        path.suffix.lower() == ".aedat" and not head.startswith(b"#!AER-DAT")
    )


def _decode_jaer(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode pairs of address and time (µs), both big-endian."""
    header = _read_header(path)
    address_type = ">u2" if header.version.startswith("1.") else ">u4"
    record = np.dtype([("address", address_type), ("t", ">u4")])
    sensor, clock = header.sensor, None
    for offset, data in read_records(path, header.size, record.itemsize, log, chunk):
        events = data.reshape(-1).view(record)
        address = events["address"].astype(np.uint32)
        sensor = sensor or _guess_sensor(address, log, offset)
        if sensor is None:
            return
        log.sensor_size = _SENSORS[sensor]
        kept, columns = (_dvs128 if sensor == "dvs128" else _davis)(address, *_SENSORS[sensor])
        t, clock = _unwrap(events["t"].astype(np.int64), clock)
        block = _pack(kept, t[kept], *columns)
        yield Block(block, lambda k, at=offset, kept=kept: at + record.itemsize * int(kept[k]))


def _guess_sensor(address: np.ndarray, log: DecodeLog, offset: int) -> str | None:
    """Return the DVS128, whose files often do not name it, if addresses can be its own."""
    if (address < 2**16).all():
        return "dvs128"
    log.damage(offset, "addresses are not of a DVS128, and no line '# AEChip:' names another chip")
    return None


def _dvs128(address: np.ndarray, width: int, height: int) -> tuple:
    """Return which addresses are events, and their x, y, p: ``y7 x7 p1``, where 0 is brighter."""
    kept = np.flatnonzero(address & 0x8000 == 0)
    address = address[kept]
    x, y = width - 1 - (address >> 1 & 0x7F), height - 1 - (address >> 8 & 0x7F)
    return kept, (x, y, address & 1 == 0)


def _davis(address: np.ndarray, width: int, height: int) -> tuple:
    """Return which addresses are events, and their x, y, p: ``0 y9 x10 p1 0``, then 10 others.

    With the highest bit it is a sample of a frame or an inertial sensor, with bit 10 a trigger.
    """
    kept = np.flatnonzero(address & 0x80000400 == 0)
    address = address[kept].astype(np.int64)
    x, y = width - 1 - (address >> 12 & 0x3FF), height - 1 - (address >> 22 & 0x1FF)
    return kept, (x, y, address >> 11 & 1)


def _unwrap(t: np.ndarray, clock: int | None) -> tuple[np.ndarray, int]:
    """Return times of a clock of 32 bits as if it had more, and the last time."""
    first = t[0] - (t[0] >> 31 << 32) if clock is None else clock
    steps = np.diff(t, prepend=t[0] if clock is None else clock % 2**32)
    steps = (steps + 2**31) % 2**32 - 2**31  # the shorter way round
    t = first + np.cumsum(steps)
    return t, int(t[-1])


def _pack(kept: np.ndarray, t, x, y, p) -> np.ndarray:
    """Return columns as events."""
    events = np.empty(len(kept), EVENT_DTYPE)
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return events


# AEDAT 3 --------------------------------------------------------------------------------------


def _sniff_caer(head: bytes, path: Path) -> bool:
    return head.startswith(b"#!AER-DAT3.")


def _decode_caer(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode packets of events with a validity bit; packets of other kinds are skipped."""
    header = _read_header(path)
    log.sensor_size = _SENSORS.get(header.sensor or "")
    from_below = header.version == "3.0"
    if from_below and log.sensor_size is None:
        log.damage(0, "it counts rows from the bottom, and names no chip whose height is known")
        return
    with open(path, "rb") as file:
        for offset, head in _walk(file, header.size, log):
            if head[0] not in (_SPECIAL, _POLARITY):
                continue
            n_valid = 0
            for start in range(0, head[6], chunk):
                n = min(chunk, head[6] - start)
                at = offset + _HEAD.size + 8 * start
                file.seek(at)
                data = np.frombuffer(file.read(8 * n), [("data", "<u4"), ("t", "<i4")])
                if head[0] == _SPECIAL:
                    _check_special(data["data"], at, log)
                    continue
                n_valid += np.count_nonzero(data["data"] & 1)
                yield _decode_polarity(data, head[4], at, log, from_below)
            if head[0] == _POLARITY and n_valid < head[7]:
                reason = f"a packet should have {head[7]} valid events, and has {n_valid}"
                log.damage(offset, reason, n_events=head[7] - n_valid)


def _check_special(bits: np.ndarray, offset: int, log: DecodeLog) -> None:
    """Report special events of no known kind: the packet may be one of polarity events."""
    wrong = bits >> 1 & 0x7F >= _N_SPECIAL
    if wrong.any():
        k = int(np.argmax(wrong))
        log.damage(offset + 8 * k, f"a special event is of kind {bits[k] >> 1 & 0x7F}")


def _decode_polarity(
    data: np.ndarray, overflows: int, offset: int, log: DecodeLog, from_below: bool
) -> Block:
    """Decode ``x15 y15 p1 valid1`` and a time of 31 bits, whose overflows the packet counts."""
    bits, t = data["data"], data["t"]
    valid = (bits & 1 == 1) & (t >= 0)
    if (t < 0).any():
        k, n = int(np.argmax(t < 0)), int((t < 0).sum())
        log.damage(offset + 8 * k, f"{t[k]} is not a time", n_events=n, times=n)
    kept = np.flatnonzero(valid)
    bits = bits[kept].astype(np.int64)
    x, y = bits >> 17, bits >> 2 & 0x7FFF
    if from_below:
        y = log.sensor_size[1] - 1 - y
    events = _pack(kept, (overflows << 31) + t[kept].astype(np.int64), x, y, bits >> 1 & 1)
    return Block(events, lambda k: offset + 8 * int(kept[k]))


def _walk(file: io.BufferedIOBase, at: int, log: DecodeLog) -> Iterator[tuple[int, tuple]]:
    """Yield the offset and head of each packet; pass over what is damaged."""
    stop = size_of(file)
    while at < stop:
        fault, head = _read_head(file, at, stop)
        if not fault:
            yield at, head
            at += _HEAD.size + head[2] * head[6]
            continue
        following = _find_packet(file, at + 1, stop)
        log.damage(at, fault, n_bytes=following - at)
        at = following


def _read_head(file: io.BufferedIOBase, at: int, stop: int) -> tuple[str, tuple]:
    """Return what is wrong with the packet at an offset ("" if nothing), and its head.

    The head holds type, source, size of an event, place of its time, overflows, capacity, number
    of events and number of valid events.
    """
    file.seek(at)
    if stop - at < _HEAD.size:
        return "it ends within the head of a packet", ()
    head = _HEAD.unpack(file.read(_HEAD.size))
    kind, source, size, place, overflows, capacity, n, n_valid = head
    if not (kind in _LAYOUTS or kind == _FRAME) or source < 0 or overflows < 0:
        return f"a packet is of type {kind}, source {source}, overflow {overflows}", ()
    if (size, place) != _LAYOUTS.get(kind, (size, place)) or not 0 <= place <= size - 4:
        return f"a packet has events of {size} bytes with their time at byte {place}", ()
    if not 0 <= n_valid <= n <= capacity:
        return f"a packet for {capacity} events has {n}, {n_valid} of them valid", ()
    if size * n > stop - at - _HEAD.size:
        left = stop - at - _HEAD.size
        return f"a packet should have {n} events of {size} bytes, and {left} bytes are left", ()
    return "", head


def _find_packet(file: io.BufferedIOBase, start: int, stop: int) -> int:
    """Return where the next packet of events begins that looks sound, or the end."""
    while (at := find_mark(file, _POLARITY_MARK, start + 4, stop)) is not None:
        fault, head = _read_head(file, at - 4, stop)
        if not fault and head[0] == _POLARITY:
            return at - 4
        start = at - 3
    return stop


FORMATS = (
    EventFormat("aedat3", _sniff_caer, _decode_caer),
    EventFormat("aedat", _sniff_jaer, _decode_jaer),
)
