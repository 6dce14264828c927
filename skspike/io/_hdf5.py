"""HDF5 in the layouts of DSEC, Prophesee, MVSEC, SHD, tonic and others.

A file is searched for events: a group with the columns x, y, t, p, a table with such fields. Each
place where they are found is a recording, in the order of the names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from .._event_columns import EVENT_DTYPE, MAX_TIME
from ._columns import pack_block
from ._format import Block, EventFormat
from ._hdf5_rehearsal import rehearse
from ._log import DecodeLog
from ._tables import Clock, find_columns

_MARK = b"\x89HDF\r\n\x1a\n"
_LARGEST_CHUNK = 2**26  # bytes that HDF5 decompresses at once
_FILTERS = {36559: "ECF, of Prophesee's Metavision", 32001: "Blosc", 32015: "Zstandard"}
# What h5py raises for a damaged file.
_FAULTS = (
    *(AttributeError, IndexError, KeyError, MemoryError, OSError, OverflowError),
    *(RuntimeError, TypeError, ValueError),
)

_Read = Callable[[int, int], dict[str, np.ndarray]]


def _sniff(head: bytes, path: Path) -> bool:
    """The mark is at the start, or after a block for the user of 512 bytes times a power of 2."""
    return any(head[at : at + 8] == _MARK for at in (0, 512, 1024, 2048))


def _decode(path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode every place that holds events."""
    try:
        import h5py
    except ImportError:
        raise ImportError(
            'Reading HDF5 files needs the package h5py: pip install "skspike[io]".'
        ) from None
    if fault := rehearse(path):
        log.damage(None, f"HDF5 cannot read it: {fault}", n_bytes=path.stat().st_size)
        return
    try:
        file = h5py.File(path, "r", locking=False)
    except _FAULTS as error:
        log.damage(None, f"HDF5 cannot open it ({_sentence(error)})", n_bytes=path.stat().st_size)
        return
    with file:
        try:
            log.sensor_size = _sensor_size(file)
            places = _find(file, h5py)
        except _FAULTS as error:
            log.damage(None, f"HDF5 cannot list what it holds ({_sentence(error)})")
            return
        if not places:
            log.damage(None, "it has no group of columns x, y, t, p, and no table with such fields")
        for recording, place in enumerate(places):
            if isinstance(place, h5py.Group) and "units" in place:
                yield from _decode_spikes(place, log)
                return
            yield from _decode_place(place, log, chunk, recording, h5py)


def _find(file, h5py) -> list:
    """Return the groups and datasets that hold events, in natural order of their names."""
    found = []

    def visit(name: str, item) -> None:
        if isinstance(item, h5py.Group):
            members = [key for key in item if isinstance(item.get(key), h5py.Dataset)]
            spikes = {"times", "units"} <= set(members)
            if spikes or find_columns(members):
                found.append(item)
        elif item.dtype.names:
            if item.ndim == 1 and find_columns(item.dtype.names):
                found.append(item)
        elif _is_mvsec(name, item):
            found.append(item)

    visit("", file)
    file.visititems(visit)
    return sorted(found, key=lambda item: [(len(n), n) for n in re.split(r"(\d+)", item.name)])


def _is_mvsec(name: str, item) -> bool:
    """Tell whether a dataset is a table x, y, t, p without names, as in MVSEC."""
    return bool(re.search(r"davis/(left|right)/events$", name)) and item.shape[1:] == (4,)


def _sensor_size(file) -> tuple[int, int] | None:
    """Return the size that Prophesee's files state as a text such as 1280x720."""
    geometry = file.attrs.get("geometry", "")
    text = geometry.decode("latin-1") if isinstance(geometry, bytes) else str(geometry)
    sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    size = (int(sides[1]), int(sides[2])) if sides else (0, 0)
    return size if all(1 <= side <= 2**15 for side in size) else None


