"""What the cleaning steps share: recordings in, the same recordings with fewer events out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._event_columns import EVENT_DTYPE, FIELDS, check_sensor_size
from .._events import EventCollection, as_event_collection
from .._sklearn import fit_context
from .._threads import parallel_for

_BLOCK = 2**18  # events looked at together by numpy; their masks fit in the cache


class EventFilter(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Base of the cleaning steps, from EventCollection to EventCollection.

    A subclass names its parameters in `__init__`, among them `sensor_size` and `n_jobs`, and writes
    `_keep_block` (or `_mark`), where it learns something `_learn`, and where it moves events
    `_change_block` and `_size_out`.
    """

    _parameter_constraints: dict = {"sensor_size": ["array-like", None], "n_jobs": [Integral, None]}
    _whole = False  # whether an event is judged by others of its recording

    def _learn(self, X: EventCollection) -> None:
        """Learn from recordings; the sensor size is known."""

    def _prepare(self, X: EventCollection) -> object:
        """Return what every block of these recordings needs, as the last argument of the hooks."""

    def _keep_block(self, events: np.ndarray, recordings: Block, context) -> np.ndarray | None:
        """Return a mask of the events to keep; None keeps all."""
        raise NotImplementedError

    def _change_block(self, events: np.ndarray, recordings: Block, context) -> None:
        """Change kept events in place, on the collection that is returned."""

    def _changes(self) -> bool:
        """Tell whether kept events change."""
        return False

    def _size_out(self) -> tuple[int, int]:
        """Return the size of the sensor on which the output lies."""
        return self.sensor_size_

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the sensor size, and what else the step says it learns.

        Parameters
        ----------
        X : EventCollection, list or object array of structured arrays
            The recordings, each with the fields ``x``, ``y``, ``t`` (µs) and ``p``.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted step.
        """
        X = as_event_collection(X, type(self).__name__)
        sensor_size = X.sensor_size if self.sensor_size is None else self.sensor_size
        self.sensor_size_ = check_sensor_size(type(self).__name__, sensor_size)
        self._learn(X)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X, y=None):
        """Fit to recordings and return them without the events left out.

        Parameters
        ----------
        X : EventCollection, list or object array of structured arrays
            The recordings, each with the fields ``x``, ``y``, ``t`` (µs) and ``p``.
        y : None
            Ignored.

        Returns
        -------
        cleaned : EventCollection of n_samples recordings
            What is kept, in the order of `X`.
        """
        X = as_event_collection(X, type(self).__name__)
        return self.fit(X).transform(X)

    def transform(self, X):
        """Return recordings without the events left out.

        Parameters
        ----------
        X : EventCollection, list or object array of structured arrays
            The recordings, each with the fields ``x``, ``y``, ``t`` (µs) and ``p``.

        Returns
        -------
        cleaned : EventCollection of n_samples recordings
            What is kept, in the order of `X`. Where all of it is kept as it was, it shares the
            buffer of `X`.
        """
        check_is_fitted(self)
        X = as_event_collection(X, type(self).__name__)
        context = self._prepare(X)
        keep = np.ones(X.n_events, bool)
        self._mark(X, keep, context)
        if keep.all() and not self._changes():
            if X.sensor_size == self._size_out():
                return X
            return X._from_parts(X.events, X.offsets, X.index, self._size_out())
        return self._collect(X, keep, context)

    def _mark(self, X: EventCollection, keep: np.ndarray, context) -> None:
        """Set to False what is left out, in a mask of the events of all recordings."""

        def mark(block: Block) -> None:
            events = X.events[block.stored]
            self._check_on_sensor(events, block)
            mask = self._keep_block(events, block, context)
            if mask is not None:
                keep[block.shown] = mask

        self._for_each(list(blocks(X, cut=not self._whole)), mark)

    def _collect(self, X: EventCollection, keep: np.ndarray, context) -> EventCollection:
        """Return a collection of the events in the mask, changed."""
        parts = list(blocks(X, cut=True))
        owners = np.concatenate([np.empty(0, np.int64), *(block.owners for block in parts)])
        lengths = np.empty(len(owners), np.int64)

        def count(block: Block) -> None:
            kept = np.flatnonzero(keep[block.shown])
            ends = np.searchsorted(kept, np.cumsum(block.lengths))
            lengths[block.first : block.last] = np.diff(ends, prepend=0)

        self._for_each(parts, count)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        events = np.empty(offsets[-1], EVENT_DTYPE)

        def fill(block: Block) -> None:
            out = events[offsets[block.first] : offsets[block.last]]
            # With another mode, and by a mask, numpy copies field by field.
            kept = np.flatnonzero(keep[block.shown])
            np.take(X.events[block.stored], kept, out=out, mode="clip")
            self._change_block(out, block.with_lengths(lengths[block.first : block.last]), context)

        self._for_each(parts, fill)
        firsts = np.searchsorted(owners, np.arange(len(X) + 1))
        return X._from_parts(events, offsets[firsts], np.arange(len(X)), self._size_out())

    def _for_each(self, todo: list[Block], body: Callable[[Block], None]) -> None:
        """Call `body` with every block, on `n_jobs` threads."""

        def run(start: int, stop: int) -> None:
            for block in todo[start:stop]:
                body(block)

        parallel_for(run, len(todo), grain=1, n_threads=effective_n_jobs(self.n_jobs))

    def _check_on_sensor(self, events: np.ndarray, block: Block, numbers=None) -> None:
        """Raise if an event lies off the learned sensor; the message names its recording.

        `numbers` are the recordings' places in what the user gave, if it was not all of them.
        """
        size = self.sensor_size_
        columns = [events[name] for name in "xy"]
        if not len(events) or all(
            column.min() >= 0 and column.max() < side
            for column, side in zip(columns, size, strict=True)
        ):
            return
        x, y = columns
        k = np.argmax((x < 0) | (x >= size[0]) | (y < 0) | (y >= size[1]))
        i = block.owners[np.searchsorted(np.cumsum(block.lengths), k, side="right")]
        i = i if numbers is None else numbers[i]
        raise ValueError(
            f"Events of X of {type(self).__name__} must lie on the sensor of size {size}. "
            f"Recording {i} has one at x={x[k]}, y={y[k]} instead."
        )

    def get_feature_names_out(self, input_features=None):
        """Return the names of the fields of an event.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str objects of shape (4,)
            ``x``, ``y``, ``t`` and ``p``: recordings come out as they came in.
        """
        check_is_fitted(self)
        return np.array(FIELDS, dtype=object)

    def set_output(self, *, transform=None):
        """Change nothing: recordings are no table.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self : object
            The step.
        """
        return self

    def __event_claims__(self):
        """Say what the output can be held to; see `skspike.utils.estimator_checks`."""
        return {"subset", "time_shift"}

    def __sklearn_tags__(self):
        """Say that the input is no table."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


