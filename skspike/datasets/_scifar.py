"""Fetch sequential CIFAR-10."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..exceptions import DownloadError
from ._fetch import RemoteFile
from ._fetch_arrays import ArraySource, Store, fetch_arrays, find_member

_FILES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
_N_PIXELS = 1024
_BATCH = 1000  # images that are converted at a time
_RECORD = 1 + 3 * _N_PIXELS  # bytes: a label, then the red, the green and the blue pixels

# What S4 subtracts and divides by, in units of the brightest pixel.
_GRAY = 122.6 / 255, 61.0 / 255
_COLOUR = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)


def _convert(folders: dict[str, Path], store: Store) -> None:
    """Convert the binary version: files of records of the same length."""
    folder = find_member(folders["binary"], "batches.meta.txt").parent
    names = (folder / "batches.meta.txt").read_text().split()
    for subset, files in _FILES.items():
        records = np.concatenate([_read(folder / name) for name in files])
        gray = store.create(subset, "gray", (len(records), _N_PIXELS, 1), np.float32)
        colour = store.create(subset, "colour", (len(records), _N_PIXELS, 3), np.float32)
        for start in range(0, len(records), _BATCH):
            rows = slice(start, start + _BATCH)
            pixels = records[rows, 1:].reshape(-1, 3, _N_PIXELS).swapaxes(1, 2)
            gray[rows, :, 0] = _standardize(_to_gray(pixels), _GRAY)
            colour[rows] = _standardize(pixels, _COLOUR)
        target = records[:, 0].astype(np.int64)
        store.save(subset, target=target, target_names=np.array(names))


def _read(path: Path) -> np.ndarray:
    """Read records."""
    content = np.fromfile(path, np.uint8)
    if not len(content) or len(content) % _RECORD:
        raise DownloadError(
            f"{path.name!r} must hold records of {_RECORD} bytes. Got {len(content)} bytes instead."
        )
    return content.reshape(-1, _RECORD)


def _to_gray(pixels: np.ndarray) -> np.ndarray:
    """Return the brightness of pixels in the last axis, as a byte: ITU-R 601-2 in 16 bits.

    These integers are how Pillow computes its mode "L", by which S4 converts.
    """
    weights = np.array([19595, 38470, 7471], np.uint32)
    return ((pixels.astype(np.uint32) @ weights + 2**15) >> 16).astype(np.uint8)


def _standardize(pixels: np.ndarray, moments) -> np.ndarray:
    """Return pixels less their mean, by their standard deviation."""
    mean, deviation = np.float32(moments)
    return (pixels / np.float32(255) - mean) / deviation


_SOURCE = ArraySource(
    name="scifar",
    descr="""\
Sequential CIFAR-10
-------------------

Photographs of ten kinds of things, of 32 × 32 pixels, read pixel by pixel: the images of A.
Krizhevsky, "Learning multiple layers of features from tiny images", 2009, as sequences of 1,024
steps. In grey they are the task "Image" of the Long Range Arena.
""",
    subsets=("train", "test"),
    archives={
        "binary": RemoteFile(
            "cifar-10-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "md5:c32a1d4ab5d03f1284b67883e8d87530",
        )
    },
    convert=_convert,
)


def fetch_scifar(
    *,
    subset="train",
    grayscale=True,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
):
    """Load sequential CIFAR-10, photographs read pixel by pixel; download it if it is not there.

    =================   =======================
    Classes                                  10
    Sequences           50,000 + 10,000 of test
    Steps                                 1,024
    =================   =======================

    In grey it is the task "Image" of the Long Range Arena [1]_.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Which part of the official split; "all" copies them into memory.
    grayscale : bool, default=True
        Whether a step is the brightness of a pixel, or its red, green and blue.
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

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with the attributes

        data : float32 ndarray of shape (n_samples, 1024, 1) or (n_samples, 1024, 3)
            The pixels row by row, standardised, mapped into memory.
        target : ndarray of shape (n_samples,)
            The numbers of the classes.
        target_names : ndarray of str of shape (10,)
            The names of the classes.
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
    The first call downloads and converts. What it got of a broken download is kept, and the next
    call goes on there. Later calls map what is on the disk, in no time and without a network.

    Pixels are standardised as in S4: with mean 122.6 / 255 and standard deviation 61 / 255 in grey;
    with means 0.4914, 0.4822, 0.4465 and standard deviations 0.247, 0.243, 0.261 in colour. The
    brightness is ``0.299 R + 0.587 G + 0.114 B``, rounded to a byte. S4 keeps a tenth of the
    training set to validate.

    References
    ----------
    .. [1] Y. Tay et al., "Long Range Arena: a benchmark for efficient transformers",
       International Conference on Learning Representations, 2021.

    Examples
    --------
    >>> from skspike.datasets import fetch_scifar
    >>> X, y = fetch_scifar(return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (50000, 1024, 1)
    """
    used, other = ("gray", "colour") if grayscale else ("colour", "gray")
    loaded = fetch_arrays(
        "fetch_scifar",
        _SOURCE,
        subset,
        without=other,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    data, target = loaded[used], loaded["target"]
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, target_names=loaded["target_names"], DESCR=_SOURCE.descr)
