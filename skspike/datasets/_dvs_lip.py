"""Fetch DVS-Lip."""

from __future__ import annotations

from ._fetch import RemoteFile, Source, convert_files, fetch

_ID = "1dBEgtmctTTWJlWnuWxFtk8gfOdVVpkQ0"


def _archive(member: str) -> RemoteFile:
    """Return the archive, which holds a folder for each subset."""
    return RemoteFile(
        "DVS-Lip.zip",
        f"https://drive.usercontent.google.com/download?id={_ID}&export=download&confirm=t",
        "md5:2dcb959255122d4cdeb6094ca282494b",
        member,
        by_hand=f"from https://drive.google.com/file/d/{_ID}/view",
    )


_SOURCE = Source(
    name="dvs_lip",
    descr="""\
DVS-Lip
-------

A hundred words read aloud by 40 people before an event camera, cut out around the mouth:
128 × 128 pixels. Fifty of the words are 25 pairs that look alike. The test set is of ten people
who are not in the training set; the files do not tell who speaks. Recorded by G. Tan, Y. Wang,
H. Han, Y. Cao, F. Wu and Z.-J. Zha, "Multi-grained spatio-temporal features perceived network for
event-based lip-reading", CVPR 2022.
""",
    archives={"train": _archive("DVS-Lip/train"), "test": _archive("DVS-Lip/test")},
    convert=lambda files, add: convert_files(
        files, add, sensor_size=(128, 128), batch=200, suffix=".npy"
    ),
)


def fetch_dvs_lip(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load DVS-Lip, spoken words seen by an event camera; download it if it is not there.

    =================   =======================
    Classes                                 100
    Recordings           14,896 + 4,975 of test
    Sensor                     128 × 128 pixels
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
            The numbers of the words, in the order of the alphabet.
        target_names : ndarray of str of shape (100,)
            The names of the classes.
        filenames : ndarray of str of shape (n_samples,)
            The files of the archive, from which the recordings come.
        groups : None
            The files do not tell who speaks.
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

    Google Drive limits how often a file is downloaded in a day. When it answers with a page that
    says so, the error tells it, and where to put the archive by hand.

    References
    ----------
    .. [1] G. Tan, Y. Wang, H. Han, Y. Cao, F. Wu and Z.-J. Zha, "Multi-grained spatio-temporal
       features perceived network for event-based lip-reading", IEEE/CVF Conference on Computer
       Vision and Pattern Recognition, 2022.

    Examples
    --------
    >>> from skspike.datasets import fetch_dvs_lip
    >>> X, y = fetch_dvs_lip(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> len(X), X.sensor_size  # doctest: +SKIP
    (4975, (128, 128))
    """
    return fetch(
        "fetch_dvs_lip",
        _SOURCE,
        subset,
        return_X_y,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        verbose=verbose,
    )