class Block:
    """Recordings or parts of them, number `first` to `last` - 1, whose events lie side by side."""

    def __init__(self, first: int, owners: np.ndarray, lengths: np.ndarray, stored, shown):
        self.first, self.last = first, first + len(owners)
        self.owners = owners  # (last - first,): the recordings, by number
        self.lengths = lengths  # (last - first,)
        self.stored = stored  # where in the buffer; a slice
        self.shown = shown  # where in the events of all recordings shown; a slice

    def with_lengths(self, lengths: np.ndarray) -> Block:
        """Return the block with other numbers of events."""
        return Block(self.first, self.owners, lengths, self.stored, self.shown)

    def spread(self, per_recording: np.ndarray) -> np.ndarray:
        """Return for each event of the block the value of its recording, of all recordings'."""
        return np.repeat(per_recording[self.owners], self.lengths)


def blocks(X: EventCollection, *, cut: bool = False) -> Iterator[Block]:
    """Divide a collection into blocks of about `_BLOCK` events, at the bounds of recordings.

    With `cut`, longer recordings are cut into parts.
    """
    if len(X) == 0:
        return
    starts, stops = X.bounds()
    owners = np.arange(len(X))
    if cut:
        owners, begins, ends = cut_into(np.maximum(-(-X.lengths // _BLOCK), 1), X.lengths)
        starts, stops = starts[owners] + begins, starts[owners] + ends
    lengths = stops - starts
    shown = np.concatenate([[0], np.cumsum(lengths)])
    apart = (starts[1:] != stops[:-1]) | (np.diff(shown[:-1] // _BLOCK) > 0)
    edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(owners)]
    for first, last in itertools.pairwise(edges):
        stored = slice(starts[first], stops[last - 1])
        where = slice(shown[first], shown[last])
        yield Block(first, owners[first:last], lengths[first:last], stored, where)


def cut_into(n_parts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return of each part of recordings its recording, its first event and the one after its last.

    `n_parts` and `lengths` are of all recordings; the parts of one are about equally long.
    """
    owners = np.repeat(np.arange(len(lengths)), n_parts)
    number = np.arange(len(owners)) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    begins, ends = (lengths[owners] * k // n_parts[owners] for k in (number, number + 1))
    return owners, begins, ends
