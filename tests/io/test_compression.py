"""Packets with their length in front, compressed or not."""

import struct

import pytest

from skspike.io._compression import UNPACK, CompressionError, unpack_lz4, unpack_none, unpack_zstd

CONTENT = struct.pack("<I", 300) + bytes(range(256)) + bytes(44)


def packed(kind, content=CONTENT):
    if kind in (1, 2):
        return pytest.importorskip("lz4.frame").compress(content, store_size=False)
    if kind in (3, 4):
        return pytest.importorskip("zstandard").ZstdCompressor().compress(content)
    return content


@pytest.mark.parametrize("kind", range(5))
def test_content_comes_back_without_its_length(kind):
    assert UNPACK[kind](packed(kind)) == CONTENT[4:]
    assert UNPACK[kind](packed(kind, bytes(4))) == b""


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("content", [b"", b"\1\0", struct.pack("<I", 5) + b"four", bytes(5)])
def test_a_wrong_length_is_an_error(kind, content):
    with pytest.raises(CompressionError, match=r"holds|claims"):
        UNPACK[kind](packed(kind, content))


@pytest.mark.parametrize("kind", [1, 3])
def test_what_is_cut_or_changed_is_an_error(kind):
    data = packed(kind)
    for wrong in (
        data[:-1],
        data[:20],
        data[:3],
        b"",
        b"\xff" * 40,
        data[:10] + b"\xff" + data[11:],
    ):
        with pytest.raises(CompressionError):
            UNPACK[kind](wrong)


def test_bytes_behind_an_lz4_frame_are_an_error():
    with pytest.raises(CompressionError, match="does not end where the packet ends"):
        unpack_lz4(packed(1) + b"more")


@pytest.mark.parametrize("kind", [1, 3])
def test_a_huge_claim_takes_no_memory(kind):
    with pytest.raises(CompressionError, match="claims to hold 4294967295 bytes"):
        UNPACK[kind](packed(kind, b"\xff" * 8))


@pytest.mark.parametrize(("name", "unpack"), [("lz4", unpack_lz4), ("zstandard", unpack_zstd)])
def test_a_missing_package_is_named(name, unpack, monkeypatch):
    for module in (name, "lz4.frame"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ImportError, match=rf"needs the package {name}: pip install .skspike\[io\]"):
        unpack(b"")
    assert unpack_none(CONTENT) == CONTENT[4:]
