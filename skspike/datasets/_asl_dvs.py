"""Fetch ASL-DVS."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np

from ..exceptions import DownloadError
from ._extract import extract_inner
from ._fetch import RemoteFile, Source, convert_files, fetch, list_files

_LETTERS = "abcdefghiklmnopqrstuvwxy"  # j and z are movements
_EACH = 4200  # recordings of each


def _convert(files: Path, add) -> dict[str, np.ndarray]:
    """Convert an archive with an archive of MATLAB files for each letter."""
    extract_inner(files, depth=2)  # mirrors pack the archive once more
    _check(files)
    return convert_files(files, add, sensor_size=(240, 180), batch=1000, suffix=".mat")


def _check(files: Path) -> None:
    """Raise unless all recordings are there: there is no checksum that would tell."""
    counts = Counter(PurePosixPath(name).parent.name for name in list_files(files, ".mat"))
    if counts != dict.fromkeys(_LETTERS, _EACH):
        got = ", ".join(f"{n:,} of {letter}" for letter, n in sorted(counts.items()))
        raise DownloadError(
            f"The archive of ASL-DVS must hold {_EACH:,} recordings of each of the letters "
            f"{_LETTERS}. Got {got or 'none'} instead."
        )


_SOURCE = Source(
    name="asl_dvs",
    descr="""\
ASL-DVS
-------

The 24 letters of the American Sign Language that are no movements, shown by five people before an
event camera of 240 × 180 pixels, 4,200 recordings of about 100 ms each. There is no official
split, and the files do not tell who shows a letter. Recorded by Y. Bi, A. Chadha, A. Abbas,
E. Bourtsoulatze and Y. Andreopoulos, "Graph-based object classification for neuromorphic vision
sensing", ICCV 2019.
""",
    archives={
        "all": RemoteFile(
            "ICCV2019_DVS_dataset.zip",
            None,  # its folder at Dropbox is gone
            None,  # and Dropbox packed it anew now and then: three checksums are known
            by_hand="from a mirror, for instance by `openi dataset download OpenI/ASLDVS`",
        ),
    },
    convert=_convert,
)


def fetch_asl_dvs(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load ASL-DVS, letters of a sign language seen by an event camera.

    =================   ================
    Classes                           24
    Recordings                   100,800
    Sensor              240 × 180 pixels
    Duration            about 100,000 µs
    =================   ================

    Read more in [1]_. It cannot be downloaded any more: put the file ``ICCV2019_DVS_dataset.zip``
    into the folder ``asl_dvs`` of `data_home`.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of downloaded data sets. By default that of :func:`get_data_home`.
    download_if_missing : bool, default=True
        Whether to say where the archive can be got, or that the data are not there.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    n_retries : int, default=3
        As in other fetchers; there is no server to ask.
    delay : float, default=1.0
        As in other fetchers; there is no server to ask.
    verbose : bool, default=False
        Whether to print how far the conversion is.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with the attributes

        data : EventCollection of n_samples recordings
            The recordings, mapped into memory.
        target : ndarray of shape (n_samples,)
            The numbers of the letters.
        target_names : ndarray of str of shape (24,)
            The names of the classes.
        filenames : ndarray of str of shape (n_samples,)
            The files of the archive, from which the recordings come.
        groups : None
            The files do not tell which of the five people it is.
        DESCR : str
            A description.
    (data, target) : tuple
        The first two of these, with ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If the data set is not there and `download_if_missing` is False. It is an ``OSError``.
    DownloadError
        If the archive is not there, or if it is not what it should be. It is an ``OSError``.

    Warns
    -----
    EventLossWarning
        While files are converted, if one has bytes that are no events.

    Notes
    -----
    The first call converts; it needs the space on the disk several times over. Later calls map
    what is on the disk, in no time.

    The authors' folder at Dropbox is gone since 2024 [2]_. Mirrors have its archive, as it was or
    packed once more, for instance as ``ASLDVS.zip``; either is read under the name above, and
    stays where it is. Dropbox packed the folder anew now and then, so that several checksums are
    about; what is checked is that all recordings of all letters are there.

    Events are as the files hold them. Those seem to count rows from the bottom, and it is not sure
    from which side columns: tonic turns the rows over, and spikingjelly the columns too.

    References
    ----------
    .. [1] Y. Bi, A. Chadha, A. Abbas, E. Bourtsoulatze and Y. Andreopoulos, "Graph-based object
       classification for neuromorphic vision sensing", IEEE International Conference on Computer
       Vision, 2019.
    .. [2] https://github.com/PIX2NVS/NVS2Graph/issues/18

    Examples
    --------
    >>> from skspike.datasets import fetch_asl_dvs
    >>> X, y = fetch_asl_dvs(return_X_y=True)  # doctest: +SKIP
    >>> len(X), X.sensor_size  # doctest: +SKIP
    (100800, (240, 180))
    """
    return fetch(
        "fetch_asl_dvs",
        _SOURCE,
        "all",
        return_X_y,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        verbose=verbose,
    )
