import re
import struct

import numpy as np
import pytest

from skspike.datasets._rosbag import parse_events, parse_image, parse_pose, read_messages
from skspike.exceptions import EventFormatError
from tests.datasets.bags import bag, events_message, image_message, pose_message


@pytest.mark.parametrize("compression", [b"none", b"bz2", b"lz4"])
@pytest.mark.parametrize("size", [1, 2, 9])
def test_messages_come_in_the_order_of_the_bag(compression, size, tmp_path):
    pack = pytest.importorskip("lz4.frame").compress if compression == b"lz4" else None
    messages = [("/a", b"1"), ("/b", b"2"), ("/a", b""), ("/c", b"4"), ("/b", b"5")]
    path = tmp_path / "x.bag"
    path.write_bytes(bag(messages, size, compression, pack))
    assert [*read_messages(path, {"/a", "/b"})] == [m for m in messages if m[0] != "/c"]
    assert [*read_messages(path, {"/d"})] == []


def test_events_of_a_message():
    rows = [(345, 259, 1_500_000_000_123_456, 1), (0, 1, 1_500_000_000_123_457, 0)]
    columns = parse_events(events_message(rows, t=5))
    assert columns["x"].tolist() == [345, 0]
    assert columns["y"].tolist() == [259, 1]
    assert columns["t"].tolist() == [1_500_000_000_123_456, 1_500_000_000_123_457]
    assert columns["p"].tolist() == [True, False]


def test_nanoseconds_are_rounded():
    message = bytearray(events_message([(0, 0, 7_000_000, 1)]))
    message[-5:-1] = struct.pack("<I", 1_500)
    assert parse_events(bytes(message))["t"].tolist() == [7_000_002]


def test_an_image_of_depth():
    pixels = np.array([[1.5, np.nan, 3], [4, 5, 6]], np.float32)
    t, found = parse_image(image_message(2_000_001, pixels))
    assert t == 2_000_001
    np.testing.assert_array_equal(found, pixels)
    with pytest.raises(ValueError, match=r"an image is of the encoding 'mono8'"):
        parse_image(image_message(0, pixels, b"mono8"))


def test_a_pose():
    half = np.sqrt(0.5)
    t, pose = parse_pose(pose_message(3, (1, 2, 3), (0, 0, half, half)))  # a quarter turn about z
    assert t == 3
    expected = [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(pose, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"HDF" + content, "must be a ROS bag of version 2.0. Got: it does not"),
        (lambda content: content[:-300], "is damaged. Got: "),
        (lambda content: content.replace(b"=none", b"=zstd"), "are compressed with 'zstd'"),
        (lambda content: content.replace(b"conn=", b"comm="), "is damaged. Got: KeyError"),
    ],
)
def test_a_file_that_is_no_bag_raises(change, message, tmp_path):
    path = tmp_path / "x.bag"
    path.write_bytes(change(bag([("/a", bytes(500))])))
    with pytest.raises(EventFormatError, match=re.escape(message)) as caught:
        [*read_messages(path, {"/a"})]
    assert caught.value.path == str(path)
