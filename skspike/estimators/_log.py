"""Show what the package logs while an estimator fits."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import tqdm

__all__ = ["show_log"]


class _AboveTheBar(logging.Handler):
    """Write records to stderr without tearing an open progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        tqdm.tqdm.write(self.format(record), file=sys.stderr)


@contextmanager
def show_log(enabled: bool) -> Iterator[None]:
    """Show the INFO records of the logger ``"skspike"`` inside the block, if `enabled`."""
    if not enabled:
        yield
        return
    logger, handler = logging.getLogger("skspike"), _AboveTheBar()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(logging.INFO, logger.getEffectiveLevel()))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
