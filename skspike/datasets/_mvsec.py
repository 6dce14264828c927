"""Fetch MVSEC, stereo recordings with depth."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from .._events import EventCollection
from .._validation import check_choice
from ..exceptions import DownloadError
from ._extract import extract_archive
from ._fetch import RemoteFile
from ._growing import GrowingArray
from ._rosbag import parse_events, parse_image, parse_pose, read_messages
from ._sequences import Sequences, Step, choose_sequences, fetch_sequences

_OWNER = "fetch_mvsec"
_URL = "https://visiondata.cis.upenn.edu/mvsec"
_SENSOR_SIZE = (346, 260)
_BLOCK = 1_000_000  # events of an HDF5 file that are read at a time
_MAPS = 100  # maps of depth that are
_SIDES = {"data": "left", "data_right": "right"}
_CHECKSUMS = {  # of the bags of data and of ground truth
    "indoor_flying1": ("fd01f35eb52a754e8195d478ed2a00a2", "277b97ad46f9dba3896f651ca47297aa"),
    "indoor_flying2": ("015ac75086b248167e9602b72485e0eb", "3c7ba64cd7bede77b1809cc151e54ed2"),
    "indoor_flying3": ("fda3408d3c72b2d7445540e5bdbd6396", "cae5648c84ec09d0316a8d4805dee62e"),
    "indoor_flying4": ("30ba3a744dcd4408fc4102e88c636acc", "f050c886fb34f3890fcf85680e267a21"),
    "outdoor_day1": ("7438c34b71d08ff38f52cef68834e9be", "36ec3dcd0a222c4c2102641a2dc91ff0"),
    "outdoor_day2": ("536d20bc59720b995df49f925f96b74d", "69fb399411d7098b3e2cf3850f593e7b"),
    "outdoor_night1": ("534bea503649eeb2801316704d6ab041", "7e169e4048307e01f1a7ba5931ca7d4d"),
    "outdoor_night2": ("371ff73324ba94ecb368b4c220dc8e54", "d235d28f1c93203a1d7738f8e7a67ca3"),
    "outdoor_night3": ("fc40889a48de7b28e6e2506125b229ac", "2bbdffc94f8dd54f71486fcecfc82fe6"),
    "motorcycle": ("ae1d929563c63c4d15e0e3d3412d41c4", "bebf1cd58837abd1ca625ba219b47388"),
}
_SCENES = ("indoor_flying", "outdoor_day", "outdoor_night", "motorcycle")
# Depth maps while the drone flies, as papers on stereo count them; the last is left out.
_TEST_MAPS = {1: (140, 1201), 2: (120, 1421), 3: (73, 1616)}
_TRAIN_MAPS = {1: (80, 1260), 2: (160, 1580), 3: (125, 1815)}
_FOCAL_BASELINE = {  # pixels times metres, of the rectified pair
    "indoor_flying": 19.941772,
    "outdoor_day": 19.635287,
    "outdoor_night": 19.651191,
}
_DESCR = """\
MVSEC
-----

