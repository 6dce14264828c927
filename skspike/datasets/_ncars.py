"""Fetch N-CARS."""

from __future__ import annotations

from ._fetch import RemoteFile, Source, convert_files, fetch


def _archive(member: str) -> RemoteFile:
    """Return the archive, which holds an archive for each subset."""
    return RemoteFile(
        "Prophesee_Dataset_n_cars.zip",
        "http://www.prophesee.ai/resources/Prophesee_Dataset_n_cars.zip",
        "md5:553ce464d6e5e617b3c21ce27c19368e",
        member,
        by_hand="from https://www.prophesee.ai/2018/03/13/dataset-n-cars/",
    )


_SOURCE = Source(
    name="ncars",
    descr="""\
N-CARS
------

Cars and backgrounds of 100 ms, cut out of 80 minutes before an event camera behind the windscreen
of a car, in cities and on motorways: up to 120 × 100 pixels, two classes. Recorded by A. Sironi,
M. Brambilla, N. Bourdis, X. Lagorce and R. Benosman, "HATS: histograms of averaged time surfaces
for robust event-based object classification", CVPR 2018.
""",
    archives={"train": _archive("n-cars_train.zip"), "test": _archive("n-cars_test.zip")},
    convert=lambda files, add: convert_files(
        files, add, sensor_size=(120, 100), batch=1000, suffix=".dat"
    ),
)


def fetch_ncars(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Load N-CARS, what an event camera in a car sees; download it if it is not there.

    =================   ======================
    Classes                                  2
    Recordings          15,422 + 8,607 of test
    Sensor              up to 120 × 100 pixels
    Duration                  about 100,000 µs
    =================   ======================

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
            The numbers of the classes: 0 a background, 1 a car.
        target_names : ndarray of str of shape (2,)
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

    The subset "all" is the training set followed by the test set, written once more.

    The recordings are cut out of larger ones, of different sizes, and begin in the corner.
    Prophesee hands them out packed in other ways too: unpacked, a folder such as ``n-cars_train``
    is read by :func:`load_event_folder`.

    References
    ----------
    .. [1] A. Sironi, M. Brambilla, N. Bourdis, X. Lagorce and R. Benosman, "HATS: histograms of
       averaged time surfaces for robust event-based object classification", IEEE Conference on
       Computer Vision and Pattern Recognition, 2018.

    Examples
    --------
    >>> from skspike.datasets import fetch_ncars
    >>> X, y = fetch_ncars(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> len(X), X.sensor_size  # doctest: +SKIP
    (8607, (120, 100))
    """
    return fetch(
        "fetch_ncars",
        _SOURCE,
        subset,
        return_X_y,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        verbose=verbose,
    )
