"""EventCollection: many recordings as one ``X`` that scikit-learn can split without copying."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator

import numpy as np

from ._event_columns import EVENT_DTYPE, FIELDS, check_sensor_size, pack_columns, pack_recordings
from ._event_folder import MappedFolder, map_folder, release_pages, remap_folder, write_folder
from .exceptions import EventFormatError

__all__ = ["EVENT_DTYPE", "EventCollection", "as_event_collection", "is_events"]

# a pass over a mapped file keeps about so many events of it in memory
_KEPT_EVENTS = 2**22


class EventCollection:
    """Many event-camera recordings as one ``X``.

    All events lie in one flat buffer; `offsets` cut it into recordings, and an index says which
    of them, in which order, this collection shows. Selecting recordings, as every fold of a
    cross-validation does, makes a new index and shares the buffer: no event is copied.

    Parameters
    ----------
    recordings : iterable of structured ndarray of shape (n_events,), or EventCollection
        One array per recording, with the fields ``x``, ``y`` (pixel), ``t`` (whole microseconds)
        and ``p`` (polarity: bools, 0 and 1, or -1 and 1), in any order and of any numeric type;
        further fields are ignored. The events are copied, and kept in the order given.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels. By default the smallest that holds all events.

    Attributes
    ----------
    events : ndarray of shape (n_stored_events,)
        The read-only buffer, of dtype ``[("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]``.
        Views share it, so it may hold more events than the recordings shown.
    offsets : ndarray of shape (n_stored_recordings + 1,)
        Stored recording ``j`` is ``events[offsets[j]:offsets[j + 1]]``.
    index : ndarray of shape (n_recordings,)
        Recording ``i`` of this collection is the stored recording ``index[i]``.
    sensor_size : tuple of int (width, height)
        Size of the sensor in pixels.
    lengths : ndarray of shape (n_recordings,)
        Number of events of each recording.
    n_events : int
        Number of events of all recordings shown.
    shape : tuple of int (n_recordings,)
        What scikit-learn reads the number of samples from.

    Raises
    ------
    EventFormatError
        If a recording lacks a field, or holds a value that no event can have; the message names
        the recording. It is a ``ValueError``.
    TypeError
        If a recording is not a structured array of numbers.

    See Also
    --------
    skspike.encoders.FrameEncoder : Turns recordings into stacks of frames.
    skspike.datasets.load_digits_events : Handwritten digits as an event camera sees them.

    Notes
    -----
    The buffer is read-only, because folds share it; copy a recording to edit it. Two views can be
    equal without sharing anything: equality compares recordings and sensor size.

    Examples
    --------
    >>> import numpy as np
    >>> from skspike import EventCollection
    >>> dtype = [("x", int), ("y", int), ("t", int), ("p", int)]
    >>> first = np.array([(3, 0, 10, 1), (3, 1, 25, 0)], dtype=dtype)
    >>> second = np.array([(0, 2, 5, 1)], dtype=dtype)
    >>> X = EventCollection([first, second], sensor_size=(4, 4))
    >>> X
    <EventCollection: 2 recordings, 3 events, sensor_size=(4, 4)>
    >>> X[1]["t"]
    array([5])
    >>> X[[1, 1, 0]].lengths
    array([1, 1, 2])
    >>> np.shares_memory(X[:1].events, X.events)
    True
    """

    def __init__(self, recordings, *, sensor_size=None):
        if sensor_size is not None:
            sensor_size = check_sensor_size("EventCollection", sensor_size)
        elif isinstance(recordings, EventCollection):
            sensor_size = recordings.sensor_size
        events, offsets, sensor_size = pack_recordings(list(recordings), sensor_size)
        self._set_parts(events, offsets, np.arange(len(offsets) - 1), sensor_size)

    @classmethod
    def from_columns(cls, *, x, y, t, p, offsets, sensor_size=None) -> EventCollection:
        """Make a collection of flat columns.

        Parameters
        ----------
        x, y : array-like of shape (n_events,)
            Pixel column and row of each event.
        t : array-like of shape (n_events,)
            Time of each event, in whole microseconds.
        p : array-like of shape (n_events,)
            Polarity: bools, 0 and 1, or -1 and 1.
        offsets : array-like of shape (n_recordings + 1,)
            Recording ``i`` is made of the events ``offsets[i]`` to ``offsets[i + 1] - 1``.
        sensor_size : tuple of int (width, height), default=None
            Size of the sensor in pixels. By default the smallest that holds all events.

        Returns
        -------
        collection : EventCollection
            A collection with a buffer of its own.

        Examples
        --------
        >>> from skspike import EventCollection
        >>> EventCollection.from_columns(
        ...     x=[3, 3, 0], y=[0, 1, 2], t=[10, 25, 5], p=[1, -1, 1], offsets=[0, 2, 3]
        ... )
        <EventCollection: 2 recordings, 3 events, sensor_size=(4, 3)>
        """
        if sensor_size is not None:
            sensor_size = check_sensor_size("EventCollection.from_columns", sensor_size)
        events, offsets, sensor_size = pack_columns(
            {"x": x, "y": y, "t": t, "p": p}, offsets, sensor_size
        )
        return cls._from_parts(events, offsets, np.arange(len(offsets) - 1), sensor_size)

    @classmethod
    def from_npz(cls, path, *, sensor_size=None) -> EventCollection:
        """Read the columns ``x, y, t, p, offsets`` of an ``.npz`` file.

        Parameters
        ----------
        path : str or path-like
            The file; its other arrays (labels, say) are ignored.
        sensor_size : tuple of int (width, height), default=None
            Size of the sensor in pixels. By default the smallest that holds all events.

        Returns
        -------
        collection : EventCollection
            A collection with a buffer of its own.

        Raises
        ------
        EventFormatError
            If a column is missing or malformed.
        """
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in (*FIELDS, "offsets") if name not in file]
            if missing:
                raise EventFormatError(
                    f"File {str(path)!r} must hold the arrays x, y, t, p, offsets. "
                    f"Got none named {', '.join(missing)} instead."
                )
            columns = {name: file[name] for name in (*FIELDS, "offsets")}
        return cls.from_columns(**columns, sensor_size=sensor_size)

    @staticmethod
    def concatenate(collections, *, sensor_size=None) -> EventCollection:
        """Join collections one after the other.

        Parameters
        ----------
        collections : iterable of EventCollection
            What to join; all of one sensor size, unless one is given.
        sensor_size : tuple of int (width, height), default=None
            Size of the sensor in pixels. By default that of the collections.

        Returns
        -------
        collection : EventCollection
            A collection with a buffer of its own.

        Raises
        ------
        ValueError
            If there is nothing to join, or if sensor sizes differ and none is given.
        """
        collections = list(collections)
        sizes = sorted({collection.sensor_size for collection in collections})
        if sensor_size is None and len(sizes) != 1:
            raise ValueError(
                "Collections to concatenate must have one sensor size, or 'sensor_size' be given. "
                f"Got {sizes} instead."
            )
        recordings = [recording for collection in collections for recording in collection]
        return EventCollection(recordings, sensor_size=sensor_size or sizes[0])

    @classmethod
    def _from_parts(cls, events, offsets, index, sensor_size) -> EventCollection:
        """Make a collection of parts that are known to fit together."""
        collection = cls.__new__(cls)
        collection._set_parts(events, offsets, index, sensor_size)
        return collection

    @classmethod
    def _from_folder(cls, folder: MappedFolder, index: np.ndarray | None = None) -> EventCollection:
        """Make a collection of a mapped folder, of all its recordings by default."""
        index = np.arange(len(folder.offsets) - 1) if index is None else index
        parts = (folder.events, folder.offsets, index, folder.sensor_size)
        collection = cls._from_parts(*parts)
        collection._folder = folder
        return collection

    def _set_parts(self, events, offsets, index, sensor_size) -> None:
        """Store the parts; everything shared is read-only."""
        self.events = _read_only(events)
        self.offsets = _read_only(offsets)
        self.index = _read_only(index)
        self.sensor_size = sensor_size
        self._folder: MappedFolder | None = None
        self._digests: dict[int, bytes] = {}  # of stored recordings; see `_encoded`

    # Size ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.index)

    @property
    def shape(self) -> tuple[int]:
        """The number of recordings, as a tuple."""
        return (len(self.index),)

    @property
    def lengths(self) -> np.ndarray:
        """The number of events of each recording."""
        starts, stops = self.bounds()
        return stops - starts

    @property
    def n_events(self) -> int:
        """The number of events of all recordings shown."""
        return int(self.lengths.sum())

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where each recording lies in the buffer, as compiled code wants it.

        Returns
        -------
        starts, stops : ndarray of shape (n_recordings,)
            Recording ``i`` is ``events[starts[i]:stops[i]]``.
        """
        return self.offsets[self.index], self.offsets[self.index + 1]

    def __repr__(self) -> str:
        """Return one line: recordings, events, sensor size."""
        return (
            f"<EventCollection: {len(self)} recordings, {self.n_events} events, "
            f"sensor_size={self.sensor_size}>"
        )

    # Selection -------------------------------------------------------------------------------

    def __getitem__(self, key):
        """Return one recording for an int, else a collection that shares the buffer."""
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]  # scikit-learn selects rows with X[key, ...]
        if isinstance(key, slice):
            return self._select(self.index[key])
        try:
            return self._recording(operator.index(key))
        except TypeError:
            return self._select(self.index[_as_index_array(key)])

    def _recording(self, i: int) -> np.ndarray:
        """Return recording `i`, counted from the end if negative."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"Recording {i} is out of range of {len(self)} recordings.")
        j = self.index[i]
        return self.events[self.offsets[j] : self.offsets[j + 1]]

    def _select(self, index: np.ndarray) -> EventCollection:
        """Return a collection with another index into the same buffer."""
        view = self._from_parts(self.events, self.offsets, index, self.sensor_size)
        view._folder, view._digests = self._folder, self._digests
        return view

    def __iter__(self) -> Iterator[np.ndarray]:
        """Iterate over recordings, each a structured array in tonic's layout."""
        kept = 0
        for start, stop in zip(*self.bounds(), strict=True):
            yield self.events[start:stop]
            kept += stop - start
            if kept > _KEPT_EVENTS:
                self._release()
                kept = 0

    @property
    def _is_mapped(self) -> bool:
        """Whether the buffer is a file that is read when it is used."""
        return self._folder is not None

    def _parts(self) -> Iterator[slice]:
        """Yield slices that cover the recordings; a mapped buffer leaves the memory after each."""
        if not self._is_mapped:
            yield slice(None)
            return
        number = np.cumsum(self.lengths) // _KEPT_EVENTS
        edges = [0, *(np.flatnonzero(np.diff(number)) + 1), len(self)]
        for start, stop in itertools.pairwise(edges):
            yield slice(int(start), int(stop))
            self._release()

    def _release(self) -> None:
        """Let a mapped buffer leave the memory; it is read again where it is used again."""
        if self._folder is not None:
            release_pages(self._folder.events)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """Return an object array of structured arrays."""
        if dtype is not None and np.dtype(dtype) != object:
            raise TypeError(
                f"An EventCollection has no array of dtype {np.dtype(dtype)}: "
                "encode it first, for instance with FrameEncoder."
            )
        recordings = np.empty(len(self), dtype=object)
        for i, recording in enumerate(self):  # assigned at once, equal lengths would be stacked
            recordings[i] = recording
        return recordings

    def compact(self) -> EventCollection:
        """Return an equal collection whose buffer holds its own events alone.

        Returns
        -------
        collection : EventCollection
            This collection itself if its buffer holds nothing else.
        """
        if len(self.index) == len(self.offsets) - 1 and (np.diff(self.index) == 1).all():
            return self
        events = np.concatenate([np.empty(0, EVENT_DTYPE), *self])
        offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        return self._from_parts(events, offsets, np.arange(len(self)), self.sensor_size)

    def __eq__(self, other) -> bool:
        """Tell whether both hold equal recordings in equal order on sensors of one size."""
        if not isinstance(other, EventCollection):
            return NotImplemented
        if self.sensor_size != other.sensor_size or self.shape != other.shape:
            return False
        return all(np.array_equal(a, b) for a, b in zip(self, other, strict=True))

    __hash__ = None

    # Persistence -----------------------------------------------------------------------------

    def __getstate__(self) -> dict:
        """Return what a pickle needs: where a mapped file lies, or else the events of the view."""
        folder = self._folder
        if folder is not None and folder.is_current():
            return {"path": folder.path, "state": folder.state, "index": self.index}
        own = self.compact()
        return {"events": own.events, "offsets": own.offsets, "sensor_size": own.sensor_size}

    def __setstate__(self, state: dict) -> None:
        """Restore the parts of a pickle."""
        if "path" in state:
            folder = remap_folder(state["path"], state["state"])
            vars(self).update(vars(self._from_folder(folder, state["index"])))
        else:
            self._set_parts(index=np.arange(len(state["offsets"]) - 1), **state)

    def save(self, path, *, overwrite: bool = False) -> None:
        """Write the recordings to a folder that :meth:`open` maps into memory.

        The folder appears under its name only when it is complete.

        Parameters
        ----------
        path : str or path-like
            The folder to write.
        overwrite : bool, default=False
            Whether to replace an existing folder.

        Raises
        ------
        FileExistsError
            If the folder exists and `overwrite` is False.

        Examples
        --------
        >>> import os, tempfile
        >>> from skspike import EventCollection
        >>> from skspike.datasets import make_moving_shapes
        >>> X, y = make_moving_shapes(n_samples=4, random_state=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     X.save(os.path.join(folder, "shapes"))
        ...     EventCollection.open(os.path.join(folder, "shapes")) == X
        True
        """
        write_folder(path, self, self.sensor_size, overwrite)

    @classmethod
    def open(cls, path) -> EventCollection:
        """Map a folder written by :meth:`save` into memory, read-only.

        Parameters
        ----------
        path : str or path-like
            The folder.

        Returns
        -------
        collection : EventCollection
            Its events are read from disk when they are used.

        Raises
        ------
        EventFormatError
            If the folder is incomplete, truncated or of another format.

        Notes
        -----
        Pickles of the collection, and of views of it, hold the path of the folder in place of the
        events; they can be loaded as long as the folder is there, unchanged.
        ``EventCollection(list(collection))`` is a copy in memory.
        """
        return cls._from_folder(map_folder(path))


def is_events(X) -> bool:
    """Tell whether `X` holds recordings: a collection, or a sequence of structured arrays."""
    if isinstance(X, EventCollection):
        return True
    if isinstance(X, np.ndarray) and X.dtype.names is not None:
        return X.ndim == 2  # equally long recordings, stacked
    is_flat = isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.ndim == 1)
    return is_flat and len(X) > 0 and _is_structured(X[0])


def as_event_collection(X, owner: str = "EventCollection") -> EventCollection:
    """Return `X` as an EventCollection, or raise in the name of `owner`."""
    if isinstance(X, EventCollection):
        return X
    if is_events(X) or (isinstance(X, list | tuple) and len(X) == 0):
        return EventCollection(X)
    got = f"an array of dtype {X.dtype}" if isinstance(X, np.ndarray) else type(X)
    raise TypeError(
        f"X of {owner} must be an EventCollection, or a list or object array of structured arrays "
        f"with the fields x, y, t, p. Got {got} instead."
    )


def _is_structured(recording) -> bool:
    """Tell whether one item of a sequence is a structured array."""
    return isinstance(recording, np.ndarray) and recording.dtype.names is not None


def _as_index_array(key) -> np.ndarray:
    """Return a key as an array of ints or a mask; an empty list selects nothing."""
    array = np.asarray(key)
    if array.shape == (0,) and array.dtype != bool:
        array = array.astype(np.intp)
    if isinstance(key, tuple) or array.ndim != 1 or array.dtype.kind not in "bui":
        raise IndexError(
            "Recordings are selected by an int, a slice, a mask or an array of ints. "
            f"Got {key!r} instead."
        )
    return array


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return a plain read-only view."""
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view
