"""Text: an event a line, in columns that a header names or the caller; a block of lines at a time.

A file that write_events wrote begins with a line of its own: see ``_csv.py``.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._columns import pack_block
from ._format import Block, EventFormat
from ._log import DecodeLog
from ._tables import Clock, canonical, find_columns

_DEFAULT = ("t", "x", "y", "p")
_LINE = 32  # bytes of a line, about
_LONGEST_LINE = 2**16
_BOM = b"\xef\xbb\xbf"
_COMMENTS = (b"#", b"%", b"//")
# Separators become blanks, words of polarity become numbers.
_BLANKS = bytes.maketrans(b",;\t\r", b"    ")
_WORDS = ((b"True", b"1"), (b"true", b"1"), (b"False", b"0"), (b"false", b"0"))
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]*")


class Layout(NamedTuple):
    """Where the lines of events begin, and what their columns are."""

    start: int  # byte
    names: tuple[str, ...]


def _sniff(head: bytes, path: Path) -> bool:
    """Accept what begins with lines of four numbers or more, or goes by the name of text."""
    if path.suffix.lower() in (".txt", ".csv", ".tsv"):
        return bool(head)
    if not head or not _TEXT.fullmatch(head):
        return False
    lines = [line for line in head.translate(_BLANKS).splitlines()[:64] if line.strip()]
    return any(
        len(line.split()) >= 4 and _numbers(line) is not None for line in lines[:-1] or lines
    )


def _decode(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode lines of events of one recording."""
    log.has_lines = True
    with open(path, "rb") as file:
        layout = _read_layout(file, log)
        if layout is None:
            return
        clock = Clock()
        for rows, places in read_rows(file, layout, log, chunk):
            columns = {key: rows[:, layout.names.index(key)] for key in "xytp"}
            columns["t"] = clock.microseconds(columns["t"])
            yield pack_block(log, columns, lambda k, places=places: int(places[k]))


def _read_layout(file: io.BufferedIOBase, log: DecodeLog) -> Layout | None:
    """Read the lines before the events: comments, the size of the sensor, names of columns."""
    names: tuple[str, ...] | None = None
    while line := file.readline(_LONGEST_LINE):
        start = file.tell() - len(line)
        line = line.removeprefix(_BOM) if start == 0 else line
        words = _split(line)
        if not words:
            continue
        numbers = _numbers(line.translate(_BLANKS))
        if line.lstrip().startswith(_COMMENTS):
            if not _TEXT.fullmatch(line):
                log.damage(start, "a comment is no text", n_bytes=len(line))
            commented = tuple(canonical(word) for word in words if word not in "#%/")
            names = commented if find_columns(commented) else names
        elif numbers is None:
            names = tuple(canonical(word) for word in words)
            if find_columns(names) is None and not log.columns:
                found = ", ".join(words[:8])
                log.damage(start, f"its header names {found}, not x, y, t and p once each")
                return None
        elif len(numbers) == 2 and all(1 <= n <= 2**15 and n == int(n) for n in numbers):
            log.sensor_size = (int(numbers[0]), int(numbers[1]))
        else:
            names = log.columns or names
            if names is None and len(numbers) != len(_DEFAULT):
                reason = f"its lines have {len(numbers)} columns, and no header names them"
                log.damage(start, reason)
                return None
            return Layout(start, names or _DEFAULT)
    return None


def _split(line: bytes) -> list[str]:
    """Return the words of a line, between commas if there are any, else between blanks."""
    text = line.decode("latin-1").strip().lstrip("#%/ ")
    separator = next((mark for mark in ",;\t" if mark in text), None)
    return [word.strip().strip("\"'") for word in text.split(separator)] if text else []


def _numbers(line: bytes) -> list[float] | None:
    """Return the numbers of a line, or None if there are other words."""
    for word, number in _WORDS:
        line = line.replace(word, number)
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return None


def read_rows(
    file: io.BufferedIOBase, layout: Layout, log: DecodeLog, chunk: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the numbers of some lines, of shape (n, n_columns), and the bytes they begin at."""
    file.seek(layout.start)
    offset, rest = layout.start, b""
    while data := file.read(chunk * _LINE):
        data = rest + data
        end = data.rfind(b"\n") + 1
        if not end and len(data) > _LONGEST_LINE:
            log.damage(offset, f"a line has more than {_LONGEST_LINE} bytes", n_bytes=len(data))
            offset, rest = offset + len(data), b""
            continue
        if end:
            yield _parse(data[:end], offset, layout, log)
        offset, rest = offset + end, data[end:]
    if rest.strip():
        yield _parse(rest + b"\n", offset, layout, log)


def _parse(
    text: bytes, offset: int, layout: Layout, log: DecodeLog
) -> tuple[np.ndarray, np.ndarray]:
    """Parse whole lines; those with too few or many columns, or without numbers, are left out."""
    if offset == 0:
        text = text.replace(_BOM, b"   ", 1) if text.startswith(_BOM) else text
    plain = text.translate(_BLANKS)
    if b"rue" in plain or b"alse" in plain:
        for word, number in _WORDS:
            plain = plain.replace(word, number.ljust(len(word)))
    starts, n_words = _count_words(plain)
    filled = n_words > 0
    if (n_words[filled] == len(layout.names)).all():
        numbers = _parse_fast(plain, int(n_words.sum()))
        if numbers is not None:
            return numbers.reshape(-1, len(layout.names)), offset + starts[filled]
    return _parse_slowly(plain.split(b"\n"), offset, layout, log)


def _count_words(text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return where each line begins, and how many words it has."""
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    blank = data <= ord(" ")
    begins = ~blank
    begins[1:] &= blank[:-1]
    return starts, np.add.reduceat(begins, starts, dtype=np.int64)


def _parse_fast(text: bytes, n: int) -> np.ndarray | None:
    """Return all numbers of a text, or None unless there are `n` and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            numbers = np.fromstring(text, np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return numbers if len(numbers) == n else None


def _parse_slowly(
    lines: list[bytes], offset: int, layout: Layout, log: DecodeLog
) -> tuple[np.ndarray, np.ndarray]:
    """Parse line by line, and report those that are no events."""
    rows, places = [], []
    for line in lines:
        words = line.split()
        if words and not words[0].startswith(_COMMENTS):
            numbers = _numbers(line)
            if numbers is None:
                shown = line[:40].decode("latin-1").strip()
                log.damage(offset, f"{shown!r} is not a line of numbers", n_events=1)
            elif len(numbers) != len(layout.names):
                reason = f"a line has {len(numbers)} columns instead of {len(layout.names)}"
                log.damage(offset, reason, n_events=1)
            else:
                rows.append(numbers)
                places.append(offset)
        offset += len(line) + 1
    return np.array(rows, np.float64).reshape(-1, len(layout.names)), np.array(places, np.int64)


FORMAT = EventFormat("text", _sniff, _decode)
