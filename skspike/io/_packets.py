"""What formats made of packets share: finding the next packet after a damaged one."""

from __future__ import annotations

import io

_WINDOW = 2**16  # bytes


def find_mark(file: io.BufferedIOBase, mark: bytes, start: int, stop: int) -> int | None:
    """Return where `mark` occurs first in the bytes from `start` to `stop`, or None."""
    while start < stop:
        file.seek(start)
        window = file.read(min(_WINDOW, stop - start))
        at = window.find(mark)
        if at >= 0:
            return start + at
        if len(window) < _WINDOW:
            return None
        start += len(window) - len(mark) + 1
    return None


def size_of(file: io.BufferedIOBase) -> int:
    """Return the size of an open file in bytes."""
    return file.seek(0, io.SEEK_END)
