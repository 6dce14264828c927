"""A lock among the threads and processes of one machine, which ends with whoever holds it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL = 0.05  # s


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at a path; wait for others that hold it.

    The file stays when the lock is given back: to remove it would let a third one in beside a
    second one that waits for it.
    """
    with open(path, "a+b") as file:
        _lock(file)
        try:
            yield
        finally:
            _unlock(file)


if os.name == "nt":  # pragma: no cover
    import msvcrt

    def _lock(file) -> None:
        """Lock the first byte; Windows gives up after a while, so ask again."""
        while True:
            try:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                return
            except OSError:
                time.sleep(_POLL)

    def _unlock(file) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file) -> None:
        """Lock the file; each opening of it counts, so that threads wait for each other too."""
        fcntl.flock(file, fcntl.LOCK_EX)

    def _unlock(file) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
