"""Small valid files of every format, written byte by byte from what the formats' authors say.

Nothing here comes from the decoders. Each function returns the bytes of a file, and where in them
each event lies.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np

from skspike._event_columns import EVENT_DTYPE


class Encoded(NamedTuple):
    """A file, and the bytes of each event: (first, last + 1)."""

    data: bytes
    spans: list[tuple[int, int]]


def some_events(n=40, size=(34, 30), seed=0, step=300) -> np.ndarray:
    """Return events in order of time, some of them at the same time."""
    rng = np.random.default_rng(seed)
    events = np.empty(n, EVENT_DTYPE)
    events["x"], events["y"] = rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    events["t"] = 1000 + np.cumsum(rng.integers(0, step, n))
    events["p"] = rng.integers(0, 2, n)
    return events


def rows_of(events) -> list[tuple[int, int, int, int]]:
    """Return events as tuples x, y, t, p of ints."""
    return [(int(x), int(y), int(t), int(p)) for x, y, t, p in events.tolist()]


def joined(header: bytes, parts: list[bytes], is_event: list[bool], tail: bytes = b"") -> Encoded:
    """Return parts behind a header, some of which are events."""
    spans, at = [], len(header)
    for part, is_one in zip(parts, is_event, strict=True):
        if is_one:
            spans.append((at, at + len(part)))
        at += len(part)
    return Encoded(header + b"".join(parts) + tail, spans)


def records(header: bytes, parts: list[bytes], tail: bytes = b"") -> Encoded:
    """Return a header and an event in each part."""
    return joined(header, parts, [True] * len(parts), tail)


def nmnist(events) -> Encoded:
    return records(
        b"",
        [bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, t, p in rows_of(events)],
    )


def dat(events, *, old=False) -> Encoded:
    header = b"% Data file of events\n% Version 2\n% Width 304\n% Height 240\n" + bytes(
        [0 if old else 12, 8]
    )
    return records(
        header, [struct.pack("<II", t, x | y << 14 | p << 28) for x, y, t, p in rows_of(events)]
    )


def evt2(events) -> Encoded:
    parts, is_event, high = [], [], -1
    for x, y, t, p in rows_of(events):
        if t >> 6 != high:
            high = t >> 6
            parts.append(struct.pack("<I", 0x80000000 | high))
            is_event.append(False)
        parts.append(struct.pack("<I", p << 28 | (t & 63) << 22 | x << 11 | y))
        is_event.append(True)
    return joined(b"% evt 2.0\n% geometry 34x30\n% end\n", parts, is_event)


def evt21(events) -> Encoded:
    parts, is_event, high = [], [], -1
    for x, y, t, p in rows_of(events):
        if t >> 6 != high:
            high = t >> 6
            parts.append(struct.pack("<Q", (0x80000000 | high) << 32))
            is_event.append(False)
        word = (p << 28 | (t & 63) << 22 | (x & ~31) << 11 | y) << 32 | 1 << (x & 31)
        parts.append(struct.pack("<Q", word))
        is_event.append(True)
    header = b"% format EVT21;endianness=little;height=30;width=34\n% end\n"
    return joined(header, parts, is_event)


def evt3(events) -> Encoded:
    parts, is_event, high, low, row = [], [], -1, -1, -1

    def put(word: int, event: bool = False) -> None:
        parts.append(struct.pack("<H", word))
        is_event.append(event)

    for x, y, t, p in rows_of(events):
        if t >> 12 != high:
            high, low = t >> 12, -1
            put(0x8000 | high)
        if t & 0xFFF != low:
            low = t & 0xFFF
            put(0x6000 | low)
        if y != row:
            row = y
            put(row)
        put(0x2000 | p << 11 | x, event=True)
    return joined(b"% evt 3.0\n% format EVT3;height=30;width=34\n% end\n", parts, is_event)


# AEDAT ----------------------------------------------------------------------------------------


def aedat1(events) -> Encoded:
    """Addresses of the DVS128: y in bits 14-8, x in bits 7-1 from the right, OFF in bit 0."""
    return records(
        b"#!AER-DAT1.0\r\n# This is a raw AE data file\r\n",
        [
            struct.pack(">Hi", (127 - y) << 8 | (127 - x) << 1 | (1 - p), t)
            for x, y, t, p in rows_of(events)
        ],
    )


def aedat2_dvs128(events) -> Encoded:
    return records(
        b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n",
        [
            struct.pack(">Ii", (127 - y) << 8 | (127 - x) << 1 | (1 - p), t)
            for x, y, t, p in rows_of(events)
        ],
    )


def aedat2_davis(events, others=True) -> Encoded:
    """Addresses of a DAVIS: y in bits 30-22, x in bits 21-12, ON in bit 11; frames between."""
    parts, is_event = [], []
    for i, (x, y, t, p) in enumerate(rows_of(events)):
        if others and i % 7 == 3:
            parts.append(struct.pack(">Ii", 0x80000000 | i << 12, t))  # a sample of a frame
            parts.append(struct.pack(">Ii", 0x400, t))  # a trigger
            is_event += [False, False]
        parts.append(struct.pack(">Ii", (259 - y) << 22 | (345 - x) << 12 | p << 11, t))
        is_event.append(True)
    header = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis346red\r\n"
    header += b"#End Of ASCII Header\r\n"
    return joined(header, parts, is_event)


def aedat3(events, *, per_packet=15, valid=None, overflow=0, version="3.1", others=True) -> Encoded:
    """Packets of polarity events; packets of special events and of a frame between them."""
    header = (
        f"#!AER-DAT{version}\r\n#Format: RAW\r\n#Source 1: DVS128\r\n"
        "#Start-Time: 2016-09-01 10:00:00 (TZ+0200)\r\n#!END-HEADER\r\n"
    ).encode()
    data, spans = header, []
    rows = rows_of(events)
    valid = [True] * len(rows) if valid is None else valid
    for start in range(0, len(rows), per_packet):
        packet = rows[start : start + per_packet]
        flags = valid[start : start + per_packet]
        n = len(packet)
        data += struct.pack("<hhiiiiii", 1, 1, 8, 4, overflow, n, n, sum(flags))
        for (x, y, t, p), flag in zip(packet, flags, strict=True):
            y = 127 - y if version == "3.0" else y
            if flag:
                spans.append((len(data), len(data) + 8))
            data += struct.pack("<Ii", x << 17 | y << 2 | p << 1 | flag, t)
        if others:
            data += struct.pack("<hhiiiiii", 0, 1, 8, 4, overflow, 1, 1, 1)
            data += struct.pack("<Ii", 2 << 1 | 1, packet[-1][2])
            data += struct.pack("<hhiiiiii", 2, 1, 44, 4, overflow, 1, 1, 1) + bytes(44)
    return Encoded(data, spans)


def aedat4(
    events, *, compression=0, closed=True, per_packet=15, size=(34, 30), streams=1
) -> Encoded:
    """Packets of events, and one of a frame, as the flatbuffers of DV."""
    nodes = [("EVTS", size)] * streams + [("FRME", size)]
    text = "".join(
        f'<node name="{i}" path="/o/{i}/"><attr key="typeIdentifier" type="string">{kind}</attr>'
        f'<node name="info" path="/o/{i}/info/"><attr key="sizeX" type="int">{w}</attr>'
        f'<attr key="sizeY" type="int">{h}</attr></node></node>'
        for i, (kind, (w, h)) in enumerate(nodes)
    )
    text = f'<dv version="2.0"><node name="outInfo" path="/o/">{text}</node></dv>'
    body, spans, listed = b"", [], []
    start = len(b"#!AER-DAT4.0\r\n" + _header_4(compression, -1, text))

    def put(stream: int, content: bytes, n: int) -> None:
        nonlocal body
        packed = _compress(compression, content)
        listed.append((start + len(body) + 8, stream, len(packed), n))
        spans.extend([(start + len(body), start + len(body) + 8 + len(packed))] * n)
        body += struct.pack("<ii", stream, len(packed)) + packed

    for stream in range(streams):
        for first in range(0, len(events), per_packet):
            packet = events[first : first + per_packet]
            put(stream, _event_packet(packet), len(packet))
            put(streams, _size_prefixed(b"FRME", bytes(40)), 0)
    stop = start + len(body)
    header = b"#!AER-DAT4.0\r\n" + _header_4(compression, stop if closed else -1, text)
    table = _compress(compression, _table_4(listed)) if closed else b""
    return Encoded(header + body + table, spans)


def _compress(compression: int, content: bytes) -> bytes:
    if compression in (1, 2):
        import lz4.frame

        return lz4.frame.compress(content, store_size=False)
    if compression in (3, 4):
        import zstandard

        return zstandard.ZstdCompressor(write_checksum=True).compress(content)
    return content


def _size_prefixed(identifier: bytes, rest: bytes, root: int = 8) -> bytes:
    """Return a flatbuffer behind its length: root offset, identifier, the rest."""
    content = struct.pack("<I", root) + identifier + rest
    return struct.pack("<I", len(content)) + content


def _event_packet(events) -> bytes:
    """Return a table with one vector of structs of 16 bytes."""
    vtable = struct.pack("<HHHH", 6, 8, 4, 0)  # size, size of the table, field 0 at byte 4
    table = struct.pack("<iI", 8, 8)  # back to the vtable; on to the vector
    vector = struct.pack("<II", 0, len(events))  # padding, so that structs lie at multiples of 8
    structs = b"".join(struct.pack("<qhhB3x", t, x, y, p) for x, y, t, p in rows_of(events))
    return _size_prefixed(b"EVTS", vtable + table + vector + structs, root=16)


def _header_4(compression: int, stop: int, text: str) -> bytes:
    """Return the header: compression, place of the table of packets, description."""
    vtable = struct.pack("<HHHHH2x", 10, 20, 4, 8, 16)
    table = struct.pack("<iiqI", 12, compression, stop, 4)
    string = struct.pack("<I", len(text)) + text.encode() + b"\0"
    content = struct.pack("<I", 20) + b"IOHE" + vtable + table + string
    return struct.pack("<I", len(content)) + content


def _table_4(listed) -> bytes:
    """Return the table of packets: a vector of tables of place, stream and size, and number."""
    n = len(listed)
    vtable = struct.pack("<HHHH", 6, 8, 4, 0)
    table = struct.pack("<iI", 8, 4)
    entry_vtable = struct.pack("<HHHHH2x", 10, 28, 4, 12, 20)
    head = len(vtable + table) + 8 + 4 + 4 * n  # of the content before the entries' vtable
    places = [head + len(entry_vtable) + 28 * i for i in range(n)]
    vector_at = 8 + len(vtable + table) + 4
    vector = struct.pack("<I", n)
    for i, place in enumerate(places):
        vector += struct.pack("<I", place - (vector_at + 4 * i))
    entries = b"".join(
        struct.pack("<iqiiq", place - head, offset, stream, size, number)
        for place, (offset, stream, size, number) in zip(places, listed, strict=True)
    )
    content = struct.pack("<I", 16) + b"FTAB" + vtable + table + vector + entry_vtable + entries
    return struct.pack("<I", len(content)) + content


# Event Stream ---------------------------------------------------------------------------------


def es(events, kind="dvs", size=(34, 30)) -> Encoded:
    code, special, step = {"dvs": (1, 0xFF, 127), "atis": (2, 0xFC, 63), "color": (4, 0xFF, 254)}[
        kind
    ]
    header = b"Event Stream" + bytes([2, 0, 0, code]) + struct.pack("<HH", *size)
    parts, is_event, clock = [], [], 0
    for i, (x, y, t, p) in enumerate(rows_of(events)):
        overflows, rest = divmod(t - clock, step)
        clock = t
        if kind == "atis":
            marks = [0xFF] * (overflows // 3) + ([special | overflows % 3] if overflows % 3 else [])
        else:
            marks = [0xFF] * overflows
        if i == 20:
            marks += [0xFC if kind == "atis" else 0xFE] * 5  # resets
        parts += [bytes([mark]) for mark in marks]
        is_event += [False] * len(marks)
        first = {"dvs": rest << 1 | p, "atis": rest << 2 | p << 1, "color": rest}[kind]
        color = b"\x10\x20\x30" if kind == "color" else b""
        parts.append(bytes([first]) + struct.pack("<HH", x, y) + color)
        is_event.append(True)
        if kind == "atis" and i % 5 == 2:
            parts.append(bytes([1]) + struct.pack("<HH", x, y))  # half of a measurement
            is_event.append(False)
    return joined(header, parts, is_event)


# Containers -----------------------------------------------------------------------------------


def whole(data: bytes, n: int) -> Encoded:
    """Return a container, in which every event may lie anywhere."""
    return Encoded(data, [(0, len(data))] * n)


def npy(events) -> Encoded:
    buffer = io.BytesIO()
    np.save(buffer, events)
    data, size = buffer.getvalue(), events.dtype.itemsize
    start = len(data) - size * len(events)
    return Encoded(data, [(start + size * i, start + size * (i + 1)) for i in range(len(events))])


def npz(events, *, offsets=None, compressed=False) -> Encoded:
    columns = {name: events[name].astype(np.int32) for name in "txyp"}
    if offsets is not None:
        columns |= {"offsets": np.array(offsets), "sensor_size": np.array([34, 30])}
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **columns)
    return whole(buffer.getvalue(), len(events))


def hdf5(events, write) -> Encoded:
    """Return the file that `write(file, events)` fills."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write(file, events)
    return whole(buffer.getvalue(), len(events))


