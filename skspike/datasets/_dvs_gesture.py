"""Fetch DVS128 Gesture."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from .._events import EventCollection
from ._fetch import RemoteFile, Source, fetch

_URL = "https://ndownloader.figshare.com/files"
_BATCH = 20  # recordings that are read at a time
_SENSOR_SIZE = (128, 128)
_GESTURES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter-clockwise",
    "left arm clockwise",
    "left arm counter-clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other",
)


def _convert(files: Path, add) -> dict[str, np.ndarray]:
    """Convert a folder for each person and light, with a file for each gesture."""
    paths = sorted(path for path in files.rglob("*.npy") if not path.name.startswith("."))
    for start in range(0, len(paths), _BATCH):
        add(EventCollection.concatenate([_read(p) for p in paths[start : start + _BATCH]]))
    return {
        "target": np.array([int(path.stem) for path in paths]),
        "target_names": np.array(_GESTURES),
        "groups": np.array([int(re.match(r"user(\d+)", path.parent.name)[1]) for path in paths]),
        "filenames": np.array([path.relative_to(files).as_posix() for path in paths]),
    }


def _read(path: Path) -> EventCollection:
    """Read a recording: the columns x, y, polarity and time in milliseconds."""
    x, y, p, t = np.load(path, allow_pickle=False).T
    return EventCollection.from_columns(
        x=x.astype(np.int64),
        y=y.astype(np.int64),
        t=np.rint(t.astype(np.float64) * 1000).astype(np.int64),
        p=p > 0,
        offsets=[0, len(x)],
        sensor_size=_SENSOR_SIZE,
    )


_SOURCE = Source(
    name="dvs_gesture",
    descr="""\
DVS128 Gesture
--------------

Eleven gestures of hands and arms by 29 people in three kinds of light, before an event camera of
128 × 128 pixels; the test set is of other people than the training set. Recorded by A. Amir et
al., "A low power, fully event-based gesture recognition system", CVPR 2017. The groups are the
people.
""",
    archives={
        "train": RemoteFile(
            "ibmGestureTrain.tar.gz",
            f"{_URL}/38022171",
            "md5:3a8f0d4120a166bac7591f77409cb105",
        ),
        "test": RemoteFile(
            "ibmGestureTest.tar.gz",
            f"{_URL}/38020584",
            "md5:56070e45dadaa85fff82e0fbfbc06de5",
        ),
    },
    convert=_convert,
)


def fetch_dvs_gesture(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load DVS128 Gesture, people who move their arms; download it if it is not there.

    =================   ===================
    Classes                              11
    Recordings          1,077 + 264 of test
    Sensor                 128 × 128 pixels
    =================   ===================

    Read more in [1]_.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Which part of the official split.
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
        Whether to print how far a download and its conversion are.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with the attributes

        data : EventCollection of n_samples recordings
            The recordings, mapped into memory.
        target : ndarray of shape (n_samples,)
            The numbers of the gestures.
        target_names : ndarray of str of shape (11,)
            The names of the classes.
        filenames : ndarray of str of shape (n_samples,)
            The files of the archive, from which the recordings come; their folders name the
            person and the light.
        groups : ndarray of shape (n_samples,)
            The numbers of the persons.
        DESCR : str
            A description.
    (data, target) : tuple
        The first two of these, with ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If the data set is not there and `download_if_missing` is False. It is an ``OSError``.
    DownloadError
        If it cannot be downloaded, or if what came is not what it should be. It is an ``OSError``.

    Notes
    -----
    The first call downloads and converts; it needs the space on the disk several times over.
    What it got of a broken download is kept, and the next call goes on there. Later calls map
    what is on the disk, in no time and without a network.

    The archives are those of tonic, in which the long recordings are cut into one for each
    gesture. The subset "all" is the training set followed by the test set, written once more.

    References
    ----------
    .. [1] A. Amir et al., "A low power, fully event-based gesture recognition system", IEEE
       Conference on Computer Vision and Pattern Recognition, 2017.

    Examples
    --------
    >>> from skspike.datasets import fetch_dvs_gesture
    >>> gestures = fetch_dvs_gesture()  # doctest: +SKIP
    >>> len(gestures.data), gestures.data.sensor_size  # doctest: +SKIP
    (1077, (128, 128))
    """
    return fetch(
        "fetch_dvs_gesture",
        _SOURCE,
        subset,
        return_X_y,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        verbose=verbose,
    )
