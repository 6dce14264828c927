"""From columns of any numeric type to one checked buffer of events; errors name the recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._validation import check_number
from .exceptions import EventFormatError

FIELDS = ("x", "y", "t", "p")

#: One event: pixel column and row, time in microseconds, polarity (True: brighter).
EVENT_DTYPE = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])

_MAX_SIDE = 2**15  # x and y are int16
MAX_TIME = 2**61  # so that the difference of two times never overflows int64
_WHAT = {
    "x": "whole numbers in the range [0, {high}] of the sensor",
    "y": "whole numbers in the range [0, {high}] of the sensor",
    "t": "whole microseconds in the range [-2**61, 2**61]",
    "p": "bools, 0 and 1, or -1 and 1",
}


def check_sensor_size(
    owner: str, sensor_size: object, name: str = "sensor_size"
) -> tuple[int, int]:
    """Return ``(width, height)`` as two ints, or raise."""
    if not isinstance(sensor_size, Sequence | np.ndarray) or len(sensor_size) != 2:
        raise TypeError(
            f"The {name!r} parameter of {owner} must be a pair (width, height). "
            f"Got {sensor_size!r} instead."
        )
    for side in sensor_size:
        check_number(owner, name, side, 1, _MAX_SIDE, integer=True)
    width, height = map(int, sensor_size)
    return width, height


def pack_recordings(recordings: Sequence, sensor_size: tuple[int, int] | None):
    """Copy structured arrays into one buffer; return it with its offsets and sensor size."""
    for i, recording in enumerate(recordings):
        _check_recording(i, recording)
    offsets = np.cumsum([0, *map(len, recordings)])
    columns = {
        name: np.concatenate([r[name] for r in recordings]) if len(recordings) else np.empty(0, int)
        for name in FIELDS
    }
    return pack_columns(columns, offsets, sensor_size)


def pack_columns(columns: dict, offsets: object, sensor_size: tuple[int, int] | None):
    """Check columns and copy them into one buffer; return it with its offsets and sensor size."""
    columns = {name: np.asarray(column) for name, column in columns.items()}
    shapes = [column.shape for column in columns.values()]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise EventFormatError(
            f"Columns x, y, t, p must be one-dimensional and equally long. Got {shapes} instead."
        )
    offsets = check_offsets(offsets, shapes[0][0])
    for name, column in columns.items():
        _check_numeric(name, column.dtype)
    width, height = sensor_size or (_MAX_SIDE, _MAX_SIDE)
    events = np.empty(shapes[0], EVENT_DTYPE)
    events["x"] = _check_whole("x", columns["x"], offsets, 0, width - 1)
    events["y"] = _check_whole("y", columns["y"], offsets, 0, height - 1)
    events["t"] = _check_whole("t", columns["t"], offsets, -MAX_TIME, MAX_TIME)
    events["p"] = _check_polarity(columns["p"], offsets)
    return events, offsets, sensor_size or _smallest_sensor(columns)


def check_offsets(offsets: object, n_events: int) -> np.ndarray:
    """Return offsets as int64 if they cut `n_events` events into recordings, else raise."""
    offsets = np.asarray(offsets)
    if offsets.dtype.kind not in "ui" or offsets.ndim != 1 or offsets.size == 0:
        raise EventFormatError(
            "Offsets must be a non-empty one-dimensional array of ints. "
            f"Got dtype {offsets.dtype} and shape {offsets.shape} instead."
        )
    offsets = offsets.astype(np.int64)
    if offsets[0] != 0 or offsets[-1] != n_events:
        raise EventFormatError(
            f"Offsets must start at 0 and end at the number of events, {n_events}. "
            f"Got {offsets[0]} and {offsets[-1]} instead."
        )
    falls = np.flatnonzero(np.diff(offsets) < 0)
    if falls.size:
        i = falls[0]
        raise EventFormatError(
            f"Offsets must not decrease. Recording {i} starts at {offsets[i]} "
            f"and ends at {offsets[i + 1]} instead."
        )
    return offsets


def _check_recording(i: int, recording: object) -> None:
    """Raise unless `recording` is a one-dimensional structured array of events."""
    names = getattr(getattr(recording, "dtype", None), "names", None)
    if not isinstance(recording, np.ndarray) or names is None:
        got = f"dtype {recording.dtype}" if hasattr(recording, "dtype") else type(recording)
        raise TypeError(
            f"Recording {i} must be a structured array with the fields x, y, t, p. "
            f"Got {got} instead."
        )
    if not set(FIELDS) <= set(names) or recording.ndim != 1:
        raise EventFormatError(
            f"Recording {i} must be one-dimensional with the fields x, y, t, p. "
            f"Got shape {recording.shape} with the fields {', '.join(names)} instead."
        )
    for name in FIELDS:
        _check_numeric(name, recording.dtype[name], f" of recording {i}")


def _check_numeric(name: str, dtype: np.dtype, where: str = "") -> None:
    """Raise unless the dtype holds bools, ints or floats."""
    if dtype.kind not in "buif":
        raise TypeError(f"Field {name!r}{where} must be numeric. Got dtype {dtype} instead.")


def _check_whole(name: str, column: np.ndarray, offsets: np.ndarray, low: int, high: int):
    """Return a column if it holds whole numbers in the closed range, else raise."""
    # NaN fails both comparisons, so that one test finds it too.
    if column.size and not (column.min() >= low and column.max() <= high):
        _raise_at(~((column >= low) & (column <= high)), name, column, offsets, high)
    if column.dtype.kind == "f" and (column != np.trunc(column)).any():
        _raise_at(column != np.trunc(column), name, column, offsets, high)
    return column


def _check_polarity(column: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return a column as bools: True where brighter."""
    off = -1 if column.size and column.min() < 0 else 0
    brighter = column == 1
    wrong = ~brighter & (column != off)
    if wrong.any():
        _raise_at(wrong, "p", column, offsets)
    return brighter


def _raise_at(wrong, name: str, column: np.ndarray, offsets: np.ndarray, high: int = 0) -> None:
    """Raise for the first wrong event, naming its recording."""
    event = int(np.argmax(wrong))
    recording = int(np.searchsorted(offsets, event, side="right")) - 1
    raise EventFormatError(
        f"Field {name!r} of recording {recording} must hold {_WHAT[name].format(high=high)}. "
        f"Got {column[event].item()!r} instead."
    )


def _smallest_sensor(columns: dict) -> tuple[int, int]:
    """Return the smallest ``(width, height)`` that holds every event."""
    return tuple(int(columns[name].max(initial=0)) + 1 for name in ("x", "y"))
