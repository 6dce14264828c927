"""Fetch N-MNIST."""

from __future__ import annotations

from ._fetch import RemoteFile, Source, convert_files, fetch

_URL = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files"
_SOURCE = Source(
    name="nmnist",
    descr="""\
N-MNIST
-------

The 60,000 training and 10,000 test images of MNIST on a screen, in front of an event camera that
makes three saccades of 100 ms along a triangle: 34 × 34 pixels, ten digits. Recorded by
G. Orchard, A. Jayawant, G. K. Cohen and N. Thakor, "Converting static image datasets to spiking
neuromorphic datasets using saccades", Frontiers in Neuroscience 9:437, 2015.
""",
    archives={
        "train": RemoteFile(
            "Train.zip",
            f"{_URL}/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
            "md5:20959b8e626244a1b502305a9e6e2031",
        ),
        "test": RemoteFile(
            "Test.zip",
            f"{_URL}/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
            "md5:69ca8762b2fe404d9b9bad1103e97832",
        ),
    },
    convert=lambda files, add: convert_files(files, add, sensor_size=(34, 34), batch=1000),
)


def fetch_nmnist(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load N-MNIST, the MNIST digits seen by an event camera; download it if it is not there.

    =================   =======================
    Classes                                  10
    Recordings          60,000 + 10,000 of test
    Sensor                       34 × 34 pixels
    Duration                   about 300,000 µs
    =================   =======================

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
            The digits.
        target_names : ndarray of str of shape (10,)
            The names of the classes.
        filenames : ndarray of str of shape (n_samples,)
            The files of the archive, from which the recordings come.
        groups : None
            The writers of the digits are not known.
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

    The subset "all" is the training set followed by the test set, written once more.

    References
    ----------
    .. [1] G. Orchard, A. Jayawant, G. K. Cohen and N. Thakor, "Converting static image datasets to
       spiking neuromorphic datasets using saccades", Frontiers in Neuroscience 9:437, 2015.

    Examples
    --------
    >>> from skspike.datasets import fetch_nmnist
    >>> X, y = fetch_nmnist(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> len(X), X.sensor_size  # doctest: +SKIP
    (10000, (34, 34))
    """
    return fetch(
        "fetch_nmnist",
        _SOURCE,
        subset,
        return_X_y,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        verbose=verbose,
    )
