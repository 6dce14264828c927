"""Fetch sequential MNIST."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..exceptions import DownloadError
from ._fetch import RemoteFile
from ._fetch_arrays import ArraySource, Store, fetch_arrays
from ._permutation import check_permutation, permute

_URL = "https://ossci-datasets.s3.amazonaws.com/mnist"
_UNSIGNED_BYTES = 8  # the type of the elements, as the IDX format numbers it


def _convert(files: dict[str, Path], store: Store) -> None:
    """Convert a file of images and one of labels for each subset."""
    for subset in ("train", "test"):
        images = _read_idx(files[f"{subset}_images"])
        data = images.reshape(len(images), -1, 1) / np.float32(255)
        store.save(subset, data=data, target=_read_idx(files[f"{subset}_labels"]).astype(np.int64))


def _read_idx(path: Path) -> np.ndarray:
    """Read an IDX file: two zeros, type, number of axes, the lengths of these, and the elements."""
    content = gzip.decompress(path.read_bytes())
    begin = 4 + 4 * int.from_bytes(content[3:4])
    shape = [int.from_bytes(content[i : i + 4]) for i in range(4, begin, 4)]
    is_idx = content[:3] == bytes([0, 0, _UNSIGNED_BYTES])
    if not is_idx or len(content) != begin + math.prod(shape):
        raise DownloadError(
            f"{path.name!r} must be an IDX file of unsigned bytes. Got {len(content)} bytes that "
            f"begin with {content[:begin].hex(' ')} instead."
        )
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)


_SOURCE = ArraySource(
    name="smnist",
    descr="""\
Sequential MNIST
----------------

Handwritten digits of 28 × 28 pixels, read pixel by pixel: the images of Y. LeCun, L. Bottou, Y.
Bengio and P. Haffner, "Gradient-based learning applied to document recognition", Proceedings of
the IEEE 86(11):2278-2324, 1998, as sequences of 784 steps.
""",
    subsets=("train", "test"),
    archives={
        "train_images": RemoteFile(
            "train-images-idx3-ubyte.gz",
            f"{_URL}/train-images-idx3-ubyte.gz",
            "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ),
        "train_labels": RemoteFile(
            "train-labels-idx1-ubyte.gz",
            f"{_URL}/train-labels-idx1-ubyte.gz",
            "md5:d53e105ee54ea40749a09fcbcd1e9432",
        ),
        "test_images": RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            f"{_URL}/t10k-images-idx3-ubyte.gz",
            "md5:9fb629c4189551a2d022fa330f9573f3",
        ),
        "test_labels": RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            f"{_URL}/t10k-labels-idx1-ubyte.gz",
            "md5:ec29112dd5afa0611ce80d1b7f02629c",
        ),
    },
    convert=_convert,
    unpack=False,
)


def fetch_smnist(
    *,
    subset="train",
    permutation=None,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
    random_state=0,
):
    """Load sequential MNIST, digits read pixel by pixel; download it if it is not there.

    =================   ======================
    Classes                                 10
    Sequences           60,000 + 10,000 of test
    Steps                                  784
    =================   ======================

    Read more in [1]_.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Which part of the official split; "all" copies them into memory.
    permutation : {"bit_reversal", "random"}, default=None
        The order in which the pixels are read, the same for all images; by default row by row.
        "bit_reversal" is that of S4's permuted MNIST, a fixed one, see
        :func:`load_sequential_digits`; "random" is drawn by `random_state`. Both copy the images
        into memory.
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
    random_state : int, RandomState instance, Generator or None, default=0
        Determines the permutation "random". An int draws it as
        ``numpy.random.RandomState(random_state).permutation(784)``; 92916 is the one of several
        papers.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with the attributes

        data : float32 ndarray of shape (n_samples, 784, 1)
            The pixels, from 0 to 1, mapped into memory.
        target : ndarray of shape (n_samples,)
            The digits.
        target_names : ndarray of str of shape (10,)
            The names of the digits.
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

    See Also
    --------
    load_sequential_digits : Smaller digits, which need no download.

    Notes
    -----
    The first call downloads and converts. What it got of a broken download is kept, and the next
    call goes on there. Later calls map what is on the disk, in no time and without a network.

    S4 does not standardise the pixels, and keeps a tenth of the training set to validate.

    References
    ----------
    .. [1] Q. V. Le, N. Jaitly and G. E. Hinton, "A simple way to initialize recurrent networks of
       rectified linear units", arXiv:1504.00941, 2015.

    Examples
    --------
    >>> from skspike.datasets import fetch_smnist
    >>> X, y = fetch_smnist(permutation="bit_reversal", return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (60000, 784, 1)
    """
    owner = "fetch_smnist"
    check_permutation(owner, permutation)
    loaded = fetch_arrays(
        owner,
        _SOURCE,
        subset,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    data = permute(loaded["data"], permutation, random_state)
    if return_X_y:
        return data, loaded["target"]
    return Bunch(
        data=data,
        target=loaded["target"],
        target_names=np.arange(10).astype(str),
        DESCR=_SOURCE.descr,
    )
