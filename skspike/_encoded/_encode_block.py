"""Encoding some recordings of many, here or in a worker process."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from .._config import config_context, get_config
from .._events import EventCollection
from ._row_store import narrowed
from ._workers import WorkerPool

_FLOAT32_MAX = np.finfo(np.float32).max
_held = None  # keeps the file of the last recordings mapped in a worker process


class Block(NamedTuple):
    """Some rows, or their digests, and what was noticed about them."""

    shape: tuple[int, ...]
    dtype: np.dtype
    rows: np.ndarray | None
    digests: np.ndarray | None  # uint64
    valid: bool  # finite, and no larger than float32 can hold
    notes: list[Warning]


class BlockEncoder:
    """A fitted encoder that encodes some recordings of a collection at a time.

    Parameters
    ----------
    encoder : object
        Fitted; `transform` returns one row for each recording, whatever the others are.
    events : EventCollection
    owner : str
        In whose name to raise.
    n_jobs : int
        How many processes encode; one is the calling process.
    """

    def __init__(self, encoder, events: EventCollection, owner: str, n_jobs: int) -> None:
        self.encoder, self.events, self.owner, self.n_jobs = encoder, events, owner, n_jobs
        self._pool = WorkerPool(owner, n_jobs)

    def blocks(
        self, parts: Sequence[np.ndarray], *, rows: bool = True, digests: bool = False
    ) -> Iterator[Block]:
        """Yield the rows of each part, an array of numbers of recordings, or their digests."""
        config = get_config()
        tasks = ((self.encoder, self.events[part], config, rows, digests) for part in parts)
        if self.n_jobs > 1 and len(parts) > 1:
            results = self._pool.map(_encode_compactly, tasks)
        else:
            results = (encode_block(*task) for task in tasks)
        with contextlib.closing(results):
            for part in parts:
                with self._naming(part):
                    block = next(results)
                    self._check(block, len(part))
                if block.rows is not None:
                    block = block._replace(rows=block.rows.astype(block.dtype, copy=False))
                yield block

    def close(self) -> None:
        """End the processes that encode."""
        self._pool.close()

    def _check(self, block: Block, n: int) -> None:
        """Raise unless a block holds numbers, one row for each recording."""
        if block.dtype.kind not in "biuf" or len(block.shape) < 2 or block.shape[0] != n:
            raise ValueError(
                f"The encoder of {self.owner} must return an array of numbers with one row for "
                f"each recording. Got shape {block.shape} and dtype {block.dtype} for {n} "
                "recordings instead."
            )

    @contextlib.contextmanager
    def _naming(self, part: np.ndarray) -> Iterator[None]:
        """Say of an error which recordings it counts."""
        try:
            yield
        except Exception as error:
            if len(part) and len(part) < len(self.events):
                listed = ", ".join(map(str, part[:4])) + (", …" if len(part) > 4 else "")
                error.add_note(
                    f"This happened while the recordings {listed} of X were encoded together; a "
                    "recording that the message names is counted among them."
                )
            raise


def encode_block(encoder, events: EventCollection, config: dict, rows: bool, digests: bool):
    """Encode recordings under a configuration; return what is asked for."""
    with config_context(**config), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoded = np.asarray(encoder.transform(events))
    events._release()
    numeric = encoded.dtype.kind in "biuf" and encoded.ndim > 1
    return Block(
        encoded.shape,
        encoded.dtype,
        encoded if rows else None,
        row_digests(encoded) if digests and numeric else None,
        _fit_float32(encoded) if numeric else True,
        [warning.message for warning in caught],
    )


def _encode_compactly(encoder, events: EventCollection, *options) -> Block:
    """Encode recordings in a worker process; small whole numbers travel as bytes."""
    global _held
    _held = events
    block = encode_block(encoder, events, *options)
    small = None if block.rows is None else narrowed(block.rows)
    return block if small is None else block._replace(rows=small)


def row_digests(rows: Iterable[np.ndarray]) -> np.ndarray:
    """Return a digest of the values of each row, of shape (n_rows,)."""
    digests = [blake2b(np.ascontiguousarray(row), digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _fit_float32(rows: np.ndarray) -> bool:
    """Tell whether all values are finite and no larger than float32 can hold."""
    if rows.dtype.kind != "f" or rows.size == 0:
        return True
    return bool(max(rows.max(), -rows.min()) <= _FLOAT32_MAX)  # no comparison holds for NaN