def write_dsec(file, events, *, offset=5_000_000) -> None:
    """Write columns of small ints, an offset of the times and an index of milliseconds."""
    t = events["t"] - events["t"][0]
    for name, column, kind in (("t", t, "u4"), ("x", events["x"], "u2"), ("y", events["y"], "u2")):
        file[f"events/{name}"] = column.astype(kind)
    file["events/p"] = events["p"].astype("u1")
    file["t_offset"] = np.int64(events["t"][0] + offset)
    file["ms_to_idx"] = np.searchsorted(t, np.arange(0, t[-1], 1000)).astype("u8")


def write_prophesee(file, events) -> None:
    """Write a compressed table of events in chunks, and the size of the sensor."""
    file.attrs["geometry"] = "34x30"
    dtype = [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]
    table = np.empty(len(events), dtype)
    for name in "xytp":
        table[name] = events[name]
    file.create_dataset("CD/events", data=table, chunks=(5,), compression="gzip")


def mat(events, *, compressed=True) -> Encoded:
    """Return a MATLAB file of version 5 with the matrix spiketrain of 101 rows."""
    matrix = np.zeros((101, len(events)))
    matrix[events["y"].astype(int) * 10 + events["x"], np.arange(len(events))] = (
        events["p"] * 2.0 - 1
    )
    matrix[100] = events["t"] * 1e-6
    return whole(_mat_file([("spiketrain", matrix)], compressed), len(events))


