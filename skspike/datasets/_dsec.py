"""Fetch DSEC, stereo recordings of traffic with disparity or semantic labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from .._validation import check_choice
from ..exceptions import DownloadError
from ..io import iter_events
from ._extract import extract_archive
from ._fetch import RemoteFile
from ._sequences import Sequences, Step, choose_sequences, fetch_sequences

_OWNER = "fetch_dsec"
_URL = "https://download.ifi.uzh.ch/rpg/DSEC"
_SENSOR_SIZE = (640, 480)
_SIDES = {"data": "left", "data_right": "right"}
_TRAIN = (
    *(f"interlaken_00_{part}" for part in "cdefg"),
    "thun_00_a",
    *(f"zurich_city_00_{part}" for part in "ab"),
    *(f"zurich_city_01_{part}" for part in "abcdef"),
    *(f"zurich_city_02_{part}" for part in "abcde"),
    "zurich_city_03_a",
    *(f"zurich_city_04_{part}" for part in "abcdef"),
    *(f"zurich_city_05_{part}" for part in "ab"),
    *(f"zurich_city_{number:02d}_a" for number in (6, 7, 8)),
    *(f"zurich_city_09_{part}" for part in "abcde"),
    *(f"zurich_city_10_{part}" for part in "ab"),
    *(f"zurich_city_11_{part}" for part in "abc"),
)
_TEST = (
    *(f"interlaken_00_{part}" for part in "ab"),
    "interlaken_01_a",
    *(f"thun_01_{part}" for part in "ab"),
    "zurich_city_12_a",
    *(f"zurich_city_13_{part}" for part in "ab"),
    *(f"zurich_city_14_{part}" for part in "abc"),
    "zurich_city_15_a",
)
_SEMANTIC_TRAIN = tuple(f"zurich_city_{number:02d}_a" for number in (0, 1, 2, 4, 5, 6, 7, 8))
_SEMANTIC_TEST = ("zurich_city_13_a", "zurich_city_14_c", "zurich_city_15_a")
_SUBSETS = {
    "disparity": {"train": _TRAIN, "test": _TEST},
    "semantic": {"train": _SEMANTIC_TRAIN, "test": _SEMANTIC_TEST},
}
_CLASSES = (
    *("background", "building", "fence", "person", "pole", "road", "sidewalk"),
    *("vegetation", "car", "wall", "traffic sign"),
)
_DESCR = """\
DSEC
----

