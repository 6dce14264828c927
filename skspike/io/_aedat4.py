"""AEDAT 4 of iniVation's DV: packets of several streams, compressed one by one.

The file begins with a flatbuffer that holds the description of the streams as XML, and ends with a
table of its packets. Frames, inertial data and triggers are skipped. Each stream of events is a
recording.
"""

from __future__ import annotations

import io
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._columns import pack_block
from ._compression import LARGEST, UNPACK, CompressionError
from ._flatbuffer import FlatbufferError, root
from ._format import Block, EventFormat
from ._log import DecodeLog
from ._packets import find_mark, size_of

_MARK = b"#!AER-DAT4.0\r\n"
_EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1"), ("padding", "V3")])
_HEAD = struct.Struct("<iI")  # stream, size
# What the content of a packet begins with, and its distance from the packet's first byte.
_LZ4, _ZSTD = (b"\x04\x22\x4d\x18", 8), (b"\x28\xb5\x2f\xfd", 8)
_CONTENT = ((b"EVTS", 16), _LZ4, _LZ4, _ZSTD, _ZSTD)


class _Stream(NamedTuple):
    kind: str  # "EVTS" for events
    size: tuple[int, int] | None


class _Header(NamedTuple):
    compression: int
    streams: dict[int, _Stream]
    start: int  # of the packets
    stop: int
    closed: bool  # a table of the packets follows them


def _sniff(head: bytes, path: Path) -> bool:
    return head.startswith(_MARK)


