"""A folder of events on disk: written whole or not at all, read by mapping it into memory."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path

import numpy as np

from ._event_columns import EVENT_DTYPE, check_offsets, check_sensor_size
from .exceptions import EventFormatError

_FORMAT = "skspike-events-1"


def write_folder(path, recordings, sensor_size: tuple[int, int], overwrite: bool) -> None:
    """Write recordings to a folder, which gets its name when it is complete."""
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"Folder {str(path)!r} exists. Pass overwrite=True to replace it.")
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.mkdir(parents=True)
    try:
        _write_events(temporary, recordings)
        meta = json.dumps({"format": _FORMAT, "sensor_size": sensor_size})
        (temporary / "meta.json").write_text(meta, encoding="utf-8")
        _replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


def read_folder(path) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Return the mapped events, the offsets and the sensor size of a folder."""
    try:
        meta = dict(json.loads((Path(path) / "meta.json").read_text(encoding="utf-8")))
        offsets = np.load(Path(path) / "offsets.npy", allow_pickle=False)
        events = np.load(Path(path) / "events.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise EventFormatError(
            f"Folder {str(path)!r} must hold meta.json, offsets.npy and events.npy as "
            f"EventCollection.save writes them. Got {error!r} instead."
        ) from error
    if meta.get("format") != _FORMAT or events.dtype != EVENT_DTYPE:
        raise EventFormatError(
            f"Folder {str(path)!r} must be of format {_FORMAT!r} with events of dtype "
            f"{EVENT_DTYPE}. Got {meta.get('format')!r} and {events.dtype} instead."
        )
    sensor_size = check_sensor_size("EventCollection.open", meta.get("sensor_size"))
    return events, check_offsets(offsets, len(events)), sensor_size
