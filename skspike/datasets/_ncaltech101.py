"""Fetch N-Caltech101."""

from __future__ import annotations

from ._fetch import RemoteFile, Source, convert_files, fetch

_URL = "https://data.mendeley.com/public-files/datasets/cy6cvx3ryv/files"
_SOURCE = Source(
    name="ncaltech101",
    descr="""\
N-Caltech101
------------

The images of Caltech101 on a screen, in front of an event camera that makes three saccades of
100 ms along a triangle: 100 classes of objects and one of backgrounds; the class Faces is left
out, as it holds the images of Faces_easy. There is no official split. Recorded by
G. Orchard, A. Jayawant, G. K. Cohen and N. Thakor, "Converting static image datasets to spiking
neuromorphic datasets using saccades", Frontiers in Neuroscience 9:437, 2015.
""",
    archives={
        "all": RemoteFile(
            "Caltech101.zip",
            f"{_URL}/36b5c52a-b49d-4853-addb-a836a8883e49/file_downloaded",
            "md5:66201824eabb0239c7ab992480b50ba3",
        ),
    },
    convert=lambda files, add: convert_files(files, add, sensor_size=(240, 180), batch=100),
)


def fetch_ncaltech101(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load N-Caltech101, images seen by an event camera; download it if it is not there.

    =================   =======================
    Classes                                 101
    Recordings                            8,709
    Sensor                     240 × 180 pixels
    Duration                   about 300,000 µs
    =================   =======================

    Read more in [1]_.

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
        target_names : ndarray of str of shape (101,)
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

    The recordings are of different sizes, up to 240 × 180 pixels, and begin in the corner.

    References
    ----------
    .. [1] G. Orchard, A. Jayawant, G. K. Cohen and N. Thakor, "Converting static image datasets to
       spiking neuromorphic datasets using saccades", Frontiers in Neuroscience 9:437, 2015.

    Examples
    --------
    >>> from skspike.datasets import fetch_ncaltech101
    >>> X, y = fetch_ncaltech101(return_X_y=True)  # doctest: +SKIP
    >>> len(X), X.sensor_size  # doctest: +SKIP
    (8709, (240, 180))
    """
    return fetch(
        "fetch_ncaltech101",
        _SOURCE,
        "all",
        return_X_y,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        verbose=verbose,
    )
