"""Download a file: resumed where it broke off, and named only when its checksum is right."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from ..exceptions import DownloadError
from ._extract import is_intact
from ._lock import locked
from ._transfer import BrokenOffError, Transfer

_TIMEOUT = 60.0  # s without a byte


def download(url, target, *, checksum, n_retries=3, delay=1.0, timeout=_TIMEOUT, verbose=False):
    """Download a file, unless it is there already.

    Parameters
    ----------
    url : str
        Where the file is.
    target : str or path-like
        Where to put it. The bytes that have come are beside it in ``<target>.part`` until all are
        there and their checksum is right.
    checksum : str or None
        ``"md5:"`` or ``"sha256:"``, and the digest in hexadecimal digits. With None, where none is
        published, an archive is read to its end and compared with the checksums within it; any
        other file is as long as the server says, and no more is known.
    n_retries : int, default=3
        How often to ask again without a single new byte.
    delay : float, default=1.0
        Seconds before the first of these; each next one waits twice as long.
    timeout : float, default=60.0
        Seconds without a byte after which a transfer counts as broken.
    verbose : bool, default=False
        Whether to print how far it is.

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    DownloadError
        If the server cannot be reached, if it answers that there is no such file or with a page
        for people, if the checksum is wrong, or if the disk is full. It is an ``OSError``.

    Notes
    -----
    What is left of a broken download is kept for the next call. Whether it belongs to the file as
    it is now, the checksum tells: if that is wrong after a resumed download, all is loaded anew.

    A page that asks whether to download a large file, as Google Drive sends it, is answered.
    """
    target = Path(target)
    with locked(target.with_name(target.name + ".lock")):
        if has_checksum(target, checksum):
            return target
        part = target.with_name(target.name + ".part")
        if checksum is None and not _is_archive(target):
            part.unlink(missing_ok=True)  # nothing would tell a mixture of two versions
        resumed = _transfer(url, part, n_retries, delay, timeout, verbose)
        if resumed and _fault(part, target, checksum):
            part.unlink()
            _transfer(url, part, n_retries, delay, timeout, verbose)
        if fault := _fault(part, target, checksum):
            part.unlink()
            raise DownloadError(f"The file of {url} {fault}.")
        os.replace(part, target)
    return target


def has_checksum(path: Path, checksum: str | None) -> bool:
    """Tell whether a file is there and is what a checksum says, if there is one."""
    return path.exists() and (checksum is None or _checksum(path, checksum) == checksum.lower())


def _fault(part: Path, target: Path, checksum: str | None) -> str:
    """Return what is wrong with a file that has come, or an empty text."""
    if checksum is None:
        wrong = _is_archive(target) and not is_intact(part)
        return "must be an archive that is whole. Got one that is not" if wrong else ""
    found = _checksum(part, checksum)
    wrong = found != checksum.lower()
    return f"must have the checksum {checksum!r}. Got {found!r} instead" if wrong else ""


def _is_archive(path: Path) -> bool:
    """Tell by its name whether a file is an archive."""
    return path.name.endswith((".zip", ".tar.gz"))


def _checksum(path: Path, like: str) -> str:
    """Return the checksum of a file, made as another one."""
    method = like.partition(":")[0]
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(method, usedforsecurity=False))
    return f"{method}:{found.hexdigest()}"


def _transfer(url: str, part: Path, n_retries: int, delay: float, timeout, verbose) -> bool:
    """Load what a part lacks, asking again as often as may be; tell whether bytes were there."""
    transfer = Transfer(url, part, timeout, verbose)
    resumed = transfer.size() > 0
    most, failures = 0, 0
    while True:
        try:
            transfer.request()
            return resumed
        except BrokenOffError as error:
            failures = 0 if transfer.size() > most else failures + 1
            most = max(transfer.size(), most)
            if failures > n_retries:
                raise DownloadError(f"{url} cannot be downloaded: {error}.") from error
            time.sleep(delay * 2 ** max(failures - 1, 0))
