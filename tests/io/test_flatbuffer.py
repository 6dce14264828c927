"""Flatbuffers whose offsets lead nowhere."""

import struct

import pytest

from skspike.io._flatbuffer import FlatbufferError, root


def buffer(vtable=(10, 12, 4, 8, 0), fields=(7, 12), tail=b""):
    """Return a table behind its vtable of three fields: two ints of 4 bytes, one at its default."""
    head = struct.pack("<I", 8 + 12) + b"TEST"
    content = struct.pack("<5H", *vtable) + b"\0\0" + struct.pack("<iii", 12, *fields)
    return head + content + tail


def test_fields_by_number():
    table = root(buffer(), b"TEST")
    assert table.number(0, "i", -1) == 7
    assert table.number(1, "i", -1) == 12
    assert table.number(2, "i", -1) == -1  # at its default
    assert table.number(9, "q", -5) == -5  # of a newer version


def test_vectors_structs_and_tables():
    vector = struct.pack("<I", 2) + b"abcd"
    table = root(buffer(fields=(7, 4), tail=vector), b"TEST")
    assert table.vector(1, 2) == (36, 2)
    assert table.vector(2, 2) == (0, 0)
    assert table.struct(0, "<HH") == (7, 0)
    assert table.struct(2, "<HH") is None
    inner = struct.pack("<II", 1, 4) + struct.pack("<i", 4 - 28)  # a table with the same vtable
    inner = struct.pack("<I", 1) + struct.pack("<I", 4) + struct.pack("<iii", 40 - 8, 5, 6)
    assert [
        t.number(1, "i", 0) for t in root(buffer(fields=(7, 4), tail=inner), b"TEST").tables(1)
    ] == [6]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "marked b''"),
        (buffer()[:8], "points to byte"),
        (b"\xff\xff\xff\xff" + buffer()[4:], "points to byte 4294967295"),
        (buffer().replace(b"TEST", b"REST"), "marked b'REST', not b'TEST'"),
    ],
)
def test_a_wrong_root_is_an_error(data, fault):
    with pytest.raises(FlatbufferError, match=fault):
        root(data, b"TEST")


@pytest.mark.parametrize(
    ("table", "call"),
    [
        (buffer(vtable=(10, 12, 60000, 8, 0)), lambda t: t.number(0, "i", 0)),
        (buffer(vtable=(10, 12, 4, 14, 0)), lambda t: t.struct(1, "<qq")),
        (buffer(fields=(7, 4), tail=b"\xff\xff\xff\xff"), lambda t: t.vector(1, 16)),
        (buffer(fields=(7, -1)), lambda t: t.vector(1, 16)),
        (buffer(fields=(7, 4), tail=b"\1\0\0\0\xff\xff\xff\x7f"), lambda t: t.tables(1)),
    ],
)
def test_what_leads_out_of_the_buffer_is_an_error(table, call):
    with pytest.raises(FlatbufferError):
        call(root(table, b"TEST"))
