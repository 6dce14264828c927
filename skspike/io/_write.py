"""Write recordings to a file that appears under its name only when it is complete."""

from __future__ import annotations

import os
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .._event_columns import EVENT_DTYPE, FIELDS
from .._events import EventCollection, as_event_collection

_PIECE = 2**18  # events in memory at a time: X may be mapped from a disk
_TEXT = (".csv", ".txt")
_EXACT = 2**53


def write_events(X, path, *, overwrite: bool = False) -> None:
    """Write recordings to a file or a folder.

    The suffix of the path says how: ``.npz``, ``.csv`` or ``.txt``, and without a suffix a folder.
    :func:`read_events` gives equal recordings back, sensor size included.

    Parameters
    ----------
    X : EventCollection or iterable of structured ndarray of shape (n_events,)
        The recordings.
    path : str or path-like
        The file or folder to write.
    overwrite : bool, default=False
        Whether to replace an existing file or folder.

    Raises
    ------
    FileExistsError
        If the path exists and `overwrite` is False.
    ValueError
        If the path has another suffix, or if a time is too large for text (2**53 µs, 285 years).

    See Also
    --------
    read_events : Reads what was written.
    skspike.EventCollection.save : Writes the folder.

    Notes
    -----
    The ``.npz`` file holds the arrays `x`, `y`, `t`, `p`, `offsets` (of
    :meth:`skspike.EventCollection.from_columns`) and `sensor_size`, and is not compressed. The
    text has a line that begins with ``#``, a line of names, and a line of whole numbers for each
    event: ``x,y,t,p`` of one recording, ``recording,x,y,t,p`` of several. The folder is what a
    large collection is best kept in, for it is mapped into memory instead of being read.

    Whatever happens, an existing file stays as it is until the new one is complete.

    Examples
    --------
    >>> import os, tempfile
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.io import read_events, write_events
    >>> X, y = make_moving_shapes(n_samples=4, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "shapes.npz")
    ...     write_events(X, path)
    ...     read_events(path) == X
    True
    """
    X, path = as_event_collection(X, "write_events"), Path(path)
    if path.suffix == "":
        X.save(path, overwrite=overwrite)
        return
    if path.suffix.lower() not in (".npz", *_TEXT):
        raise ValueError(
            "The 'path' parameter of write_events must end in .npz, .csv or .txt, or have no "
            f"suffix for a folder. Got {str(path)!r} instead."
        )
    if path.exists() and not overwrite:
        raise FileExistsError(f"File {str(path)!r} exists. Pass overwrite=True to replace it.")
    write = _write_text if path.suffix.lower() in _TEXT else _write_npz
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write(temporary, X)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _pieces(X: EventCollection) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the events in pieces that fit in memory, each with the number of its recording."""
    for i, recording in enumerate(X):
        for start in range(0, len(recording), _PIECE):
            yield i, recording[start : start + _PIECE]


def _write_npz(path: Path, X: EventCollection) -> None:
    """Write an uncompressed archive of columns."""
    offsets = np.cumsum([0, *X.lengths])
    with zipfile.ZipFile(path, "w") as archive:
        for name in FIELDS:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                descr = np.lib.format.dtype_to_descr(EVENT_DTYPE[name])
                header = {"descr": descr, "fortran_order": False, "shape": (int(offsets[-1]),)}
                np.lib.format.write_array_header_1_0(file, header)
                for _, events in _pieces(X):
                    file.write(events[name].tobytes())
        for name, values in (("offsets", offsets), ("sensor_size", np.array(X.sensor_size))):
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, values.astype(np.int64))


def _write_text(path: Path, X: EventCollection) -> None:
    """Write a line for each event, below one that knows what events cannot tell."""
    width, height = X.sensor_size
    single = len(X) == 1
    for _, events in _pieces(X):
        _check_exact(events["t"])
    with open(path, "w", encoding="ascii", newline="\n") as file:
        facts = f"width={width}, height={height}, recordings={len(X)}, events={X.n_events}"
        file.write(f"# skspike events, {facts}\n")
        file.write("x,y,t,p\n" if single else "recording,x,y,t,p\n")
        for i, events in _pieces(X):
            start = "" if single else f"{i},"
            columns = (events[name].astype(np.int64).tolist() for name in FIELDS)
            rows = zip(*columns, strict=True)
            file.writelines(f"{start}{x},{y},{t},{p}\n" for x, y, t, p in rows)


def _check_exact(t: np.ndarray) -> None:
    """Raise if readers that take numbers for floats would change a time."""
    wrong = (t < -_EXACT) | (t > _EXACT)
    if wrong.any():
        raise ValueError(
            "Times that write_events writes as text must lie in the range [-2**53, 2**53] µs. "
            f"Got {t[np.argmax(wrong)]} instead: write an .npz file or a folder."
        )
