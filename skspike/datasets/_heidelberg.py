"""Fetch the Heidelberg spiking data sets: SHD and SSC."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._events import EventCollection
from ._fetch import RemoteFile, Source, fetch

_URL = "https://zenkelab.org/datasets"
_BATCH = 1000  # recordings that are read at a time
_CHANNELS = 700
_PAPER = """\
B. Cramer, Y. Stradmann, J. Schemmel and F. Zenke, "The Heidelberg spiking data sets for the
systematic evaluation of spiking neural networks", IEEE Transactions on Neural Networks and
Learning Systems 33(7):2744-2757, 2022.
"""


def _convert(files: Path, add) -> dict[str, np.ndarray]:
    """Convert an HDF5 file of times (s) and units."""
    try:
        import h5py
    except ImportError:
        raise ImportError(
            'Reading the Heidelberg data sets needs the package h5py: pip install "skspike[io]".'
        ) from None
    (path,) = files.rglob("*.h5")
    with h5py.File(path, "r") as file:
        times, units = file["spikes/times"], file["spikes/units"]
        for start in range(0, len(times), _BATCH):
            rows = slice(start, start + _BATCH)
            add(_recordings(times[rows], units[rows]))
        labels = {
            "target": np.asarray(file["labels"], dtype=np.int64),
            "target_names": np.array([_text(name) for name in file["extra/keys"][:]]),
        }
        if "speaker" in file["extra"]:
            labels["groups"] = np.asarray(file["extra/speaker"], dtype=np.int64)
    return labels


def _text(name: bytes | str) -> str:
    """Return a word, of which HDF5 does not say the encoding."""
    return name if isinstance(name, str) else name.decode("utf-8", errors="replace")


def _recordings(times, units) -> EventCollection:
    """Return the recordings of some rows."""
    x = np.concatenate(units)
    return EventCollection.from_columns(
        x=x,
        y=np.zeros_like(x),
        t=np.rint(np.concatenate(times).astype(np.float64) * 1e6).astype(np.int64),
        p=np.ones(len(x), bool),
        offsets=np.cumsum([0, *map(len, times)]),
        sensor_size=(_CHANNELS, 1),
    )


_SHD = Source(
    name="shd",
    descr=f"""\
Spiking Heidelberg Digits
-------------------------

The digits from zero to nine, spoken in English and German by 12 people, as spikes of a model of
the inner ear with 700 channels. Two of the speakers are in the test set only. The groups are the
speakers. {_PAPER}""",
    archives={
        "train": RemoteFile(
            "shd_train.h5.zip",
            f"{_URL}/shd_train.h5.zip",
            "md5:f3252aeb598ac776c1b526422d90eecb",
        ),
        "test": RemoteFile(
            "shd_test.h5.zip",
            f"{_URL}/shd_test.h5.zip",
            "md5:1503a5064faa34311c398fb0a1ed0a6f",
        ),
    },
    convert=_convert,
)
_SSC = Source(
    name="ssc",
    descr=f"""\
Spiking Speech Commands
-----------------------

The 35 words of Google's Speech Commands, as spikes of a model of the inner ear with 700 channels.
{_PAPER}""",
    archives={
        "train": RemoteFile(
            "ssc_train.h5.zip",
            f"{_URL}/ssc_train.h5.zip",
            "md5:d102be95e7144fcc0553d1f45ba94170",
        ),
        "valid": RemoteFile(
            "ssc_valid.h5.zip",
            f"{_URL}/ssc_valid.h5.zip",
            "md5:b4eee3516a4a90dd0c71a6ac23a8ae43",
        ),
        "test": RemoteFile(
            "ssc_test.h5.zip",
            f"{_URL}/ssc_test.h5.zip",
            "md5:a35ff1e9cffdd02a20eb850c17c37748",
        ),
    },
    convert=_convert,
)


def fetch_shd(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load the Spiking Heidelberg Digits, spoken digits as spikes; download it if it is not there.

    =================   ======================
    Classes                                 20
    Recordings          8,156 + 2,264 of test
    Channels                               700
    =================   ======================

    Read more in [1]_. It needs h5py: ``pip install "skspike[io]"``.

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
            The numbers of the classes.
        target_names : ndarray of str of shape (n_classes,)
            The names of the classes.
        groups : ndarray of shape (n_samples,)
            The speakers.
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

    An event has the channel as `x`, 0 as `y`, and True as its polarity, on a sensor of 700 × 1
    pixels. The subset "all" is the training set followed by the test set, written once more.

    References
    ----------
    .. [1] B. Cramer, Y. Stradmann, J. Schemmel and F. Zenke, "The Heidelberg spiking data sets for
       the systematic evaluation of spiking neural networks", IEEE Transactions on Neural Networks
       and Learning Systems 33(7):2744-2757, 2022.

    Examples
    --------
    >>> from skspike.datasets import fetch_shd
    >>> X, y = fetch_shd(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> len(X), X.sensor_size  # doctest: +SKIP
    (2264, (700, 1))
    """
    return fetch(
        "fetch_shd",
        _SHD,
        subset,
        return_X_y,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        verbose=verbose,
    )


def fetch_ssc(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load the Spiking Speech Commands, 35 spoken words as spikes; download it if it is not there.

    =================   ===============================================
    Classes                                                          35
    Recordings          75,466 + 9,981 to validate + 20,382 of test
    Channels                                                        700
    =================   ===============================================

    Read more in [1]_. It needs h5py: ``pip install "skspike[io]"``.

    Parameters
    ----------
    subset : {"train", "valid", "test", "all"}, default="train"
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
            The numbers of the classes.
        target_names : ndarray of str of shape (n_classes,)
            The names of the classes.
        groups : ndarray of shape (n_samples,) or None
            The speakers, if the files say them.
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

    An event has the channel as `x`, 0 as `y`, and True as its polarity, on a sensor of 700 × 1
    pixels. The subset "all" is the others one after the other, written once more.

    References
    ----------
    .. [1] B. Cramer, Y. Stradmann, J. Schemmel and F. Zenke, "The Heidelberg spiking data sets for
       the systematic evaluation of spiking neural networks", IEEE Transactions on Neural Networks
       and Learning Systems 33(7):2744-2757, 2022.

    Examples
    --------
    >>> from skspike.datasets import fetch_ssc
    >>> X, y = fetch_ssc(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> len(X), X.sensor_size  # doctest: +SKIP
    (20382, (700, 1))
    """
    return fetch(
        "fetch_ssc",
        _SSC,
        subset,
        return_X_y,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        verbose=verbose,
    )