A pair of event cameras of 346 × 260 pixels on a drone that flies through a hall, on a car by day
and by night, and on a motorcycle; with depth from a lidar and poses. Recorded by A. Z. Zhu,
D. Thakur, T. Özaslan, B. Pfrommer, V. Kumar and K. Daniilidis, "The multivehicle stereo event
camera dataset: an event camera dataset for 3D perception", IEEE Robotics and Automation Letters
3(3):2032-2039, 2018. The groups are the sequences.
"""


def _scene(name: str) -> str:
    """Return the scene of a sequence."""
    return name.rstrip("0123456789")


def _subsets() -> dict[str, tuple[str, ...]]:
    """Return the sequences of the scenes, and those of the splits of papers on stereo."""
    subsets = {s: tuple(name for name in _CHECKSUMS if _scene(name) == s) for s in _SCENES}
    for split in _TEST_MAPS:
        rest = tuple(f"indoor_flying{k}" for k in _TEST_MAPS if k != split)
        subsets |= {f"train{split}": rest, f"test{split}": (f"indoor_flying{split}",)}
    return subsets


_SUBSETS = _subsets()


def _hdf5_files(home: Path, name: str) -> list[Path]:
    """Return the HDF5 files of a sequence, if somebody has put both there."""
    paths = [home / f"{name}_{part}.hdf5" for part in ("data", "gt")]
    return paths if all(path.exists() for path in paths) else []


def _remotes(names: list[str], home: Path) -> list[RemoteFile]:
    """Return the bags of sequences of which there are no HDF5 files, and the calibrations."""
    remotes = [
        RemoteFile(f"{name}_{part}.bag", f"{_URL}/{_scene(name)}/{name}_{part}.bag", f"md5:{md5}")
        for name in names
        if not _hdf5_files(home, name)
        for part, md5 in zip(("data", "gt"), _CHECKSUMS[name], strict=True)
    ]
    for scene in dict.fromkeys(map(_scene, names)):
        file = f"{scene}_calib.zip"
        remotes.append(RemoteFile(file, f"{_URL}/{scene}/{file}", None))
    return remotes


def _convert(depth: str, maps: dict[int, tuple[int, int]] | None, step: Step) -> dict:
    """Convert a sequence: events of both cameras, depth, poses and rectification."""
    step.files.mkdir(parents=True)
    files = _hdf5_files(step.home, step.name)
    found = _convert_hdf5(files, depth, step) if files else _convert_bags(depth, step)
    times = found["target_times"]
    if not len(times):
        found["target"] = None
    return found | {
        "frames": np.array(maps[int(step.name[-1])] if maps else (0, len(times))),
        "focal_baseline": _FOCAL_BASELINE.get(_scene(step.name), np.nan),
        "groups": step.name,
        **_read_maps(step),
    }


def _append(step: Step, camera: str, **columns) -> None:
    """Write a block of events, all of which must lie on the sensor."""
    n = len(columns["x"])
    block = EventCollection.from_columns(**columns, offsets=[0, n], sensor_size=_SENSOR_SIZE)
    step.cameras[camera].append(block.events)


def _convert_bags(depth: str, step: Step) -> dict:
    """Convert the bags of a sequence."""
    data, truth = (step.home / f"{step.name}_{part}.bag" for part in ("data", "gt"))
    cameras = {f"/davis/{_SIDES[camera]}/events": camera for camera in step.cameras}
    for topic, message in read_messages(data, {*cameras}):
        _append(step, cameras[topic], **parse_events(message))
    image, pose = f"/davis/left/depth_image_{depth}", "/davis/left/pose"
    times, poses = [], []
    with _depth_array(step) as maps:
        for topic, message in read_messages(truth, {image, pose}):
            if topic == image:
                t, pixels = parse_image(message)
                maps.append(pixels[np.newaxis])
                times.append(t)
            else:
                poses.append(parse_pose(message))
    pose_times, matrices = [t for t, _ in poses], [matrix for _, matrix in poses]
    return _labels(data.name, step, times, pose_times, matrices)


def _convert_hdf5(files: list[Path], depth: str, step: Step) -> dict:
    """Convert the HDF5 files of a sequence."""
    try:
        import h5py
    except ImportError:
        raise ImportError(
            'Reading the HDF5 files of MVSEC needs the package h5py: pip install "skspike[io]".'
        ) from None
    with h5py.File(files[0], "r") as file:
        for camera in step.cameras:
            for table in _slices(file[f"davis/{_SIDES[camera]}/events"], _BLOCK):
                x, y, t, p = table.T
                _append(step, camera, x=x, y=y, t=np.rint(t * 1e6), p=p > 0)
    with h5py.File(files[1], "r") as file:
        left, name = file.get("davis/left", {}), f"depth_image_{depth}"
        times, pose_times, poses = (
            left[key][()] if key in left else np.empty(0)  # the motorcycle has no lidar
            for key in (f"{name}_ts", "pose_ts", "pose")
        )
        with _depth_array(step) as maps:
            for images in _slices(left.get(name, ()), _MAPS):
                maps.append(images)
    return _labels(files[0].name, step, _rounded(times), _rounded(pose_times), poses)


def _slices(dataset, size: int) -> Iterator[np.ndarray]:
    """Yield the rows of a dataset, some at a time."""
    for start in range(0, len(dataset), size):
        yield dataset[start : start + size]


def _rounded(seconds: np.ndarray) -> np.ndarray:
    """Return times in seconds as whole microseconds."""
    return np.rint(np.asarray(seconds) * 1e6)


def _depth_array(step: Step) -> GrowingArray:
    """Return the array to which the depth maps are written."""
    width, height = _SENSOR_SIZE
    return GrowingArray(step.files / "depth.npy", np.float32, (height, width))


def _labels(filename: str, step: Step, times, pose_times, poses) -> dict:
    """Return what both kinds of files say of a sequence."""
    return {
        "target": step.files / "depth.npy",
        "target_times": np.asarray(times, np.int64),
        "poses": np.asarray(poses, np.float64).reshape(-1, 4, 4),
        "pose_times": np.asarray(pose_times, np.int64),
        "filenames": filename,
    }


def _read_maps(step: Step) -> dict:
    """Return where pixels of the cameras lie when the lenses are made up for; keep the rest."""
    scene = _scene(step.name)
    extract_archive(step.home / f"{scene}_calib.zip", step.scratch)
    found: dict = {}
    for camera in step.cameras:
        sides = [f"{scene}_{_SIDES[camera]}_{axis}_map.txt" for axis in "xy"]
        key = camera.replace("data", "rectify_map")
        found[key] = step.files / f"{key}.npy"
        maps = [np.loadtxt(_only(step.scratch, name), np.float32) for name in sides]
        np.save(found[key], np.stack(maps, axis=-1))
    yaml = _only(step.scratch, f"camchain-imucam-{scene}.yaml")
    return found | {"calibration": yaml.rename(step.files / yaml.name)}


def _only(folder: Path, name: str) -> Path:
    """Return the file of a name in the archive of a calibration."""
    paths = sorted(folder.rglob(name))
    if not paths:
        raise DownloadError(f"The archive of a calibration of {_OWNER} must hold {name!r}.")
    return paths[0]


def fetch_mvsec(
    *,
    subset="indoor_flying",
    sequences=None,
    depth="rect",
    stereo=False,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load MVSEC, flights and drives with depth; download it if it is not there.

    =================   ===========================================
    Sequences           4 flights, 5 drives, 1 ride on a motorcycle
    Sensor                                     2 × 346 × 260 pixels
    Depth                                       20 maps each second
    =================   ===========================================

    Read more in [1]_.

    Parameters
    ----------
    subset : {"indoor_flying", "outdoor_day", "outdoor_night", "motorcycle", "train1", "test1", \
"train2", "test2", "train3", "test3", "all"}, default="indoor_flying"
        A scene, or a part of one of the three splits of papers on stereo [2]_: ``"test1"`` is the
        first flight and ``"train1"`` the second and third, and so on.
    sequences : str or list of str, default=None
        Names of sequences of the subset, such as ``"indoor_flying1"``. By default all.
    depth : {"rect", "raw"}, default="rect"
        Whether depth is seen by the rectified left camera, as for stereo, or by the one that there
        is, where the events lie.
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
        target : list of n_sequences ndarrays of shape (n_maps, 260, 346), or of None
            The depth of each pixel of the left camera in metres, float32, mapped into memory; NaN
            where none is known. The motorcycle has none.
        target_times : list of n_sequences ndarrays of int of shape (n_maps,)
            The times of the maps in µs, on the clock of the events, which is that of Unix.
        frames : list of n_sequences ndarrays of shape (2,)
            The first map that counts, and the one behind the last: of a split those while the drone
            flies, else all.
        focal_baseline : ndarray of shape (n_sequences,)
            What, divided by depth, is the disparity of the rectified pair: the focal length in
            pixels times the distance of the cameras in metres, or NaN of the motorcycle.
        rectify_map, rectify_map_right : list of n_sequences ndarrays of shape (260, 346, 2)
            Where a pixel lies, as x and y, in the rectified view: ``rectify_map[i][y, x]``.
        calibration : ndarray of str of shape (n_sequences,)
            The paths of the files of the calibration.
        poses : list of n_sequences ndarrays of shape (n_poses, 4, 4)
            The poses of the left camera.
        pose_times : list of n_sequences ndarrays of int of shape (n_poses,)
            Their times in µs.
        target_names : None
            There are no classes.
        groups : ndarray of str of shape (n_sequences,)
            The names of the sequences.
        filenames : ndarray of str of shape (n_sequences,)
            The files of events.
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
    EventFormatError
        If a bag is damaged. It is a ``ValueError``.
    ValueError
        If a name of `sequences` is not one of the subset.

    Notes
    -----
    What is downloaded are the ROS bags, of 1 to 5 GB for a flight and up to 50 GB for a drive, with
    their checksums, and the calibrations, of which no checksum is published: they are compared with
    those of their members. The same data as HDF5, ``indoor_flying1_data.hdf5`` and
    ``indoor_flying1_gt.hdf5``, are given out by a page from which nothing can be downloaded
    directly. Where both files of a sequence have been put into the folder ``mvsec`` of the data
    home, they are read instead of its bags, with the packages of ``pip install "skspike[io]"``; of
    them no checksum is published.

    Files are kept; when a selection of sequences is converted, they may be deleted. Each selection
    is converted on its own, at 13 bytes an event, in blocks that fit in memory.

    In [2]_ the maps between `frames` of a test flight are shuffled, and 200 of them validate.

    References
    ----------
    .. [1] A. Z. Zhu, D. Thakur, T. Özaslan, B. Pfrommer, V. Kumar and K. Daniilidis, "The
       multivehicle stereo event camera dataset: an event camera dataset for 3D perception", IEEE
       Robotics and Automation Letters 3(3):2032-2039, 2018.
    .. [2] S. Tulyakov, F. Fleuret, M. Kiefel, P. Gehler and M. Hirsch, "Learning an event sequence
       embedding for dense event-based deep stereo", IEEE International Conference on Computer
       Vision, 2019.

    Examples
    --------
    >>> from skspike.datasets import fetch_mvsec
    >>> flight = fetch_mvsec(subset="test1", stereo=True)  # doctest: +SKIP
    >>> flight.data.sensor_size, flight.frames  # doctest: +SKIP
    ((346, 260), [array([ 140, 1201])])
    """
    names = choose_sequences(_OWNER, _SUBSETS, subset, sequences)
    check_choice(_OWNER, "depth", depth, ("rect", "raw"))
    maps = {"train": _TRAIN_MAPS, "test": _TEST_MAPS}.get(subset[:-1])
    variant = "-".join([depth, *(["stereo"] if stereo else []), *([subset[:-1]] if maps else [])])
    source = Sequences(
        name="mvsec",
        descr=_DESCR,
        sensor_size=_SENSOR_SIZE,
        names=names,
        variant=variant,
        remotes=partial(_remotes, names),
        convert=partial(_convert, depth, maps),
        cameras=("data", "data_right") if stereo else ("data",),
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
