"""The folder that EventCollection.save writes, as a format like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .._events import EventCollection
from ._format import Block, EventFormat
from ._log import DecodeLog


def _sniff(head: bytes, path: Path) -> bool:
    return path.is_dir()


def _decode(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Yield slices of the mapped file; what is wrong with the folder, EventCollection.open says."""
    X = EventCollection.open(path)
    log.sensor_size = X.sensor_size
    for i, recording in enumerate(X):
        for start in range(0, max(len(recording), 1), chunk):
            yield Block(recording[start : start + chunk], lambda k: None, i)


# Events of a collection may be in any order, and there may be none.
FORMAT = EventFormat("folder", _sniff, _decode, ordered=False, may_be_empty=True)
