"""Fetch CIFAR10-DVS."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ._extract import extract_inner
from ._fetch import RemoteFile, Source, convert_files, fetch


def _convert(files: Path, add) -> dict[str, np.ndarray]:
    """Convert an archive with an archive of AEDAT4 files for each class."""
    extract_inner(files)
    return convert_files(files, add, sensor_size=(128, 128), batch=100, suffix=".aedat4")


_SOURCE = Source(
    name="cifar10_dvs",
    descr="""\
CIFAR10-DVS
-----------

A thousand images of each class of CIFAR10 on a screen, where they move along a closed path in
front of an event camera of 128 × 128 pixels. There is no official split. Recorded by
H. Li, H. Liu, X. Ji, G. Li and L. Shi, "CIFAR10-DVS: an event-stream dataset for object
classification", Frontiers in Neuroscience 11:309, 2017.
""",
    archives={
        "all": RemoteFile(
            "CIFAR10DVS.zip",
            "https://ndownloader.figshare.com/files/38023437",
            "md5:ce3a4a0682dc0943703bd8f749a7701c",
        ),
    },
    convert=_convert,
)


def fetch_cifar10_dvs(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load CIFAR10-DVS, images seen by an event camera; download it if it is not there.

    =================   =======================
    Classes                                  10
    Recordings                           10,000
    Sensor                     128 × 128 pixels
    =================   =======================

    Read more in [1]_. Its files are read with the packages of ``pip install "skspike[io]"``.

    Parameters
    ----------
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
            The numbers of the classes.
        target_names : ndarray of str of shape (10,)
            The names of the classes.
        filenames : ndarray of str of shape (n_samples,)
            The files of the archive, from which the recordings come.
        groups : None
            There are none.
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

    Warns
    -----
    EventLossWarning
        While files are converted, if one has bytes that are no events.

    Notes
    -----
    The first call downloads and converts; it needs the space on the disk several times over.
    What it got of a broken download is kept, and the next call goes on there. Later calls map
    what is on the disk, in no time and without a network.

    The archive is that of tonic, with AEDAT4 files; it is of about 10 GB.

    References
    ----------
    .. [1] H. Li, H. Liu, X. Ji, G. Li and L. Shi, "CIFAR10-DVS: an event-stream dataset for object
       classification", Frontiers in Neuroscience 11:309, 2017.

    Examples
    --------
    >>> from skspike.datasets import fetch_cifar10_dvs
    >>> X, y = fetch_cifar10_dvs(return_X_y=True)  # doctest: +SKIP
    >>> len(X), X.sensor_size  # doctest: +SKIP
    (10000, (128, 128))
    """
    return fetch(
        "fetch_cifar10_dvs",
        _SOURCE,
        "all",
        return_X_y,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        verbose=verbose,
    )
