"""Fetch Gen1, the automotive detection data set of Prophesee."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ..io import iter_events
from ._sequences import Sequences, Step, choose_sequences, fetch_sequences, home_of

_OWNER = "fetch_gen1"
_NAME = "gen1"
_SENSOR_SIZE = (304, 240)
_FOLDERS = {"train": "train", "valid": "val", "test": "test"}  # as the archives name them
_CLASSES = ("car", "pedestrian")
_EVENTS, _BOXES = "_td.dat", "_bbox.npy"
_PAGE = "https://www.prophesee.ai/2020/01/24/prophesee-gen1-automotive-detection-dataset/"
_BOX_DTYPE = np.dtype(
    [("t", "<i8"), ("x", "<f4"), ("y", "<f4"), ("w", "<f4"), ("h", "<f4")]
    + [("class_id", "<i4"), ("track_id", "<i8"), ("class_confidence", "<f4")]
)
_OLDER = {"t": "ts", "class_confidence": "confidence"}  # what the first files call them
_DESCR = """\
Gen1 Automotive Detection
-------------------------

Recordings of 60 s from behind the windshield of a car, by an event camera of 304 × 240 pixels, with
boxes around cars and pedestrians at 1 to 4 Hz: more than 39 hours and 255,000 boxes. Recorded by
P. de Tournemire, D. Nitti, E. Perot, D. Migliore and A. Sironi, "A large scale event-based
detection dataset for automotive", arXiv:2001.08499, 2020. The groups are the drives of which the
recordings were cut.
"""


def _list_boxes(home: Path) -> dict[str, dict[str, Path]]:
    """Return the files of boxes of each subset by the names of the recordings."""
    found = sorted(path for path in home.rglob(f"*{_BOXES}") if not path.name.startswith("."))
    return {
        subset: {p.name.removesuffix(_BOXES): p for p in found if p.parent.name == folder}
        for subset, folder in _FOLDERS.items()
    }


def _events_of(boxes: Path) -> Path:
    """Return the file of events beside one of boxes."""
    return boxes.with_name(boxes.name.removesuffix(_BOXES) + _EVENTS)


def _check_there(home: Path, boxes: list[Path]) -> list:
    """Raise unless the events of all recordings are there; there is nothing to download."""
    for path in [home, *map(_events_of, boxes)]:
        if not path.exists():
            raise _missing(f"{str(path)!r} is not there", home)
    return []


def _missing(what: str, home: Path) -> FileNotFoundError:
    """Return the error that says which files to put where."""
    return FileNotFoundError(
        f"Data of {_OWNER} not found: {what}. The archives are given out for consent to the terms "
        f"of {_PAGE} only: get train_a.7z to train_f.7z, val_a.7z, val_b.7z, test_a.7z and "
        f"test_b.7z, or some of them, and unpack them in {str(home)!r}."
    )


def _convert(boxes: dict[str, Path], step: Step) -> dict:
    """Convert a recording and its boxes."""
    path = _events_of(boxes[step.name])
    for events in iter_events(path, sensor_size=_SENSOR_SIZE, errors="salvage"):
        step.cameras["data"].append(events)
    return {
        "target": _read_boxes(boxes[step.name]),
        "groups": step.name.rsplit("_", 2)[0],
        "filenames": path.relative_to(step.home).as_posix(),
    }


def _read_boxes(path: Path) -> np.ndarray:
    """Read boxes, whose fields have other names in older files."""
    stored = np.load(path, allow_pickle=False)
    names = stored.dtype.names or ()
    boxes = np.zeros(len(stored), _BOX_DTYPE)
    for name in _BOX_DTYPE.names:
        stored_as = name if name in names else _OLDER.get(name, name)
        if stored_as not in names:
            raise ValueError(
                f"{str(path)!r} must hold boxes with the fields {', '.join(_BOX_DTYPE.names)}. "
                f"Got {', '.join(names) or 'no fields'} instead."
            )
        boxes[name] = stored[stored_as]
    return boxes


def fetch_gen1(
    *,
    subset="train",
    sequences=None,
    data_home=None,
    return_X_y=False,
    verbose=False,
):
    """Load Gen1, traffic with boxes around cars and pedestrians, from files that you have got.

    =================   ==========================
    Classes                                      2
    Recordings          39 hours, in parts of 60 s
    Sensor                        304 × 240 pixels
    =================   ==========================

    The archives are behind a form of consent and cannot be downloaded from here: get them from
    [1]_ and unpack them in the folder ``gen1`` of the data home. Read more in [2]_.

    Parameters
    ----------
    subset : {"train", "valid", "test", "all"}, default="train"
        Which part of the official split.
    sequences : str or list of str, default=None
        Names of recordings of the subset, such as ``"17-03-30_12-53-58_1037500000_1097500000"``.
        By default all of which the boxes are there.
    data_home : str or path-like, default=None
        The folder of downloaded data sets. By default that of :func:`get_data_home`.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    verbose : bool, default=False
        Whether to print how far the conversion is.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with the attributes

        data : EventCollection of n_samples recordings
            The recordings, mapped into memory.
        target : list of n_samples structured ndarrays
            The boxes of each recording, in the order of the file: time ``t`` in µs, on the clock of
            the events; the upper left corner ``x`` and ``y``, width ``w`` and height ``h`` in
            pixels, which may reach over the border; ``class_id``, ``track_id`` and
            ``class_confidence``.
        target_names : ndarray of str of shape (2,)
            The names of the classes.
        groups : ndarray of str of shape (n_samples,)
            The drives, of which the recordings were cut.
        filenames : ndarray of str of shape (n_samples,)
            The files of events.
        DESCR : str
            A description.
    (data, target) : tuple
        The first two of these, with ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If files are not there; the error says which to put where. It is an ``OSError``.
    ValueError
        If a name of `sequences` is not known, or if a file of boxes is of another layout.

    Warns
    -----
    EventLossWarning
        While files are converted, if one has bytes that are no events, or events off the sensor.

    Notes
    -----
    Checksums of the archives are not published; 7z compares those within them. The unpacked files
    of all archives take 750 GB, what is converted of them 13 bytes an event instead of 8. When a
    selection has been converted its files of events may be deleted; the boxes must stay, as they
    say which recordings there are. Another selection is converted on its own.

    Evaluations of this data set leave out boxes in the first 0.5 s, with a side of less than 10
    pixels or a diagonal of less than 30. Here all are kept.

    References
    ----------
    .. [1] https://www.prophesee.ai/2020/01/24/prophesee-gen1-automotive-detection-dataset/
    .. [2] P. de Tournemire, D. Nitti, E. Perot, D. Migliore and A. Sironi, "A large scale
       event-based detection dataset for automotive", arXiv:2001.08499, 2020.

    Examples
    --------
    >>> from skspike.datasets import fetch_gen1
    >>> traffic = fetch_gen1(subset="valid")  # doctest: +SKIP
    >>> traffic.data.sensor_size, traffic.target_names.tolist()  # doctest: +SKIP
    ((304, 240), ['car', 'pedestrian'])
    """
    home = home_of(_NAME, data_home)
    subsets = _list_boxes(home)
    if not any(subsets.get(subset, subsets.values())):
        raise _missing(f"there is no file of boxes of the subset {subset!r}", home)
    names = choose_sequences(_OWNER, subsets, subset, sequences)
    boxes = {name: path for paths in subsets.values() for name, path in paths.items()}
    source = Sequences(
        name=_NAME,
        descr=_DESCR,
        sensor_size=_SENSOR_SIZE,
        names=names,
        variant="boxes",
        remotes=lambda home: _check_there(home, [boxes[name] for name in names]),
        convert=partial(_convert, boxes),
        target_names=_CLASSES,
    )
    return fetch_sequences(_OWNER, source, return_X_y, data_home=data_home, verbose=verbose)
