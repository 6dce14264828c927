"""Unpack an archive, of which no member can leave the folder."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..exceptions import DownloadError

_BLOCK = 2**20  # bytes
_FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # of a member that is encrypted, or packed in a way that zipfile does not know
)


def extract_archive(archive, folder, wanted: Callable[[str], bool] | None = None) -> None:
    """Unpack a zip or tar archive into a folder.

    Members that are links or devices, or that would lie outside of the folder, raise before
    anything is written. Folders are made for their files only: what they are called does not
    matter.

    Parameters
    ----------
    archive : str or path-like
        The archive; a tar archive may be compressed.
    folder : str or path-like
        The folder; it is made if there is none.
    wanted : callable, default=None
        Tells by the name of a member whether to unpack it. By default all are.

    Raises
    ------
    DownloadError
        If the archive is damaged, of another kind, or has a member that must not be written.
    """
    archive, folder = Path(archive), Path(folder)
    try:
        if zipfile.is_zipfile(archive):
            _extract_zip(archive, folder, wanted or _any)
        elif tarfile.is_tarfile(archive):
            _extract_tar(archive, folder, wanted or _any)
        else:
            raise DownloadError(f"{str(archive)!r} must be a zip or a tar archive.")
    except _FAULTS as error:
        raise DownloadError(f"{str(archive)!r} is damaged: {error}.") from error


def extract_inner(folder: Path, depth: int = 1) -> None:
    """Unpack the zip archives in a folder, and those in them; each gives way to its files."""
    for _ in range(depth):
        for archive in sorted(folder.rglob("*.zip")):
            extract_archive(archive, archive.with_suffix(""))
            archive.unlink()


def is_intact(archive: Path) -> bool:
    """Tell whether a zip archive or a gzipped file is whole, by the checksums within it."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                return file.testzip() is None
        with gzip.open(archive) as file:
            while file.read(_BLOCK):
                pass
        return archive.stat().st_size > 0
    except _FAULTS:
        return False


def _any(name: str) -> bool:
    """Want every member."""
    return True


def _extract_zip(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> None:
    """Unpack a zip archive."""
    with zipfile.ZipFile(archive) as file:
        # Dropbox packs a folder with a member "/".
        members = [member for member in file.infolist() if not member.is_dir()]
        for member in members:
            _check(archive, member.filename, plain=member.external_attr >> 28 != 0xA)
        folder.mkdir(parents=True, exist_ok=True)
        for member in members:
            if wanted(member.filename):
                with file.open(member) as source:
                    _copy(source, folder / member.filename)


def _extract_tar(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> None:
    """Unpack a tar archive."""
    with tarfile.open(archive) as file:
        members = file.getmembers()
        for member in members:
            _check(archive, member.name, plain=member.isfile() or member.isdir())
        folder.mkdir(parents=True, exist_ok=True)
        for member in members:
            if member.isfile() and wanted(member.name):
                _copy(file.extractfile(member), folder / member.name)


def _check(archive: Path, name: str, plain: bool) -> None:
    """Raise unless a member is a file or a folder below the folder."""
    paths = (PurePosixPath(name), PureWindowsPath(name))
    outside = any(path.anchor or ".." in path.parts for path in paths)
    if outside or not plain:
        got = "a name outside of the folder" if outside else "a link or a device"
        raise DownloadError(
            f"The members of {str(archive)!r} must be files and folders. "
            f"Got {name!r}, which is {got}."
        )


def _copy(source, target: Path) -> None:
    """Write a member to its file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as file:
        shutil.copyfileobj(source, file)
