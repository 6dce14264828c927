"""The formats that can be read, and how the format of a file is found."""

from __future__ import annotations

from pathlib import Path

from ..exceptions import EventFormatError
from . import (
    _aedat,
    _aedat4,
    _csv,
    _dat,
    _es,
    _evt,
    _folder,
    _hdf5,
    _mat,
    _nmnist,
    _npz,
    _text,
)
from ._format import HEAD, EventFormat

# Those with a mark come first, those that go by the name of the file last.
FORMATS: tuple[EventFormat, ...] = (
    _folder.FORMAT,
    *_evt.FORMATS,
    _dat.FORMAT,
    _aedat4.FORMAT,
    *_aedat.FORMATS,
    _es.FORMAT,
    _hdf5.FORMAT,
    *_npz.FORMATS,
    _mat.FORMAT,
    _csv.FORMAT,
    _text.FORMAT,
    _nmnist.FORMAT,
)
BY_NAME = {format.name: format for format in FORMATS}

_WRAPPERS = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"7z\xbc\xaf\x27\x1c": "7-zip",
    b"Rar!": "rar",
}


def detect(path: Path) -> EventFormat:
    """Return the format of a file, by its content, or raise."""
    head = b"" if path.is_dir() else _read_head(path)
    for format in FORMATS:
        if format.sniff(head, path):
            return format
    raise _unknown(path, head)


def _read_head(path: Path) -> bytes:
    """Return the first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(HEAD)


def _unknown(path: Path, head: bytes) -> EventFormatError:
    """Return the error for a file of no known format."""
    for mark, wrapper in _WRAPPERS.items():
        if head.startswith(mark):
            reason = f"it is compressed ({wrapper}): unpack it first"
            break
    else:
        what = f"begins with {head[:8]!r}" if head else "is empty"
        reason = f"it {what}, and its name gives no hint; pass format=, one of {sorted(BY_NAME)}"
    message = f"File {str(path)!r} is of no known event format: {reason}."
    return EventFormatError(message, path=str(path), offset=0, reason=reason)
