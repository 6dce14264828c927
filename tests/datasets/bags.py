"""Small ROS bags of version 2.0, with messages of events, images and poses."""

from __future__ import annotations

import bz2
import struct

PACKERS = {b"none": bytes, b"bz2": bz2.compress}


def record(data, **fields):
    """A record: a header of fields, and data."""
    header = b""
    for name, value in fields.items():
        field = name.encode() + b"=" + value
        header += struct.pack("<I", len(field)) + field
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(data)) + data


def bag(messages, size=2, compression=b"none", pack=None):
    """A bag of messages, pairs of a topic and content, some in a chunk."""
    topics = {topic: struct.pack("<I", i) for i, topic in enumerate(dict(messages))}
    connections = [
        record(b"", op=b"\x07", conn=conn, topic=topic.encode()) for topic, conn in topics.items()
    ]
    parts = [b"#ROSBAG V2.0\n", record(b" " * 100, op=b"\x03", index_pos=bytes(8))]
    for start in range(0, len(messages), size):
        data = b"".join(connections if start == 0 else [])
        for topic, content in messages[start : start + size]:
            data += record(content, op=b"\x02", conn=topics[topic], time=bytes(8))
        data_packed = (pack or PACKERS[compression])(data)
        fields = {"op": b"\x05", "compression": compression, "size": struct.pack("<I", len(data))}
        parts += [record(data_packed, **fields), record(bytes(12), op=b"\x04", ver=bytes(4))]
    return b"".join([*parts, *connections, record(bytes(8), op=b"\x06")])


def stamp(microseconds):
    """The header of a message."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return struct.pack("<4I", 7, seconds, rest * 1000, 3) + b"cam"


def events_message(rows, t=0):
    """A dvs_msgs/EventArray of rows x, y, t (µs), p."""
    packed = b"".join(
        struct.pack("<HHIIB", x, y, t // 1_000_000, t % 1_000_000 * 1000, p) for x, y, t, p in rows
    )
    return stamp(t) + struct.pack("<3I", 260, 346, len(rows)) + packed


def image_message(t, pixels, encoding=b"32FC1"):
    """A sensor_msgs/Image."""
    height, width = pixels.shape
    head = struct.pack("<3I", height, width, len(encoding)) + encoding
    return stamp(t) + head + struct.pack("<?2I", 0, 4 * width, pixels.nbytes) + pixels.tobytes()


def pose_message(t, place, quaternion):
    """A geometry_msgs/PoseStamped."""
    return stamp(t) + struct.pack("<7d", *place, *quaternion)