def _decode_place(place, log: DecodeLog, chunk: int, recording: int, h5py) -> Iterator[Block]:
    """Yield the events of a group of columns or of a table; a block that is damaged is left out."""
    try:
        read, datasets = _reader(place, h5py)
        n = _n_readable(place, datasets, log, h5py)
        shift = _time_offset(place, n, log, h5py)
    except _FAULTS as error:
        log.damage(None, f"HDF5 cannot read {place.name!r} ({_sentence(error)})")
        return
    yield _empty(recording)
    clock = Clock()
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        where = _locator(datasets[0], start)
        try:
            columns = read(start, stop)
        except _FAULTS as error:
            log.damage(where(0), f"HDF5 cannot read it ({_sentence(error)})", n_events=stop - start)
            continue
        t = clock.microseconds(columns["t"])
        columns["t"] = _shifted(t, shift)
        yield pack_block(log, columns, where, recording)


def _reader(place, h5py) -> tuple[_Read, list]:
    """Return a function that reads a range of events as columns, and the datasets it reads."""
    if isinstance(place, h5py.Group):
        names = find_columns(key for key in place if isinstance(place.get(key), h5py.Dataset))
        columns = {key: place[name] for key, name in names.items()}
        datasets = [columns["t"], columns["x"], columns["y"], columns["p"]]
        return lambda i, j: {k: _plain(d[i:j]) for k, d in columns.items()}, datasets
    if place.dtype.names:
        names = find_columns(place.dtype.names)

        def read_fields(i: int, j: int) -> dict[str, np.ndarray]:
            rows = place[i:j]
            return {key: _plain(rows[name]) for key, name in names.items()}

        return read_fields, [place]

    def read_table(i: int, j: int) -> dict[str, np.ndarray]:
        return dict(zip("xytp", _plain(place[i:j]).T, strict=True))

    return read_table, [place]


def _plain(column: np.ndarray) -> np.ndarray:
    """Return a column of numbers, or raise."""
    if column.dtype.kind not in "buif":
        raise TypeError(f"a column is of dtype {column.dtype}")
    return column


def _n_readable(place, datasets: list, log: DecodeLog, h5py) -> int:
    """Return the number of events; lengths are compared with each other and with what is stored.

    HDF5 makes up zeros for what a damaged file claims and does not have.
    """
    lengths = [dataset.shape[0] if dataset.ndim else 0 for dataset in datasets]
    n = min(lengths)
    if n < max(lengths):
        reason = f"the columns of {place.name!r} are of lengths {lengths}"
        log.damage(None, reason, n_events=max(lengths) - n)
    stored = min(_n_stored(dataset, log, h5py) for dataset in datasets)
    if stored != n:
        reason = f"{place.name!r} claims {n} events and stores {stored}"
        log.damage(None, reason, n_events=max(n - stored, 0))
    return min(n, stored)


