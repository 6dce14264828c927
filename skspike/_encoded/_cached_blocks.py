"""Encoding recordings that are not in a cache yet, and reading those that are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from ..exceptions import EventLossWarning
from ._encode_block import Block, BlockEncoder
from ._encoder_cache import encoder_key, open_store, recording_keys
from ._row_store import StoredRow


class CachedBlocks:
    """The blocks of a :class:`BlockEncoder`, none of whose recordings is encoded twice.

    Whoever encodes what is missing keeps other processes from writing meanwhile: they find it when
    it is their turn. Rows with values that are not finite are never stored.

    Parameters
    ----------
    source : BlockEncoder
    path : str or path-like
        Folder of the cache.
    """

    def __init__(self, source: BlockEncoder, path) -> None:
        self.source = source
        self._store = open_store(path, source.encoder)
        self._keys = recording_keys(encoder_key(source.encoder), source.events)
        self._writable = True

    def blocks(
        self, parts: Sequence[np.ndarray], *, rows: bool = True, digests: bool = False
    ) -> Iterator[Block]:
        """Yield the rows of each part, an array of numbers of recordings, or their digests."""
        for part in parts:
            yield (None if rows else self._known_digests(part)) or self._block(part)

    def close(self) -> None:
        """End the processes that encode."""
        self.source.close()

    def _known_digests(self, part: np.ndarray) -> Block | None:
        """Return the digests of rows that are all stored and were made without a note."""
        digests = [self._store.digest(self._keys[i]) for i in part]
        kind = self._store.row_type()
        if None in digests or kind is None:
            return None
        dtype, shape = kind
        return Block((len(part), *shape), dtype, None, np.array(digests, np.uint64), True, [])

    def _block(self, part: np.ndarray) -> Block:
        """Return rows and digests, encoding those that are missing."""
        first = {self._keys[i]: i for i in reversed(part.tolist())}
        found = {key: self._store.get(key) for key in first}
        notes: list[Warning] = []
        valid = True
        if None in found.values():
            valid = self._encode_missing(first, found, notes)
        rows = [found[self._keys[i]] for i in part]
        notes += [
            EventLossWarning(f"When the recordings were encoded for the cache: {text}")
            for text in dict.fromkeys(row.note for row in rows if row.note)
        ]
        values = np.stack([row.values for row in rows])
        digests = np.array([row.digest for row in rows], np.uint64)
        return Block(values.shape, values.dtype, values, digests, valid, notes)

    def _encode_missing(self, first: dict[bytes, int], found: dict, notes: list) -> bool:
        """Add the rows that nobody has stored yet; tell whether all their values are finite."""
        valid = True
        with self._store.writing():
            found |= {key: self._store.get(key) for key, row in found.items() if row is None}
            todo = [key for key, row in found.items() if row is None]
            n_jobs = self.source.n_jobs
            pieces = [todo[i::n_jobs] for i in range(n_jobs) if todo[i::n_jobs]]
            parts = [np.array([first[key] for key in piece]) for piece in pieces]
            blocks = self.source.blocks(parts, digests=True)
            for keys, block in zip(pieces, blocks, strict=True):
                if block.valid:
                    self._keep(keys, block)
                valid &= block.valid
                notes += block.notes
                made = zip(keys, block.rows, block.digests.tolist(), strict=True)
                found |= {key: StoredRow(row, digest, "") for key, row, digest in made}
        return valid

    def _keep(self, keys: list[bytes], block: Block) -> None:
        """Store rows, unless they differ in type from the rest, while the folder takes them."""
        losses = [str(note) for note in block.notes if isinstance(note, EventLossWarning)]
        if self._writable and self._store.row_type() in (None, (block.dtype, block.shape[1:])):
            try:
                self._store.append(keys, block.rows, block.digests, " ".join(losses))
            except OSError as error:
                self._writable = False
                warnings.warn(
                    f"The cache of {self.source.owner} in folder {str(self._store.folder)!r} takes "
                    f"no more recordings: {error}. What it lacks is encoded whenever it is used.",
                    RuntimeWarning,
                    stacklevel=2,
                )
