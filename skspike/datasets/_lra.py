"""Fetch the Long Range Arena."""

from __future__ import annotations

from functools import partial

from sklearn.utils import Bunch

from .._validation import check_choice
from ._fetch import RemoteFile
from ._fetch_arrays import ArraySource, fetch_arrays
from ._lra_pathfinder import LEVEL, convert_pathfinder
from ._lra_text import convert_listops, convert_retrieval, convert_text

_RELEASE = RemoteFile(
    "lra_release.gz",
    "https://storage.googleapis.com/long-range-arena/lra_release.gz",
    None,  # none is published
)
_REVIEWS = RemoteFile(
    "aclImdb_v1.tar.gz",
    "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    "md5:7c2ac02c03563afcf9b574c7e56c153a",
)
_ARENA = """\
A task of the Long Range Arena: Y. Tay et al., "Long Range Arena: a benchmark for efficient
transformers", ICLR 2021, as the code of S4 reads it.
"""


def _source(task: str, title: str, text: str, folder: str, convert, **options) -> ArraySource:
    """Return the source of a task, which is in a folder of the common archive."""
    return ArraySource(
        **{
            "name": "lra",
            "part": task,
            "descr": f"{title}\n{'-' * len(title)}\n\n{text}\n{_ARENA}",
            "subsets": ("train", "valid", "test"),
            "archives": {"release": _RELEASE},
            "convert": convert,
            "wanted": lambda name: folder in name,
            "keep": True,
            **options,
        }
    )


def _pathfinder(size: int) -> ArraySource:
    """Return the source of images of a size."""
    return _source(
        f"pathfinder{size}",
        f"Pathfinder of {size} × {size} pixels",
        "Images of dashed curves, of which one connects two dots or none does. D. Linsley et al.,\n"
        '"Learning long-range spatial dependencies with horizontal gated recurrent units", 2018.',
        f"pathfinder{size}/{LEVEL}/",
        partial(convert_pathfinder, size=size),
    )


_SOURCES = {
    "listops": _source(
        "listops",
        "ListOps",
        "Nested operations on lists of digits. N. Nangia and S. R. Bowman, 2018.",
        "listops-1000/basic_",
        convert_listops,
    ),
    "text": _source(
        "text",
        "Text",
        'Opinions in reviews of films, character by character. A. L. Maas et al., "Learning word\n'
        'vectors for sentiment analysis", ACL 2011.',
        "",
        convert_text,
        subsets=("train", "test"),
        archives={"reviews": _REVIEWS},
        wanted=lambda name: "unsup" not in name,
        keep=False,
    ),
    "retrieval": _source(
        "retrieval",
        "Retrieval",
        "Whether of two papers one cites the other, character by character, from the ACL\n"
        "Anthology Network. D. R. Radev et al., 2013.",
        "new_aan_pairs.",
        convert_retrieval,
    ),
    **{f"pathfinder{size}": _pathfinder(size) for size in (32, 64, 128, 256)},
}


def fetch_lra(
    *,
    task="listops",
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
):
    """Load a task of the Long Range Arena; download it if it is not there.

    ====================   =======   ==========================   ======
    Task                   Classes   Sequences                    Steps
    ====================   =======   ==========================   ======
    "listops"                   10   96,000 + 2,000 + 2,000       < 2001
    "text"                       2   25,000 + 25,000 of test      < 4097
    "retrieval"                  2   147,086 + 18,090 + 17,437    < 4001
    "pathfinder32"               2   160,000 + 20,000 + 20,000     1,024
    "pathfinder64"               2   160,000 + 20,000 + 20,000     4,096
    "pathfinder128"              2   160,000 + 20,000 + 20,000    16,384
    "pathfinder256"              2   160,000 + 20,000 + 20,000    65,536
    ====================   =======   ==========================   ======

    "pathfinder32" is the task "Pathfinder" of [1]_ and "pathfinder128" is "Path-X"; "Image" is
    :func:`fetch_scifar`. The images need Pillow: ``pip install "skspike[io]"``.

    Parameters
    ----------
    task : str, default="listops"
        One of the tasks above.
    subset : {"train", "valid", "test", "all"}, default="train"
        Which part; "text" has none to validate.
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

        data : ndarray
            Mapped into memory: of text, an object array of shape (n_samples,) of uint8 arrays of
            shape (n_tokens,), numbers of tokens; for "retrieval" of shape (n_samples, 2). Of
            images, a float32 array of shape (n_samples, n_pixels, 1), from 0 to 1, row by row.
        target : ndarray of shape (n_samples,)
            The numbers of the classes.
        target_names : ndarray of str of shape (n_classes,)
            The names of the classes.
        vocabulary : ndarray of str of shape (n_different_tokens,)
            The tokens by their numbers; not of images.
        filenames : ndarray of str of shape (n_samples,)
            The files of the archive; of images only.
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
    make_listops : Invents expressions of any length by the same grammar.
    make_pathfinder_like : Invents similar images of any size.

    Notes
    -----
    All but "text" are in one archive of 7.7 GB. It stays in the folder "lra" for the other tasks:
    remove "lra_release.gz" when you have what you need. No checksum of it is published, so that
    what comes is checked only for its length, and by the checksums inside when it is unpacked. Its
    server has been seen to refuse; put the file into that folder if you have it from elsewhere.

    All as in the code of S4: a token ``<eos>`` ends each text. "listops" has the vocabulary of
    :func:`make_listops`; S4 numbers the tokens by their frequency. "text" and "retrieval" are
    characters, numbered from 3 on by their frequency in the training set, cut to 4,096 and to 4,000
    with the end; those that come fewer than 15 times in "text" are ``<unk>``. "pathfinder32" and
    its like are the hardest of three levels, split 80 : 10 : 10 by the random permutation of S4.

    For "text" S4, like the Long Range Arena, validates on the test set, so that published results
    are of the best epoch of many on it. Split the training set to be fair, and expect less.

    References
    ----------
    .. [1] Y. Tay et al., "Long Range Arena: a benchmark for efficient transformers",
       International Conference on Learning Representations, 2021.

    Examples
    --------
    >>> from skspike.datasets import fetch_lra
    >>> listops = fetch_lra(task="listops", subset="valid")  # doctest: +SKIP
    >>> listops.data.shape, len(listops.vocabulary)  # doctest: +SKIP
    ((2000,), 18)
    """
    owner = "fetch_lra"
    check_choice(owner, "task", task, _SOURCES)
    source = _SOURCES[task]
    loaded = fetch_arrays(
        owner,
        source,
        subset,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    if task == "retrieval":
        loaded["data"] = loaded["data"].reshape(-1, 2)
    if return_X_y:
        return loaded["data"], loaded["target"]
    return Bunch(**loaded, DESCR=source.descr)
