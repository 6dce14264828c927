"""Read event files: whole into an EventCollection, or in pieces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .._event_columns import check_sensor_size
from .._events import EventCollection
from .._validation import check_choice, check_number
from ._buffer import EventBuffer
from ._check import checked_blocks
from ._formats import BY_NAME, detect
from ._log import DecodeLog, warn_of_damages
from ._tables import check_columns

_BLOCK = 2**16  # events decoded at a time: they stay in the cache until they are copied


def read_events(
    path, *, format=None, sensor_size=None, errors="raise", columns=None
) -> EventCollection:
    """Read event files.

    The format of each file is found by its content; see the user guide for the list.

    Parameters
    ----------
    path : str, path-like or list of these
        One file or several, read in the order given. Each holds one recording, except the formats
        that hold many. A folder written by :meth:`skspike.EventCollection.save` counts as a file;
        given alone, it is mapped into memory instead of being read.
    format : str, default=None
        Name of the format, for files that cannot be told by their content. By default each file
        is looked at.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels. By default that stated by the files, else the smallest that
        holds all events.
    errors : {"raise", "salvage"}, default="raise"
        What to do about a damaged file: raise, or keep what can be read and warn once.
    columns : str or list of str, default=None
        Names of the columns of a text without a header, such as ``"x y p t"``; names other than
        x, y, t and p stand for columns to skip. By default ``"t x y p"``.

    Returns
    -------
    X : EventCollection
        The recordings, with their events in the order of the files.

    Raises
    ------
    EventFormatError
        If a file is of no known format, or (unless salvaged) damaged: it ends within an event, is
        not what its header promises, runs backwards in time, has events off the sensor, or has no
        event. The error knows the `path`, the `offset` in bytes and the `reason`.
    ValueError
        If no path is given, or if files state different sensor sizes and `sensor_size` is None.

    Warns
    -----
    EventLossWarning
        If damaged files were salvaged: how many events were read, and what was left out.

    See Also
    --------
    iter_events : Reads a file larger than memory in pieces.
    write_events : Writes recordings to a file.

    Notes
    -----
    With ``errors="salvage"`` events off the sensor and bytes that are no events are left out, and
    reading goes on after them. Where time runs backwards all events are kept, in the order of the
    file; encoders sort them. A file of no known format has nothing to salvage, and raises.

    Examples
    --------
    >>> import os, tempfile
    >>> from skspike.io import read_events
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "00002.bin")
    ...     with open(path, "wb") as file:  # two events as in N-MNIST, five bytes each
    ...         _ = file.write(bytes([10, 30, 0x80, 0x02, 0x8E, 16, 26, 0x00, 0x06, 0xB2]))
    ...     read_events(path, sensor_size=(34, 34))[0]
    array([(10, 30,  654,  True), (16, 26, 1714, False)],
          dtype=[('x', '<i2'), ('y', '<i2'), ('t', '<i8'), ('p', '?')])
    """
    columns = check_columns("read_events", columns)
    single = isinstance(path, str | os.PathLike)
    paths = [Path(p) for p in ([path] if single else path)]
    if not paths:
        raise ValueError("The 'path' parameter of read_events must hold a path. Got none.")
    sensor_size = _check_options("read_events", format, sensor_size, errors)
    if single and paths[0].is_dir() and sensor_size is None:
        return EventCollection.open(paths[0])
    buffer, logs = EventBuffer(), []
    for path in paths:
        logs.append(_read_into(buffer, path, format, sensor_size, columns, errors == "salvage"))
    events, offsets = buffer.finish()
    sensor_size = sensor_size or _common_size(logs, events)
    warn_of_damages(logs)
    return EventCollection._from_parts(events, offsets, np.arange(len(offsets) - 1), sensor_size)


def iter_events(
    path, chunk=1_000_000, *, format=None, sensor_size=None, errors="raise", columns=None
) -> Iterator[np.ndarray]:
    """Read an event file in pieces, with memory for a few of them.

    Parameters
    ----------
    path : str or path-like
        The file.
    chunk : int, default=1_000_000
        Number of events in a piece; the last may be smaller.
    format : str, default=None
        Name of the format, for files that cannot be told by their content.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels; events off it are a damage. By default that stated by the
        file, if it states one.
    errors : {"raise", "salvage"}, default="raise"
        What to do about a damaged file: raise when the damage is reached, or keep what can be read
        and warn once at the end.
    columns : str or list of str, default=None
        Names of the columns of a text without a header, such as ``"x y p t"``; names other than
        x, y, t and p stand for columns to skip. By default ``"t x y p"``.

    Returns
    -------
    pieces : iterator of structured ndarray of shape (n_events,)
        The events in the order of the file, of the dtype of ``EventCollection.events``. Of a file
        with many recordings, the events of all of them one after the other.

    Raises
    ------
    EventFormatError
        As :func:`read_events` does, when the iteration comes to the damage.

    Warns
    -----
    EventLossWarning
        If a damaged file was salvaged, at the end of the iteration.

    See Also
    --------
    read_events : Reads whole files.

    Examples
    --------
    >>> import os, tempfile
    >>> from skspike.io import iter_events
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "00002.bin")
    ...     with open(path, "wb") as file:  # three events as in N-MNIST, five bytes each
    ...         _ = file.write(bytes([10, 30, 0x80, 0x02, 0x8E, 16, 26, 0, 6, 178, 7, 7, 0, 9, 9]))
    ...     [events["t"] for events in iter_events(path, chunk=2)]
    [array([ 654, 1714]), array([2313])]
    """
    sensor_size = _check_options("iter_events", format, sensor_size, errors)
    check_number("iter_events", "chunk", chunk, 1, integer=True)
    log = DecodeLog(path, errors == "salvage")
    log.columns = check_columns("iter_events", columns)
    return _iterate(Path(path), int(chunk), format, sensor_size, log)


def _check_options(owner: str, format, sensor_size, errors) -> tuple[int, int] | None:
    """Raise unless the options are valid; return the sensor size as two ints, if given."""
    check_choice(owner, "errors", errors, ("raise", "salvage"))
    if format is not None:
        check_choice(owner, "format", format, BY_NAME)
    return None if sensor_size is None else check_sensor_size(owner, sensor_size)


def _read_into(
    buffer: EventBuffer, path: Path, format: str | None, sensor_size, columns, salvage: bool
) -> DecodeLog:
    """Append the recordings of a file to a buffer; return what there is to say about the file."""
    log = DecodeLog(path, salvage)
    log.columns = columns
    found = BY_NAME[format] if format else detect(path)
    # A collection may have no recording at all; any other file is one, even if nothing is left.
    recording = -1 if found.may_be_empty else 0
    for block in checked_blocks(path, found, log, sensor_size, _BLOCK):
        for _ in range(block.recording - max(recording, 0)):
            buffer.end_recording()
        recording = block.recording
        buffer.append(block.events)
    if recording >= 0:
        buffer.end_recording()
    return log


def _common_size(logs: list[DecodeLog], events: np.ndarray) -> tuple[int, int]:
    """Return the sensor size that the files state, or the smallest that holds all events."""
    stated = sorted({log.sensor_size for log in logs if log.sensor_size is not None})
    smallest = tuple(int(events[name].max(initial=0)) + 1 for name in "xy")
    sizes = {*stated} if all(log.sensor_size for log in logs) else {*stated, smallest}
    widest = (max(width for width, _ in sizes), max(height for _, height in sizes))
    if len(stated) > 1 or (stated and stated[0] != widest):
        raise ValueError(
            "Files to read together must be of one sensor size, or 'sensor_size' be given. "
            f"Got {sorted(sizes)} instead."
        )
    return widest


def _iterate(
    path: Path, chunk: int, format: str | None, sensor_size, log: DecodeLog
) -> Iterator[np.ndarray]:
    """Yield the events of a file in pieces of equal length."""
    found = BY_NAME[format] if format else detect(path)
    buffer = EventBuffer(chunk)
    for block in checked_blocks(path, found, log, sensor_size, _BLOCK):
        events = block.events
        while len(events) >= chunk - len(buffer):
            rest = chunk - len(buffer)
            buffer.append(events[:rest])
            events = events[rest:]
            yield buffer.finish()[0]
            buffer = EventBuffer(chunk)
        buffer.append(events)
    if len(buffer):
        yield buffer.finish()[0]
    warn_of_damages([log])