Drives through Switzerland by day and by night, with a pair of event cameras of 640 × 480 pixels
behind the windshield. Of the sequences to train with, the disparity is known where a lidar measured
the depth. Recorded by M. Gehrig, W. Aarents, D. Gehrig and D. Scaramuzza, "DSEC: a stereo event
camera dataset for driving scenarios", IEEE Robotics and Automation Letters 6(3):4947-4954, 2021.
The semantic labels are those of Z. Sun, N. Messikommer, D. Gehrig and D. Scaramuzza, "ESS: learning
event-based semantic segmentation from still images", ECCV 2022.
"""


def _split(name: str) -> str:
    """Return the folder of a sequence on the server."""
    return "train" if name in _TRAIN else "test"


def _remotes(names: list[str], labels: str, cameras: tuple[str, ...]) -> list[RemoteFile]:
    """Return the files of sequences; no checksums are published."""
    ends = [f"events_{_SIDES[camera]}.zip" for camera in cameras] + ["calibration.zip"]
    paths: list[str] = []
    for name in names:
        labelled = labels == "disparity" and name in _TRAIN
        more = ["disparity_event.zip", "disparity_timestamps.txt"] if labelled else []
        paths += [f"{_split(name)}/{name}/{name}_{end}" for end in ends + more]
    for split in sorted({_split(name) for name in names}):
        if labels == "semantic":
            paths.append(f"semantic/{split}_semantic_segmentation.zip")
        elif split == "test":
            paths.append("test_disparity_timestamps.zip")
    return [RemoteFile(path.rpartition("/")[2], f"{_URL}/{path}", None) for path in paths]


def _convert(labels: str, step: Step) -> dict:
    """Convert a sequence: its events, the maps that rectify them, and its labels."""
    found: dict = {"groups": step.name, "filenames": f"{_split(step.name)}/{step.name}"}
    for camera in step.cameras:
        folder = _extract(step, f"{step.name}_events_{_SIDES[camera]}.zip")
        for events in iter_events(_only(folder, "events.h5"), sensor_size=_SENSOR_SIZE):
            step.cameras[camera].append(events)
        key = camera.replace("data", "rectify_map")
        found[key] = _save(step, key, _read_map(_only(folder, "rectify_map.h5")))
    calibration = _extract(step, f"{step.name}_calibration.zip")
    found["calibration"] = _keep(step, _only(calibration, "cam_to_cam.yaml"))
    read = _read_semantic if labels == "semantic" else _read_disparity
    times, files = read(step)
    if files is not None and len(times) != len(files):
        raise DownloadError(
            f"Sequence {step.name!r} of {_OWNER} must have a time for each label. "
            f"Got {len(times)} times and {len(files)} labels."
        )
    return found | {"target": files, "target_times": times}


def _extract(step: Step, archive: str) -> Path:
    """Unpack an archive into a folder that is not kept."""
    folder = step.scratch / archive
    extract_archive(step.home / archive, folder)
    return folder


def _only(folder: Path, name: str) -> Path:
    """Return the file of a name, at whatever depth an archive holds it."""
    paths = sorted(folder.rglob(name))
    if len(paths) != 1:
        raise DownloadError(
            f"The archive {folder.name!r} of {_OWNER} must hold one file {name!r}. "
            f"Got {len(paths)} instead."
        )
    return paths[0]


def _read_map(path: Path) -> np.ndarray:
    """Read where each pixel lies when the lens is made up for."""
    import h5py  # iter_events has told if it is not there

    with h5py.File(path, "r") as file:
        return file["rectify_map"][()].astype(np.float32)


def _save(step: Step, name: str, array: np.ndarray) -> Path:
    """Write an array to a file that is kept."""
    step.files.mkdir(parents=True, exist_ok=True)
    path = step.files / f"{name}.npy"
    np.save(path, array)
    return path


def _keep(step: Step, path: Path) -> Path:
    """Move a file to those that are kept."""
    kept = step.files / path.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    return path.rename(kept)


def _read_disparity(step: Step) -> tuple[np.ndarray, list[Path] | None]:
    """Return the times and files of disparity maps; of a test sequence the times to estimate."""
    if step.name in _TEST:
        table = _only(_extract(step, "test_disparity_timestamps.zip"), f"{step.name}.csv")
        return _read_times(table), None
    folder = _extract(step, f"{step.name}_disparity_event.zip")
    times = _read_times(step.home / f"{step.name}_disparity_timestamps.txt")
    return times, _keep_images(step, folder)


def _read_semantic(step: Step) -> tuple[np.ndarray, list[Path]]:
    """Return the times and files of images of 11 classes."""
    folder = _extract(step, f"{_split(step.name)}_semantic_segmentation.zip")
    times = _read_times(_only(folder, f"{step.name}_semantic_timestamps.txt"))
    found = folder.rglob("11classes")
    places = [path for path in found if step.name in path.relative_to(folder).parts]
    if len(places) != 1:
        raise DownloadError(
            f"The archive {folder.name!r} of {_OWNER} must hold one folder '11classes' of "
            f"{step.name!r}. Got {len(places)} instead."
        )
    return times, _keep_images(step, places[0])


def _keep_images(step: Step, folder: Path) -> list[Path]:
    """Move the images of a folder to those that are kept, in the order of their numbers."""
    return [_keep(step, path) for path in sorted(folder.rglob("*.png"))]


def _read_times(path: Path) -> np.ndarray:
    """Read the first column of a text of whole microseconds."""
    try:
        return np.loadtxt(path, np.int64, delimiter=",", usecols=0, ndmin=1)
    except ValueError as error:
        raise DownloadError(
            f"{str(path)!r} of {_OWNER} must hold a time in each line. Got: {error}."
        ) from error


def fetch_dsec(
    *,
    subset="train",
    sequences=None,
    labels="disparity",
    stereo=False,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load DSEC, drives with disparity or semantic labels; download it if it is not there.

    =================   ====================
    Sequences                41 + 12 of test
    with semantics             8 + 3 of test
    Classes                               11
    Sensor              2 × 640 × 480 pixels
    =================   ====================

    Read more in [1]_ and, of the semantic labels, in [2]_. Its files are read with the packages of
    ``pip install "skspike[io]" hdf5plugin``.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Which part of the official split, of the kind of labels.
    sequences : str or list of str, default=None
        Names of sequences of the subset, such as ``"zurich_city_04_a"``. By default all, which are
        hundreds of gigabytes.
    labels : {"disparity", "semantic"}, default="disparity"
        What the target is. Test sequences have semantic labels, but no disparity.
    stereo : bool, default=False
        Whether to load the right camera, too.
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
            The left camera, mapped into memory.
        data_right : EventCollection of n_sequences recordings
            The right camera, with ``stereo=True``.
        target : list of n_sequences ndarrays of str, or of None
            The paths of the label images of each sequence. In one of disparity, a PNG of 480 × 640
            pixels of 16 bits, 256 stands for a disparity of one pixel and 0 for none known. One of
            classes is of 440 × 640 pixels, all but the lowest 40 rows; 255 is no class.
        target_times : list of n_sequences ndarrays of int
            The times of the labels in µs, on the clock of the events; of a test sequence without
            labels the times for which the benchmark asks.
        target_names : ndarray of str of shape (11,) or None
            The names of the classes.
        rectify_map, rectify_map_right : list of n_sequences ndarrays of shape (480, 640, 2)
            Where a pixel lies, as x and y, in the rectified view, in which disparity is given:
            ``rectify_map[i][y, x]``.
        calibration : ndarray of str of shape (n_sequences,)
            The paths of the files ``cam_to_cam.yaml``, which say how to make depth of disparity.
        groups : ndarray of str of shape (n_sequences,)
            The names of the sequences.
        filenames : ndarray of str of shape (n_sequences,)
            The folders on the server.
        DESCR : str
            A description.
    (data, target) : tuple
        The first two of these, with ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If a file is not there and `download_if_missing` is False. It is an ``OSError``.
    DownloadError
        If it cannot be downloaded, or if what came is not what it should be. It is an ``OSError``.
    ValueError
        If a name of `sequences` is not one of the subset.

    Notes
    -----
    Archives are kept in the folder ``dsec`` of the data home, as no download should be needed
    twice; when a selection of sequences is converted, they may be deleted. Each selection is
    converted on its own, at 13 bytes an event, in blocks that fit in memory: a loop over
    ``sequences=name`` needs no more space than one call for all.

    No checksums are published. Archives are compared with those of their members; of the texts
    of times it is known only that they have a time for each label.

    The events begin with the first label of a sequence: there is nothing to estimate it from.

    References
    ----------
    .. [1] M. Gehrig, W. Aarents, D. Gehrig and D. Scaramuzza, "DSEC: a stereo event camera dataset
       for driving scenarios", IEEE Robotics and Automation Letters 6(3):4947-4954, 2021.
    .. [2] Z. Sun, N. Messikommer, D. Gehrig and D. Scaramuzza, "ESS: learning event-based semantic
       segmentation from still images", European Conference on Computer Vision, 2022.

    Examples
    --------
    >>> from skspike.datasets import fetch_dsec
    >>> drive = fetch_dsec(sequences="thun_00_a", stereo=True)  # doctest: +SKIP
    >>> drive.data.sensor_size, drive.target_times[0].dtype  # doctest: +SKIP
    ((640, 480), dtype('int64'))
    """
    check_choice(_OWNER, "labels", labels, _SUBSETS)
    names = choose_sequences(_OWNER, _SUBSETS[labels], subset, sequences)
    cameras = ("data", "data_right") if stereo else ("data",)
    source = Sequences(
        name="dsec",
        descr=_DESCR,
        sensor_size=_SENSOR_SIZE,
        names=names,
        variant=f"{labels}-stereo" if stereo else labels,
        remotes=lambda home: _remotes(names, labels, cameras),
        convert=partial(_convert, labels),
        cameras=cameras,
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
