"""Messages of ROS bags of version 2.0, and what those with events, images and poses hold.

A bag is a series of records, each a header of named fields and data. Messages lie in chunks, that
are records of records.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from scipy.spatial.transform import Rotation

from ..exceptions import EventFormatError

_MARK = b"#ROSBAG V2.0\n"
_MESSAGE, _CHUNK, _CONNECTION = 2, 5, 7  # kinds of records; the others are an index
_EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("s", "<u4"), ("ns", "<u4"), ("p", "u1")])


def read_messages(path: Path, topics: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the messages of topics in the order in which they were recorded."""
    with open(path, "rb") as file:
        if file.read(len(_MARK)) != _MARK:
            raise _fault(path, "must be a ROS bag of version 2.0", "it does not begin as one")
        names: dict[bytes, str] = {}  # of the topics, by their number
        try:
            for fields, data in _chunks(file):
                for kind, header, message in _records(data, fields):
                    if kind == _CONNECTION:
                        names[header[b"conn"]] = header[b"topic"].decode("utf-8", "replace")
                    elif names.get(header[b"conn"]) in topics:
                        yield names[header[b"conn"]], message
        except (struct.error, KeyError, OSError, RuntimeError, ValueError) as error:
            raise _fault(path, "is damaged", repr(error)) from error


def _fault(path: Path, reason: str, got: str) -> EventFormatError:
    """Return the error for a file that is no bag, or a damaged one."""
    text = f"File {str(path)!r} {reason}. Got: {got}."
    return EventFormatError(text, path=str(path), reason=reason)


def _chunks(file: BinaryIO) -> Iterator[tuple[dict[bytes, bytes], bytes]]:
    """Yield chunks of a bag, and pass over its index."""
    while length := file.read(4):
        fields = _fields(file.read(*struct.unpack("<I", length)))
        (size,) = struct.unpack("<I", file.read(4))
        if fields[b"op"][0] == _CHUNK:
            data = file.read(size)
            if len(data) < size:
                raise ValueError(f"it ends within a chunk of {size} bytes")
            yield fields, data
        else:
            file.seek(size, 1)


def _records(data: bytes, fields: dict[bytes, bytes]) -> Iterator[tuple[int, dict, bytes]]:
    """Yield the connections and messages of a chunk."""
    data = _decompress(fields[b"compression"], data)
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        header = _fields(data[at + 4 : at + 4 + length])
        (size,) = struct.unpack_from("<I", data, at + 4 + length)
        at += 8 + length + size
        if header[b"op"][0] in (_MESSAGE, _CONNECTION):
            yield header[b"op"][0], header, data[at - size : at]


def _decompress(method: bytes, data: bytes) -> bytes:
    """Return the data of a chunk."""
    if method == b"none":
        return data
    if method == b"bz2":
        return bz2.decompress(data)
    if method == b"lz4":
        return _decompress_lz4(data)
    raise ValueError(f"its chunks are compressed with {method.decode('latin-1')!r}")


def _decompress_lz4(data: bytes) -> bytes:
    """Return the data of a chunk that is a frame of LZ4."""
    try:
        import lz4.frame
    except ImportError:
        raise ImportError(
            'Reading this ROS bag needs the package lz4: pip install "skspike[io]".'
        ) from None
    return lz4.frame.decompress(data)


def _fields(header: bytes) -> dict[bytes, bytes]:
    """Return the fields of a header."""
    found, at = {}, 0
    while at < len(header):
        (length,) = struct.unpack_from("<I", header, at)
        name, _, value = header[at + 4 : at + 4 + length].partition(b"=")
        found[name] = value
        at += 4 + length
    return found


def _stamp(message: bytes) -> tuple[int, int]:
    """Return the time in the header of a message, in µs, and where its content begins."""
    _, seconds, nanoseconds, length = struct.unpack_from("<4I", message)
    return int(_microseconds(np.int64(seconds), np.int64(nanoseconds))), 16 + length


def _microseconds(seconds, nanoseconds):
    """Return times as whole microseconds."""
    return seconds * 1_000_000 + (nanoseconds + 500) // 1000


def parse_events(message: bytes) -> dict[str, np.ndarray]:
    """Return the columns x, y, t and p of a message of the type ``dvs_msgs/EventArray``."""
    _, at = _stamp(message)
    _, _, n = struct.unpack_from("<3I", message, at)
    events = np.frombuffer(message, _EVENT, n, at + 12)
    t = _microseconds(events["s"].astype(np.int64), events["ns"].astype(np.int64))
    return {"x": events["x"], "y": events["y"], "t": t, "p": events["p"] != 0}


def parse_image(message: bytes) -> tuple[int, np.ndarray]:
    """Return the time and the pixels of a ``sensor_msgs/Image`` of float32."""
    t, at = _stamp(message)
    height, width, length = struct.unpack_from("<3I", message, at)
    at += 12
    encoding = message[at : at + length]
    big, step, _ = struct.unpack_from("<?2I", message, at + length)
    if encoding != b"32FC1" or big or step != 4 * width:
        raise ValueError(f"an image is of the encoding {encoding.decode('latin-1')!r}")
    pixels = np.frombuffer(message, "<f4", height * width, at + length + 9)
    return t, pixels.reshape(height, width)


def parse_pose(message: bytes) -> tuple[int, np.ndarray]:
    """Return the time and the matrix of a ``geometry_msgs/PoseStamped``."""
    t, at = _stamp(message)
    numbers = np.frombuffer(message, "<f8", 7, at)
    pose = np.eye(4)
    pose[:3, 3] = numbers[:3]
    pose[:3, :3] = Rotation.from_quat(numbers[3:]).as_matrix()
    return t, pose
