"""Fetch DDD17, drives with what the driver did, or with semantic labels."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np

from .._events import EventCollection
from .._validation import check_choice
from ..exceptions import DownloadError
from ._caer import HostClock, parse_packet
from ._extract import extract_archive
from ._fetch import RemoteFile
from ._sequences import Sequences, Step, choose_sequences, fetch_sequences, home_of, name_list

_OWNER = "fetch_ddd17"
_NAME = "ddd17"
_SENSOR_SIZE = (346, 260)
_PACKETS = 128  # of a recording that are read at a time: a chunk of its file
_BLOCK = 1_000_000  # labelled events that are converted at a time
_PAGE = "https://sites.google.com/view/davis-driving-dataset-2020/home"
_ARCHIVE = RemoteFile(
    "ddd17_seg.tar.gz", "https://download.ifi.uzh.ch/rpg/ESS/ddd17_seg.tar.gz", None
)
_SEMANTIC = {
    "train": ("dir0", "dir3", "dir4", "dir6", "dir7"),
    "test": ("dir1",),
    "other": ("dir5",),
}
_CLASSES = ("flat", "construction and sky", "object", "nature", "human", "vehicle")
_SIGNAL = np.dtype([("t", "<i8"), ("value", "<f8")])
_DESCR = """\
DDD17
-----