def _n_stored(dataset, log: DecodeLog, h5py) -> int:
    """Return how many rows of a dataset lie in the file from the first on, and can be decoded."""
    _check_filters(dataset, log, h5py)
    row = max(dataset.dtype.itemsize * int(np.prod(dataset.shape[1:])), 1)
    if dataset.chunks is None:
        offset, size = dataset.id.get_offset(), dataset.id.get_storage_size()
        if offset is not None:  # else it is compact: in the header of the dataset
            size = min(size, max(Path(dataset.file.filename).stat().st_size - offset, 0))
        return size // row
    if int(np.prod(dataset.chunks)) * dataset.dtype.itemsize > _LARGEST_CHUNK:
        raise ValueError(f"chunks of shape {dataset.chunks} are too large")
    columns = [-(-side // chunk) for side, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
    n_stored = dataset.id.get_num_chunks() // max(int(np.prod(columns[1:])), 1)
    return dataset.shape[0] if n_stored == columns[0] else n_stored * dataset.chunks[0]


def _check_filters(dataset, log: DecodeLog, h5py) -> None:
    """Raise a sentence of what is needed if a dataset is compressed in a way not at hand."""
    properties = dataset.id.get_create_plist()
    for i in range(properties.get_nfilters()):
        code = properties.get_filter(i)[0]
        if h5py.h5z.filter_avail(code) or (code != 36559 and _plugins(h5py, code)):
            continue
        name = _FILTERS.get(code, f"filter {code}")
        need = (
            "write it without ECF, for instance with metavision_file_to_hdf5 --uncompressed"
            if code == 36559
            else "install the package hdf5plugin"
        )
        raise ValueError(f"it is compressed with {name}, which h5py does not have: {need}")


def _plugins(h5py, code: int) -> bool:
    """Load further decompressors, if they are installed; tell whether one serves."""
    try:
        import hdf5plugin  # noqa: F401
    except ImportError:
        return False
    return bool(h5py.h5z.filter_avail(code))


def _shifted(t: np.ndarray, shift: int) -> np.ndarray:
    """Return times plus an offset; what is too large for a time stays so."""
    if not shift or t.dtype.kind == "f":
        return t + shift
    if t.dtype.kind == "u":
        t = np.minimum(t, np.array(min(2 * MAX_TIME, np.iinfo(t.dtype).max), t.dtype))
    return t.astype(np.int64) + shift


def _time_offset(place, n: int, log: DecodeLog, h5py) -> int:
    """Return the offset that DSEC keeps beside its group of events, and check its index."""
    parent = place.parent
    index, offset = parent.get("ms_to_idx"), parent.get("t_offset")
    if isinstance(index, h5py.Dataset) and index.shape and len(index) and int(index[-1]) > n:
        reason = f"its index names event {int(index[-1])}, and {n} events are there"
        log.damage(None, reason, n_events=int(index[-1]) - n)
    if not isinstance(offset, h5py.Dataset) or offset.size != 1:
        return 0
    shift = int(np.asarray(offset[()]).reshape(-1)[0])
    if abs(shift) > MAX_TIME:
        raise ValueError(f"its times begin at {shift} µs")
    return shift


def _locator(dataset, start: int) -> Callable[[int], int | None]:
    """Return the function that says where events of a block are: their chunk, or themselves."""

    def locate(k: int) -> int | None:
        try:
            if dataset.chunks is None:
                offset = dataset.id.get_offset()
                return None if offset is None else offset + (start + k) * dataset.dtype.itemsize
            corner = (start + k, *[0] * (dataset.ndim - 1))
            return dataset.id.get_chunk_info_by_coord(corner).byte_offset
        except _FAULTS:
            return None

    return locate


def _decode_spikes(group, log: DecodeLog) -> Iterator[Block]:
    """Decode the recordings of the Heidelberg digits: times (s) and units, without polarity."""
    clock = Clock(seconds=True)
    try:
        times, units = group["times"], group["units"]
        n = min(len(times), len(units))
        if len(times) != len(units):
            reason = f"it has {len(times)} recordings of times and {len(units)} of units"
            log.damage(None, reason)
    except _FAULTS as error:
        log.damage(None, f"HDF5 cannot read {group.name!r} ({_sentence(error)})")
        return
    log.sensor_size = (700, 1)
    for i in range(n):
        try:
            t, x = _plain(np.asarray(times[i])), _plain(np.asarray(units[i]))
            if t.shape != x.shape or t.ndim != 1:
                raise ValueError(f"{t.shape} times and {x.shape} units")
        except _FAULTS as error:
            log.damage(None, f"recording {i} cannot be read ({_sentence(error)})")
            yield _empty(i)
            continue
        columns = {"t": clock.microseconds(t), "x": x, "y": np.zeros_like(x)}
        columns["p"] = np.ones(len(x), bool)
        yield pack_block(log, columns, lambda k: None, i)


def _empty(recording: int) -> Block:
    """Return a block without events, which makes a recording known."""
    return Block(np.empty(0, EVENT_DTYPE), lambda k: None, recording)


def _sentence(error: Exception) -> str:
    """Return the message of a library in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


FORMAT = EventFormat("hdf5", _sniff, _decode)