def _decode(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode the streams of events one after the other."""
    with open(path, "rb") as file:
        header = _read_header(file, log)
        if header is None:
            return
        events = sorted(i for i, stream in header.streams.items() if stream.kind == "EVTS")
        if not events:
            kinds = sorted({stream.kind for stream in header.streams.values()})
            log.damage(None, f"it has no stream of events, only {kinds}")
        sizes = [header.streams[i].size for i in events]
        if sizes and all(sizes):
            log.sensor_size = tuple(map(max, zip(*sizes, strict=True)))
        for recording, stream in enumerate(events):
            yield from _decode_stream(file, header, stream, log, chunk, recording)
        _check_table(file, header, log)


def _read_header(file: io.BufferedIOBase, log: DecodeLog) -> _Header | None:
    """Return what the file says of itself, or None if that cannot be read."""
    size = size_of(file)
    file.seek(len(_MARK))
    try:
        length = struct.unpack("<I", file.read(4))[0]
        start = len(_MARK) + 4 + length
        if start > size:
            raise ValueError(f"it claims {length} bytes")
        table = root(file.read(length), b"IOHE")
        compression = table.number(0, "i", 0)
        if not 0 <= compression < len(UNPACK):
            raise ValueError(f"it names the unknown compression {compression}")
        at, n = table.vector(2, 1)
        streams = _parse_description(table.data[at : at + n])
        stop = table.number(1, "q", -1)
    except (struct.error, ValueError, ElementTree.ParseError) as error:
        log.damage(len(_MARK), f"its header cannot be read ({error})", n_bytes=size)
        return None
    closed = stop != -1
    if closed and not start <= stop < size:
        log.damage(size, f"its table of packets should be at byte {stop}, but is not there")
        closed = False
    return _Header(compression, streams, start, stop if closed else size, closed)


def _parse_description(text: bytes) -> dict[int, _Stream]:
    """Return the streams that the header describes."""
    if b"<!" in text:  # entities can be defined to grow without bound
        raise ValueError("its description is not as DV writes it")
    info = ElementTree.fromstring(text.rstrip(b"\0")).find("node[@name='outInfo']")
    streams = {}
    for node in [] if info is None else info.findall("node"):
        kind = node.findtext("attr[@key='typeIdentifier']", "")
        sides = [node.findtext(f"node[@name='info']/attr[@key='size{axis}']") for axis in "XY"]
        size = tuple(int(side) for side in sides if side is not None)
        if size and not (len(size) == 2 and all(1 <= side <= 2**15 for side in size)):
            raise ValueError(f"a stream is of size {size}")
        streams[int(node.get("name", ""))] = _Stream(kind, size or None)
    if not streams:
        raise ValueError("it describes no stream")
    return streams


def _decode_stream(
    file: io.BufferedIOBase,
    header: _Header,
    stream: int,
    log: DecodeLog,
    chunk: int,
    recording: int,
) -> Iterator[Block]:
    """Yield the events of one stream; packets are gathered until they fill a block."""
    offsets: list[int] = []
    packets: list[np.ndarray] = []
    n = 0
    for offset, found, size in _walk(file, header, log):
        if found != stream and header.closed:
            continue  # that no packet of events hides there, the table at the end tells
        file.seek(offset + _HEAD.size)
        try:
            data = UNPACK[header.compression](file.read(size))
            if found != stream:
                root(data, header.streams[found].kind.encode())
                continue
            events = _unpack_events(data)
        except (CompressionError, FlatbufferError) as error:
            log.damage(offset, f"a packet of events is damaged: {error}", n_bytes=size)
            continue
        offsets.append(offset)
        packets.append(events)
        n += len(events)
        if n >= chunk:
            yield _join(packets, offsets, log, recording)
            offsets, packets, n = [], [], 0
    yield _join(packets, offsets, log, recording)


def _unpack_events(data: bytes) -> np.ndarray:
    """Return the events of a packet."""
    start, n = root(data, b"EVTS").vector(0, _EVENT.itemsize)
    return np.frombuffer(data, _EVENT, n, start if n else 0)


def _join(packets: list[np.ndarray], offsets: list[int], log: DecodeLog, recording: int) -> Block:
    """Return the events of some packets as a block, in which an event is where its packet is."""
    events = np.concatenate([np.empty(0, _EVENT), *packets])
    ends = np.cumsum([len(packet) for packet in packets])

    def locate(k: int) -> int:
        return offsets[int(np.searchsorted(ends, k, side="right"))]

    return pack_block(log, {name: events[name] for name in "xytp"}, locate, recording)


def _walk(
    file: io.BufferedIOBase, header: _Header, log: DecodeLog
) -> Iterator[tuple[int, int, int]]:
    """Yield the offset, stream and size of each packet; pass over what is damaged."""
    at = header.start
    while at < header.stop:
        fault, stream, size = _read_head(file, header, at)
        if not fault:
            yield at, stream, size
            at += _HEAD.size + size
            continue
        following = _find_packet(file, header, at + 1)
        log.damage(at, fault, n_bytes=following - at)
        at = following


def _read_head(file: io.BufferedIOBase, header: _Header, at: int) -> tuple[str, int, int]:
    """Return what is wrong with the packet at an offset ("" if nothing), its stream and size."""
    file.seek(at)
    left = header.stop - at - _HEAD.size
    if left < 0:
        return "it ends within the head of a packet", 0, 0
    stream, size = _HEAD.unpack(file.read(_HEAD.size))
    if stream not in header.streams:
        return f"a packet is of stream {stream}, which the file does not have", 0, 0
    if size > left:
        return f"a packet should have {size} bytes, and {left} are left", 0, 0
    return "", stream, size


def _find_packet(file: io.BufferedIOBase, header: _Header, start: int) -> int:
    """Return where the next packet begins that looks sound, or the end of the packets."""
    mark, distance = _CONTENT[header.compression]
    start += distance
    while (at := find_mark(file, mark, start, header.stop)) is not None:
        if not _read_head(file, header, at - distance)[0]:
            return at - distance
        start = at + 1
    return header.stop


def _check_table(file: io.BufferedIOBase, header: _Header, log: DecodeLog) -> None:
    """Compare the packets of events with the table at the end of the file, if it has one."""
    if not header.closed:
        return
    file.seek(header.stop)
    try:
        table = root(UNPACK[header.compression](file.read(LARGEST)), b"FTAB").tables(0)
        listed = [(entry.number(0, "q", 0), entry.struct(1, "<iI") or (-1, 0)) for entry in table]
    except (CompressionError, FlatbufferError) as error:
        log.damage(header.stop, f"its table of packets is damaged: {error}")
        return
    wanted = {i for i, stream in header.streams.items() if stream.kind == "EVTS"}
    promised = {(offset - _HEAD.size, *head) for offset, head in listed if head[0] in wanted}
    quiet = DecodeLog(log.path, salvage=True)
    missing = promised - set(_walk(file, header, quiet))
    if missing and not quiet.n_damages:
        first = min(missing)[0]
        reason = f"the packet of events that its table lists there is missing, of {len(missing)}"
        log.damage(first, reason, times=len(missing))


FORMAT = EventFormat("aedat4", _sniff, _decode)
