"""Rows that are encoded when they are used: one array that need not fit into memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .._events import EventCollection
from ..exceptions import EventLossWarning
from ._cached_blocks import CachedBlocks
from ._encode_block import Block, BlockEncoder

# events and rows, in bytes, that are worked on at a time
_BLOCK = 2**25


class EncodedRows:
    """The rows that a fitted encoder makes of recordings, made anew whenever they are used.

    Parameters
    ----------
    encoder : object
        Fitted; `transform` returns one row for each recording, whatever the others are.
    events : EventCollection
        One recording at least.
    owner : str
        In whose name to raise.
    cache : str, path-like or None
        Folder that keeps rows, so that none is made twice.
    n_jobs : int
        How many processes encode; one is the calling process.
    check : callable
        Raises, given rows with a value that is not finite or too large for float32.

    Attributes
    ----------
    sample : ndarray of shape (1, ...)
        The first row.
    shape, dtype, nbytes
        Those of the array of all rows.
    """

    def __init__(
        self,
        encoder,
        events: EventCollection,
        *,
        owner: str,
        check: Callable[[np.ndarray], object],
        cache=None,
        n_jobs: int = 1,
    ) -> None:
        self.owner, self._check = owner, check
        self._sizes = events.lengths * events.events.itemsize
        source = BlockEncoder(encoder, events, owner, n_jobs)
        self._source = source if cache is None else CachedBlocks(source, cache)
        self.sample = next(self._source.blocks([np.arange(1)])).rows
        self.shape, self.dtype = (len(events), *self.sample.shape[1:]), self.sample.dtype
        self.nbytes = len(events) * self.sample.nbytes
        # what was noticed in the first pass over the rows; None after it
        self._notes: dict[str, Warning] | None = {}

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def to_array(self) -> np.ndarray:
        """Return all rows as one array, filled block by block."""
        array = np.empty(self.shape, self.dtype)
        parts = self._parts(np.arange(len(self)))
        for part, block in zip(parts, self._blocks(parts), strict=True):
            array[part] = block.rows
        self._warn()
        return array

    def stream(self, parts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the rows of each part, an array of numbers of rows."""
        for block in self._blocks(parts):
            if self._notes is not None and not block.valid:
                self._check(block.rows)
            yield block.rows
        self._warn()

    def digests(self, rows: np.ndarray) -> np.ndarray:
        """Check these rows, and return a digest of each, an array of uint64."""
        parts = self._parts(rows)
        digests = []
        for part, block in zip(parts, self._blocks(parts, rows=False, digests=True), strict=True):
            if not block.valid:
                self._check(next(self._blocks([part])).rows)
            digests.append(block.digests)
        self._warn()
        return np.concatenate([np.empty(0, np.uint64), *digests])

    def close(self) -> None:
        """End the processes that encode."""
        self._source.close()

    def _parts(self, rows: np.ndarray) -> list[np.ndarray]:
        """Divide rows into parts that fit into memory, however long their recordings are."""
        number = np.cumsum(self._sizes[rows] + self.sample.nbytes) // _BLOCK
        return np.split(rows, np.flatnonzero(np.diff(number)) + 1)

    def _blocks(self, parts: Sequence[np.ndarray], **wanted: bool) -> Iterator[Block]:
        """Yield the block of each part, noting what is said of them."""
        for block in self._source.blocks(parts, **wanted):
            if block.shape[1:] != self.shape[1:] or block.dtype != self.dtype:
                raise ValueError(
                    f"The encoder of {self.owner} must make rows of one shape and dtype, "
                    f"{self.shape[1:]} and {self.dtype} as of the first recording. "
                    f"Got {block.shape[1:]} and {block.dtype} instead."
                )
            if self._notes is not None:
                self._notes |= {str(note): note for note in block.notes}
            yield block

    def _warn(self) -> None:
        """Say at the end of the first pass what its blocks said, the losses of events at once."""
        notes, self._notes = self._notes or {}, None
        losses = [text for text, note in notes.items() if isinstance(note, EventLossWarning)]
        for text, note in notes.items():
            if text not in losses:
                warnings.warn(note, stacklevel=2)
        if losses:
            more = f" Losses were met in {len(losses)} blocks of recordings." * (len(losses) > 1)
            warnings.warn(losses[0] + more, EventLossWarning, stacklevel=2)
