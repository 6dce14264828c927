"""What a file format is: how it is recognised, and how its files become blocks of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._log import DecodeLog

HEAD = 4096  # bytes of a file that `EventFormat.sniff` sees


class Block(NamedTuple):
    """Consecutive events of one recording, as a decoder yields them.

    Recordings of a file are counted from 0 and come in order; a number that is left out is an
    empty recording, and an empty block makes the last ones known.
    """

    events: np.ndarray  # of dtype EVENT_DTYPE
    locate: Callable[[int], int | None]  # where in the file event k of this block begins
    recording: int = 0


Decoder = Callable[[Path, DecodeLog, int], Iterator[Block]]


@dataclass(frozen=True)
class EventFormat:
    """A file format.

    `decode(path, log, chunk)` yields blocks of at most about `chunk` events and needs memory for a
    few of them, however large the file. It sets `log.sensor_size` before the first block if the
    file knows it, calls `log.damage` where the file is not as it should be, and goes on after that
    call where it can. Order in time, coordinates and the number of events are checked by others.
    """

    name: str  # the value of the parameter `format`
    sniff: Callable[[bytes, Path], bool]  # is a file with this head (and path) of the format?
    decode: Decoder
    ordered: bool = True  # events come in order of time; otherwise any order is right
    may_be_empty: bool = False  # no event at all is right


def read_records(
    path: Path, start: int, size: int, log: DecodeLog, chunk: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the offset and the bytes of up to `chunk` records at a time, of shape (n, size)."""
    with open(path, "rb") as file:
        file.seek(start)
        while data := file.read(size * chunk):
            n = len(data) // size
            if n:
                yield start, np.frombuffer(data, np.uint8, n * size).reshape(n, size)
            start += n * size
            if rest := len(data) - n * size:
                reason = f"it ends after {rest} of the {size} bytes of an event"
                log.damage(start, reason, n_bytes=rest)
