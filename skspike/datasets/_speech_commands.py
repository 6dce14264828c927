"""Fetch Speech Commands."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._validation import check_choice
from ..exceptions import DownloadError
from ._fetch import RemoteFile
from ._fetch_arrays import ArraySource, Store, fetch_arrays, find_member

_RATE = 16_000  # samples a second, and the most in a recording
_COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
_LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}


def _convert(folders: dict[str, Path], store: Store) -> None:
    """Convert a folder of recordings for each word, by the lists of the official split."""
    folder = find_member(folders["words"], _LISTS["test"]).parent
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("[!_]*/*.wav"))
    subset_of = dict.fromkeys(names, "train")
    for subset, file in _LISTS.items():
        subset_of |= dict.fromkeys((folder / file).read_text().split(), subset)
    classes = [*_COMMANDS, *sorted({_word(name) for name in names} - {*_COMMANDS})]
    speakers = np.unique([*map(_speaker, names)])
    names.sort(key=lambda name: classes.index(_word(name)))
    for subset in ("train", *_LISTS):
        chosen = [name for name in names if subset_of[name] == subset]
        data = store.create(subset, "data", (len(chosen), _RATE), np.float32)
        pairs = zip(chosen, data, strict=True)
        store.save(
            subset,
            lengths=np.array([_read(folder / name, row) for name, row in pairs]),
            target=np.array([classes.index(_word(name)) for name in chosen]),
            target_names=np.array(classes),
            groups=np.searchsorted(speakers, [*map(_speaker, chosen)]),
            filenames=np.array(chosen),
        )


def _word(name: str) -> str:
    """Return the word of a recording: its folder."""
    return name.partition("/")[0]


def _speaker(name: str) -> str:
    """Return the speaker of a recording, as the name of its file begins."""
    return name.partition("/")[2].partition("_")[0]


def _read(path: Path, row: np.ndarray) -> int:
    """Read a recording, from -1 to 1; return how long it is."""
    with wave.open(str(path), "rb") as file:
        layout = file.getframerate(), file.getnchannels(), file.getsampwidth()
        n_steps = file.getnframes()
        if layout != (_RATE, 1, 2) or n_steps > _RATE:
            raise DownloadError(
                f"{path.name!r} must hold at most {_RATE} samples at {_RATE} Hz, of 1 channel and "
                f"2 bytes. Got {n_steps} samples at {layout[0]} Hz, of {layout[1]} channels and "
                f"{layout[2]} bytes instead."
            )
        row[:n_steps] = np.frombuffer(file.readframes(n_steps), "<i2") / np.float32(2**15)
    return n_steps


_SOURCE = ArraySource(
    name="speech_commands",
    descr="""\
Speech Commands
---------------

One of 35 English words each, spoken by 2,618 people into their own microphones, in a second at
16 kHz. P. Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition",
arXiv:1804.03209, 2018; version 0.02. Under the Creative Commons licence BY 4.0. The groups are the
speakers, of whom each is in one subset only.
""",
    subsets=("train", "valid", "test"),
    archives={
        "words": RemoteFile(
            "speech_commands_v0.02.tar.gz",
            "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        )
    },
    convert=_convert,
)


def fetch_speech_commands(
    *,
    subset="train",
    classes="all",
    pad=True,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    n_retries=3,
    delay=1.0,
):
    """Load Speech Commands, spoken words as raw sound; download it if it is not there.

    =================   ========================================
    Classes                                                   35
    Recordings          84,843 + 9,981 to validate + 11,005 test
    Steps                             16,000 or fewer, at 16 kHz
    =================   ========================================

    Read more in [1]_.

    Parameters
    ----------
    subset : {"train", "valid", "test", "all"}, default="train"
        Which part of the official split; "all" copies them into memory.
    classes : {"all", "sc10"}, default="all"
        Whether to load all words, or the recordings of the ten commands yes, no, up, down, left,
        right, on, off, stop and go, as S4's "SC10" has them.
    pad : bool, default=True
        Whether shorter recordings end in zeros, or are shorter arrays.
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

        data : float32 ndarray of shape (n_samples, 16000, 1)
            The recordings, from -1 to 1, mapped into memory. With ``pad=False`` an object array of
            arrays of shape (n_steps, 1).
        target : ndarray of shape (n_samples,)
            The numbers of the words, by which the recordings are sorted.
        target_names : ndarray of str of shape (n_classes,)
            The words: the ten commands, then the others in the order of the alphabet.
        groups : ndarray of shape (n_samples,)
            The numbers of the speakers.
        lengths : ndarray of shape (n_samples,)
            The number of steps of each recording.
        filenames : ndarray of str of shape (n_samples,)
            The files of the archive, from which the recordings come.
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
    fetch_ssc : The same recordings as spikes of an inner ear.

    Notes
    -----
    The first call downloads 2.4 GB, and takes 7 GB for good and 6 GB more in between. What it got
    of a broken download is kept, and the next call goes on there. Later calls map what is on the
    disk, in no time and without a network.

    S4 pads the recordings with zeros, too, and standardises them by the mean and the standard
    deviation of all samples to train on; that is left to you. Its SC10 has no recordings that are
    shorter than a second (``lengths == 16000``), and a random split of its own, which depends on
    the order of files on the disk and cannot be told again.

    References
    ----------
    .. [1] P. Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition",
       arXiv:1804.03209, 2018.

    Examples
    --------
    >>> from skspike.datasets import fetch_speech_commands
    >>> words = fetch_speech_commands(subset="test")  # doctest: +SKIP
    >>> words.data.shape  # doctest: +SKIP
    (11005, 16000, 1)
    """
    owner = "fetch_speech_commands"
    check_choice(owner, "classes", classes, ("all", "sc10"))
    loaded = fetch_arrays(
        owner,
        _SOURCE,
        subset,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    if classes == "sc10":
        loaded = _take_commands(loaded)
    loaded["data"] = loaded["data"][..., None]
    if not pad:
        loaded["data"] = _cut(loaded["data"], loaded["lengths"])
    if return_X_y:
        return loaded["data"], loaded["target"]
    return Bunch(**loaded, DESCR=_SOURCE.descr)


def _take_commands(loaded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the recordings of the ten commands: without a copy where they come first."""
    names = loaded.pop("target_names")[: len(_COMMANDS)]
    chosen = np.flatnonzero(loaded["target"] < len(_COMMANDS))
    first = len(chosen) == 0 or chosen[-1] == len(chosen) - 1
    rows = slice(len(chosen)) if first else chosen
    return {name: array[rows] for name, array in loaded.items()} | {"target_names": names}


def _cut(data: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return an object array of views without the zeros at the end."""
    sequences = np.empty(len(data), object)
    for i, (row, length) in enumerate(zip(data, lengths, strict=True)):
        sequences[i] = row[:length]
    return sequences
