"""A folder of events on disk: written whole or not at all, read by mapping it into memory."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np

from ._event_columns import EVENT_DTYPE, check_offsets, check_sensor_size
from .exceptions import EventFormatError

_FORMAT = "skspike-events-1"
_FILES = ("meta.json", "offsets.npy", "events.npy")

_lock = threading.Lock()
_shared: WeakValueDictionary[tuple, MappedFolder] = WeakValueDictionary()


@dataclass(frozen=True, eq=False)
class MappedFolder:
    """A folder as it was when it was mapped: sizes and times of its files tell a later one."""

    path: str
    state: tuple[tuple[int, int], ...]
    events: np.ndarray
    offsets: np.ndarray
    sensor_size: tuple[int, int]

    def is_current(self) -> bool:
        """Tell whether the files at the path are still those that were mapped."""
        try:
            return _state_of(self.path) == self.state
        except OSError:
            return False


def write_folder(path, recordings, sensor_size: tuple[int, int], overwrite: bool) -> None:
    """Write recordings to a folder, which gets its name when it is complete."""
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"Folder {str(path)!r} exists. Pass overwrite=True to replace it.")
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.mkdir(parents=True)
    try:
        _write_events(temporary, recordings)
        write_meta(temporary, sensor_size)
        _replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_meta(folder: Path, sensor_size: tuple[int, int]) -> None:
    """Write what the arrays of a folder do not say."""
    meta = json.dumps({"format": _FORMAT, "sensor_size": sensor_size})
    (folder / "meta.json").write_text(meta, encoding="utf-8")


def _write_events(folder: Path, recordings) -> None:
    """Write the buffer recording by recording, so that it need not fit in memory."""
    offsets = np.cumsum([0, *map(len, recordings)])
    np.save(folder / "offsets.npy", offsets)
    header = {"descr": EVENT_DTYPE.descr, "fortran_order": False, "shape": (int(offsets[-1]),)}
    with open(folder / "events.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for recording in recordings:
            file.write(recording.tobytes())


def _replace_folder(source: Path, target: Path) -> None:
    """Move a complete folder to its name; a folder that has the name gives way."""
    if not target.exists():
        os.replace(source, target)
        return
    retired = source.with_name(source.name + ".old")
    os.replace(target, retired)
    os.replace(source, target)
    shutil.rmtree(retired)


def map_folder(path) -> MappedFolder:
    """Map the events of a folder into memory, and check the rest of it."""
    try:
        state = _state_of(path)
        meta = dict(json.loads((Path(path) / "meta.json").read_text(encoding="utf-8")))
        offsets = np.load(Path(path) / "offsets.npy", allow_pickle=False)
        events = np.load(Path(path) / "events.npy", mmap_mode="r", allow_pickle=False)
    except Exception as error:  # the header of a damaged array can fail in any way
        raise _wrong_folder(
            path,
            "must hold meta.json, offsets.npy and events.npy as EventCollection.save writes them. "
            f"Got {error!r} instead",
        ) from error
    if meta.get("format") != _FORMAT or events.dtype != EVENT_DTYPE or events.ndim != 1:
        raise _wrong_folder(
            path,
            f"must be of format {_FORMAT!r} with events of dtype {EVENT_DTYPE}. "
            f"Got {meta.get('format')!r} and {events.dtype} instead",
        )
    try:
        sensor_size = check_sensor_size("EventCollection.open", meta.get("sensor_size"))
        offsets = check_offsets(offsets, len(events))
    except (TypeError, ValueError) as error:
        raise _wrong_folder(path, f"is damaged. {str(error).rstrip('.')}") from error
    return MappedFolder(os.path.abspath(path), state, events, offsets, sensor_size)


def _wrong_folder(path, reason: str) -> EventFormatError:
    """Return the error for a folder that cannot be mapped."""
    return EventFormatError(f"Folder {str(path)!r} {reason}.", path=str(path), reason=reason)


def remap_folder(path: str, state: tuple) -> MappedFolder:
    """Map a folder that another process, or an earlier one, had mapped in the given state.

    While somebody in this process holds it, the same mapping is shared.
    """
    with _lock:
        folder = _shared.get((path, state))
        if folder is None:
            folder = _shared[path, state] = map_folder(path)
    if folder.state != state or not folder.is_current():
        raise EventFormatError(
            f"Folder {path!r} must hold the files that were there when the collection was pickled. "
            "Got files of other sizes or times instead."
        )
    return folder


def release_pages(events: np.ndarray) -> None:
    """Tell the system that a mapped file need not stay in memory; it is read again when used.

    What was read of a mapping counts as resident memory until somebody says so. Arrays that are
    no mapping are left alone.
    """
    while isinstance(events.base, np.ndarray):
        events = events.base
    mapping = getattr(events, "_mmap", None)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def _state_of(path) -> tuple[tuple[int, int], ...]:
    """Return size and time of the last change of each file of a folder."""
    stats = [os.stat(Path(path) / name) for name in _FILES]
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)
