"""Arrays and folders of events whose length shows at the end: they are written block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._event_columns import EVENT_DTYPE
from .._event_folder import write_meta


class GrowingArray:
    """A ``.npy`` file to which rows are appended."""

    def __init__(self, path: Path, dtype, row_shape: tuple[int, ...] = ()) -> None:
        self._dtype, self._row_shape = np.dtype(dtype), row_shape
        self._n = 0
        self._file = open(path, "w+b")  # noqa: SIM115
        self._write_header()

    def __len__(self) -> int:
        return self._n

    def __enter__(self) -> GrowingArray:
        return self

    def __exit__(self, *error) -> None:
        # numpy leaves room in its headers for the first side of a shape to grow.
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def append(self, rows: np.ndarray) -> None:
        """Write rows behind the others."""
        if rows.shape[1:] != self._row_shape:
            raise ValueError(
                f"Rows of {self._file.name!r} must be of shape {self._row_shape}. "
                f"Got {rows.shape[1:]} instead."
            )
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self._n += len(rows)

    def _write_header(self) -> None:
        """Write the header for as many rows as there are."""
        descr = np.lib.format.dtype_to_descr(self._dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self._n, *self._row_shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


class GrowingFolder:
    """A folder as that of ``EventCollection.save``, to which blocks of events are appended."""

    def __init__(self, path: Path, sensor_size: tuple[int, int]) -> None:
        path.mkdir(parents=True)
        self._path, self._offsets = path, [0]
        write_meta(path, sensor_size)
        self._events = GrowingArray(path / "events.npy", EVENT_DTYPE)

    def __enter__(self) -> GrowingFolder:
        return self

    def __exit__(self, *error) -> None:
        self._events.__exit__(*error)
        np.save(self._path / "offsets.npy", np.array(self._offsets))

    def append(self, events: np.ndarray) -> None:
        """Write events of the recording that is going on."""
        self._events.append(events)

    def end_recording(self) -> None:
        """Let what comes next belong to another recording."""
        self._offsets.append(len(self._events))
