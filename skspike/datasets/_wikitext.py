"""Fetch WikiText."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._validation import check_choice
from ._fetch import RemoteFile
from ._fetch_arrays import ArraySource, Store, find_arrays, find_member, load_arrays

_URL = "https://wikitext.smerity.com"
_SUBSETS = ("train", "valid", "test")
_EOS, _UNK = "<eos>", "<unk>"


def _convert(folders: dict[str, Path], store: Store) -> None:
    """Number the words of the three files."""
    paths = {s: find_member(folders["tokens"], f"wiki.{s}.tokens") for s in _SUBSETS}
    counts = Counter(word for line in _read(paths["train"]) for word in line)
    counts.pop(_EOS, None)
    words = [_EOS, *(word for word, _ in counts.most_common())]
    numbers = {word: i for i, word in enumerate(words)}
    for subset, path in paths.items():
        store.save(subset, data=_number(path, numbers))
    store.save("train", vocabulary=np.array(words))


def _read(path: Path) -> Iterator[list[str]]:
    """Yield the words of each line."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield line.split()


def _number(path: Path, numbers: dict[str, int]) -> np.ndarray:
    """Return a file as numbers of words, with one more at the end of each line."""
    found = array("i")
    unknown = numbers.get(_UNK, numbers[_EOS])
    for line in _read(path):
        found.extend(numbers.get(word, unknown) for word in line)
        found.append(numbers[_EOS])
    return np.frombuffer(found, np.int32)


def _source(version: str, checksum: str) -> ArraySource:
    """Return the source of a version."""
    archive = RemoteFile(
        f"wikitext-{version}-v1.zip", f"{_URL}/wikitext-{version}-v1.zip", checksum
    )
    return ArraySource(
        name=f"wikitext{version}",
        descr=f"""\
WikiText-{version}
-----------

Good and featured articles of the English Wikipedia, word by word. Rare words are "<unk>", and
"<eos>" stands at the end of each line. S. Merity, C. Xiong, J. Bradbury and R. Socher, "Pointer
sentinel mixture models", ICLR 2017. Under the Creative Commons licence CC BY-SA.
""",
        subsets=_SUBSETS,
        archives={"tokens": archive},
        convert=_convert,
    )


_SOURCES = {
    "2": _source("2", "md5:542ccefacc6c27f945fb54453812b3cd"),
    "103": _source("103", "md5:9ddaacaf6af0710eda8c456decff7832"),
}


def fetch_wikitext(
    *,
    version="2",
    data_home=None,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
):
    """Load WikiText, articles word by word; download it if it is not there.

    ============   ==========   =============
    Version               "2"           "103"
    Words           2,088,628     103,227,021
    to validate       217,646         217,646
    to test           245,569         245,569
    Vocabulary         33,278         267,735
    ============   ==========   =============

    Read more in [1]_.

    Parameters
    ----------
    version : {"2", "103"}, default="2"
        The small one, or the large one of about 103 million words.
    data_home : str or path-like, default=None
        The folder of downloaded data sets. By default that of :func:`get_data_home`.
    download_if_missing : bool, default=True
        Whether to download what is not there, or to raise.
    n_retries : int, default=3
        How often to ask the server again when it does not answer, or sends nothing more.
    delay : float, default=1.0
        Seconds to wait before the first of these; each next one waits twice as long.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with the attributes

        train : int32 ndarray of shape (n_words,)
            The text to train on, as numbers of words, mapped into memory.
        valid : int32 ndarray of shape (n_words,)
            The text to validate on.
        test : int32 ndarray of shape (n_words,)
            The text to test on.
        vocabulary : ndarray of str of shape (n_different_words,)
            The words by their numbers.
        DESCR : str
            A description.

    Raises
    ------
    FileNotFoundError
        If the data set is not there and `download_if_missing` is False. It is an ``OSError``.
    DownloadError
        If it cannot be downloaded, or if what came is not what it should be. It is an ``OSError``.

    Notes
    -----
    Words are what white space separates, and a word ``<eos>`` stands at the end of each line, the
    empty ones included. Number 0 is ``<eos>``; the others follow by falling frequency in the text
    to train on, as adaptive softmax needs it, the first to appear first among equally frequent
    ones. That is the vocabulary of Transformer-XL, which S4 took over. Rare words are ``<unk>`` in
    the files already.

    The first call downloads and converts; that takes about a minute for version "103". What it
    got of a broken download is kept, and the next call goes on there. Later calls map what is on
    the disk, in no time and without a network. The address is that of an author of WikiText; the
    former one no longer answers.

    References
    ----------
    .. [1] S. Merity, C. Xiong, J. Bradbury and R. Socher, "Pointer sentinel mixture models",
       International Conference on Learning Representations, 2017.

    Examples
    --------
    >>> from skspike.datasets import fetch_wikitext
    >>> text = fetch_wikitext()  # doctest: +SKIP
    >>> text.vocabulary[text.valid[:6]].tolist()  # doctest: +SKIP
    ['<eos>', '=', 'Homarus', 'gammarus', '=', '<eos>']
    """
    owner = "fetch_wikitext"
    check_choice(owner, "version", version, _SOURCES)
    source = _SOURCES[version]
    folder = find_arrays(
        owner,
        source,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    subsets = {name: load_arrays(folder / name) for name in source.subsets}
    vocabulary = subsets["train"]["vocabulary"]
    texts = {name: arrays["data"] for name, arrays in subsets.items()}
    return Bunch(**texts, vocabulary=vocabulary, DESCR=source.descr)