def mat_columns(events, *, compressed=True, t="<i4") -> Encoded:
    """Return a MATLAB file of version 5 with a column each of ts, x, y and pol."""
    columns = {
        "ts": events["t"].astype(t),
        "x": events["x"].astype("<u1"),
        "y": events["y"].astype("<u2"),
        "pol": events["p"].astype("<f8"),
    }
    matrices = [(name, column[:, None]) for name, column in columns.items()]
    return whole(_mat_file(matrices, compressed), len(events))


def _mat_file(matrices, compressed: bool) -> bytes:
    """Return a file of named matrices, all of them of MATLAB's type double."""
    data = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\1IM"
    for name, matrix in matrices:
        kind = {"u1": 2, "u2": 4, "i4": 5, "f8": 9}[matrix.dtype.str[1:]]
        content = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<IIii", 5, 8, *matrix.shape)
        content += _mat_element(1, name.encode())
        content += _mat_element(kind, matrix.tobytes(order="F"))
        element = struct.pack("<II", 14, len(content)) + content
        if compressed:
            packed = zlib.compress(element)
            element = struct.pack("<II", 15, len(packed)) + packed
        data += element
    return data


def _mat_element(kind: int, content: bytes) -> bytes:
    """Return an element; up to four bytes share eight with their type and number."""
    if len(content) <= 4:
        return struct.pack("<HH", kind, len(content)) + content.ljust(4, b"\0")
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


# Text -----------------------------------------------------------------------------------------


def text(events, *, seconds=True, header="") -> Encoded:
    """Return lines t x y p."""
    lines = [
        f"{t / 1e6:.6f} {x} {y} {p}\n" if seconds else f"{t} {x} {y} {p}\n"
        for x, y, t, p in rows_of(events)
    ]
    return records(header.encode(), [line.encode() for line in lines])


def csv(events, *, size=(34, 30)) -> Encoded:
    """Return what write_events writes of one recording."""
    facts = (
        f"# skspike events, width={size[0]}, height={size[1]}, recordings=1, events={len(events)}"
    )
    lines = [f"{x},{y},{t},{p}\n".encode() for x, y, t, p in rows_of(events)]
    return records(f"{facts}\nx,y,t,p\n".encode(), lines)