Twelve hours of driving on highways and in towns, by day and by night, with an event camera of
346 × 260 pixels behind the windshield and what the car said of steering, pedals and speed. Recorded
by J. Binas, D. Neil, S.-C. Liu and T. Delbruck, "DDD17: end-to-end DAVIS driving dataset", ICML
workshop on machine learning for autonomous vehicles, 2017. The semantic labels of some of its
recordings are those of I. Alonso and A. C. Murillo, "EV-SegNet: semantic segmentation for
event-based cameras", CVPR workshops, 2019. The groups are the recordings.
"""


def _list_recordings(home: Path) -> dict[str, Path]:
    """Return the files of recordings that are there by their names."""
    found = {path.stem: path for path in sorted(home.rglob("rec*.hdf5"))}
    return {name: path for name, path in found.items() if "_export" not in name}


def _check_there(names: list[str], home: Path) -> list[RemoteFile]:
    """Raise unless files of recordings are there; there is nothing to download."""
    found = _list_recordings(home)
    missing = [name for name in names or ["rec*"] if name not in found]
    if missing:
        raise FileNotFoundError(
            f"Data of {_OWNER} not found: there is no {missing[0]}.hdf5 in {str(home)!r}. The "
            f"recordings are shared by Resilio Sync only, which {_PAGE} leads to: get some and put "
            "them there, in folders or not."
        )
    return []


def _remotes(labels: str, names: list[str], home: Path) -> list[RemoteFile]:
    """Return what must be downloaded: the archive of sequences with semantic labels."""
    return [_ARCHIVE] if labels == "semantic" else _check_there(names, home)


def _convert_driving(step: Step) -> dict:
    """Convert a recording: its events, and the signals of the car."""
    try:
        import h5py
    except ImportError:
        raise ImportError(
            'Reading the recordings of DDD17 needs the package h5py: pip install "skspike[io]".'
        ) from None
    path = _list_recordings(step.home)[step.name]
    with h5py.File(path, "r") as file:
        if "dvs/data" not in file:
            raise ValueError(
                f"{str(path)!r} must be a recording of {_OWNER} with the dataset 'dvs/data'. "
                f"Got {sorted(file)} instead."
            )
        _convert_packets(step, file["dvs"])
        names = [name for name in file if name != "dvs" and f"{name}/data" in file]
        signals = {name: _read_signal(file[name]) for name in names}
    return {
        "target": signals,
        "groups": step.name,
        "filenames": path.relative_to(step.home).as_posix(),
    }


def _convert_packets(step: Step, dvs) -> None:
    """Convert the events of a recording, whose last rows may be empty."""
    clock = HostClock()
    for start in range(0, len(dvs["data"]), _PACKETS):
        rows = slice(start, start + _PACKETS)
        packets = zip(dvs["data"][rows], dvs["timestamp"][rows], strict=True)
        for (_, header, body), arrival in packets:
            columns = parse_packet(header, body) if arrival else None
            if columns and len(columns["t"]):
                columns["t"] = clock.on_host(columns["t"], int(arrival))
                _append(step, columns)


def _append(step: Step, columns: dict[str, np.ndarray]) -> None:
    """Write a block of events, all of which must lie on the sensor."""
    n = len(columns["x"])
    block = EventCollection.from_columns(**columns, offsets=[0, n], sensor_size=_SENSOR_SIZE)
    step.cameras["data"].append(block.events)


def _read_signal(group) -> np.ndarray:
    """Return times and values of a signal, whose last rows may be empty."""
    rows = group["data"][()]
    rows = rows[rows[:, 0] > 0]
    signal = np.empty(len(rows), _SIGNAL)
    signal["t"], signal["value"] = rows.T
    return signal


def _unpacked(step: Step) -> Path:
    """Return the folder of a labelled sequence, unpacked if it is not yet."""
    root = step.home / _ARCHIVE.name.removesuffix(".tar.gz")
    if not root.exists():
        extract_archive(step.home / _ARCHIVE.name, step.scratch)
        os.replace(step.scratch, root)
    folders = [path.parent for path in root.rglob(f"{step.name}/events.dat.t")]
    if len(folders) != 1:
        raise DownloadError(
            f"The archive {_ARCHIVE.name!r} of {_OWNER} must hold one folder {step.name!r} with "
            f"events. Got {len(folders)} instead."
        )
    return folders[0]


def _convert_semantic(step: Step) -> dict:
    """Convert a sequence: its events, and the images of its labels."""
    folder = _unpacked(step)
    t = np.memmap(folder / "events.dat.t", "<i8", "r")
    xyp = np.memmap(folder / "events.dat.xyp", "<i2", "r").reshape(-1, 3)
    index = np.load(folder / "index" / "index_50ms.npy", allow_pickle=False)
    unit = _ticks(t, index)
    for start in range(0, len(t), _BLOCK):
        rows = slice(start, start + _BLOCK)
        x, y, p = xyp[rows].T
        _append(step, {"x": x, "y": y, "t": t[rows] // unit, "p": p > 0})
    images = _keep_masks(step, folder)
    rows = [_number(image) - 1 for image in images]  # images are counted from 1
    return {
        "target": images,
        "target_times": index[rows, 0].astype(np.int64) // unit,
        "groups": step.name,
        "filenames": folder.relative_to(step.home).as_posix(),
    }


def _ticks(t: np.ndarray, index: np.ndarray) -> int:
    """Return how many units of time are a microsecond: the authors say nanoseconds.

    The index names the event at each image, and that of 50 ms before: it tells.
    """
    stop, start = np.clip(index[:, 1:3].T.astype(np.int64), 0, len(t) - 1)
    return 1000 if np.median(t[stop] - t[start]) > 5_000_000 else 1


def _number(image: Path) -> int:
    """Return the number of an image, with which its name ends."""
    return int(image.stem.rpartition("_")[2])


def _keep_masks(step: Step, folder: Path) -> list[Path]:
    """Copy the images of labels to those that are kept, from a folder or an archive."""
    masks = folder / "segmentation_masks"
    if not masks.exists():
        extract_archive(masks.with_suffix(".zip"), step.scratch)
        masks = step.scratch
    step.files.mkdir(parents=True)
    images = sorted(masks.rglob("*.png"), key=_number)
    return [Path(shutil.copy(image, step.files / image.name)) for image in images]


def fetch_ddd17(
    *,
    subset="all",
    sequences=None,
    labels="driving",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load DDD17, drives with what the driver did or with semantic labels.

    =================   =================
    Recordings                   12 hours
    with semantics      5 + 1 of test + 1
    Classes                             6
    Sensor               346 × 260 pixels
    =================   =================

    The recordings cannot be downloaded from here: get them as [1]_ says and put them into the
    folder ``ddd17`` of the data home. Those with semantic labels are downloaded if they are not
    there. Read more in [2]_ and, of the labels, in [3]_. The recordings are read with the packages
    of ``pip install "skspike[io]"``.

    Parameters
    ----------
    subset : {"train", "test", "other", "all"}, default="all"
        Which part of the split of the semantic labels. There is none of the recordings.
    sequences : str or list of str, default=None
        Names of sequences: of recordings such as ``"rec1487417411"``, or with semantic labels, of
        the subset, such as ``"dir1"``. By default all; of recordings all that are there.
    labels : {"driving", "semantic"}, default="driving"
        What the target is.
    data_home : str or path-like, default=None
        The folder of downloaded data sets. By default that of :func:`get_data_home`.
    download_if_missing : bool, default=True
        Whether to download what is not there, or to raise.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    n_retries : int, default=3
        How often to ask the server again when it does not answer, or sends nothing more.
    delay : float, default=1.0
        Seconds to wait before the first of these; each next one waits twice as long.
    verbose : bool, default=False
        Whether to print how far downloads and the conversion are.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with the attributes

        data : EventCollection of n_sequences recordings
            The recordings, mapped into memory.
        target : list of n_sequences dicts of structured ndarrays, or of ndarrays of str
            What the car said, by the names of the signals, such as ``"steering_wheel_angle"`` in
            degrees, ``"accelerator_pedal_position"`` in percent and ``"vehicle_speed"`` in km/h:
            the time ``t`` in µs, on the clock of the events, and the ``value``. Of semantic labels
            the paths of PNGs of 200 × 346 pixels, the upper rows of the sensor.
        target_times : list of n_sequences ndarrays of int
            The times of semantic labels in µs, on the clock of the events.
        target_names : ndarray of str of shape (6,) or None
            The names of the classes of semantic labels.
        groups : ndarray of str of shape (n_sequences,)
            The names of the sequences.
        filenames : ndarray of str of shape (n_sequences,)
            The files of the recordings, or the folders of sequences.
        DESCR : str
            A description.
    (data, target) : tuple
        The first two of these, with ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If a recording is not there, the error says how to get it; or if the archive is not there
        and `download_if_missing` is False. It is an ``OSError``.
    DownloadError
        If the archive cannot be downloaded, or if what came is not what it should be. It is an
        ``OSError``.
    ValueError
        If a name of `sequences` is not known, or if a file is not such a recording.

    Notes
    -----
    Events of a recording have the times of the camera, signals those of the computer. The events
    are put on the clock of the computer, which is that of Unix, by the first packet of them: they
    may be later than they were by as long as that packet took, some milliseconds. So they are again
    where the camera's clock was set back.

    The sequences with semantic labels are those of the authors of [4]_, with the split of [3]_: a
    sixth recording to test and a seventh, of a single label, for neither. They call nanoseconds
    what comes as such or as microseconds; which it is, their index tells. Their clock is not that
    of the recordings. Labels were made by a network from images, which the camera saw, too.

    No checksums are published: the archive is compared with that of gzip, recordings with none.
    Files are kept; when a selection of sequences is converted, they may be deleted, if later calls
    name the sequences.

    References
    ----------
    .. [1] https://sites.google.com/view/davis-driving-dataset-2020/home
    .. [2] J. Binas, D. Neil, S.-C. Liu and T. Delbruck, "DDD17: end-to-end DAVIS driving dataset",
       ICML workshop on machine learning for autonomous vehicles, 2017.
    .. [3] I. Alonso and A. C. Murillo, "EV-SegNet: semantic segmentation for event-based cameras",
       IEEE Conference on Computer Vision and Pattern Recognition workshops, 2019.
    .. [4] Z. Sun, N. Messikommer, D. Gehrig and D. Scaramuzza, "ESS: learning event-based semantic
       segmentation from still images", European Conference on Computer Vision, 2022.

    Examples
    --------
    >>> from skspike.datasets import fetch_ddd17
    >>> drive = fetch_ddd17(sequences="rec1487417411")  # doctest: +SKIP
    >>> drive.target[0]["vehicle_speed"].dtype.names  # doctest: +SKIP
    ('t', 'value')
    """
    check_choice(_OWNER, "labels", labels, ("driving", "semantic"))
    if labels == "semantic":
        names = choose_sequences(_OWNER, _SEMANTIC, subset, sequences)
    else:
        check_choice(_OWNER, "subset", subset, ("all",))
        there = _list_recordings(home_of(_NAME, data_home))
        names = [*there] if sequences is None else name_list(_OWNER, sequences)
    source = Sequences(
        name=_NAME,
        descr=_DESCR,
        sensor_size=_SENSOR_SIZE,
        names=names,
        variant=labels,
        remotes=partial(_remotes, labels, names),
        convert=_convert_semantic if labels == "semantic" else _convert_driving,
        target_names=_CLASSES if labels == "semantic" else None,
    )
    return fetch_sequences(
        _OWNER,
        source,
        return_X_y,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        verbose=verbose,
    )
