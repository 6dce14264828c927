"""What the fetchers of sequences share: download once, convert to arrays once, map the result."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._validation import check_choice, check_number
from ..exceptions import DownloadError
from ._cache import scratch_folder
from ._data_home import get_data_home
from ._download import download, has_checksum
from ._extract import extract_archive
from ._fetch import RemoteFile
from ._lock import locked
from ._ragged import split

_SMALL = 2**20  # bytes up to which an array is read rather than mapped
_SHARED = ("target_names", "vocabulary")  # the same in all subsets


class Store:
    """A folder of arrays for each subset, while it is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, subset: str, name: str, shape: tuple[int, ...], dtype) -> np.ndarray:
        """Return an array of zeros on the disk, to be filled."""
        return np.lib.format.open_memmap(self._path(subset, name), "w+", dtype, shape)

    def save(self, subset: str, **arrays) -> None:
        """Write arrays."""
        for name, array in arrays.items():
            np.save(self._path(subset, name), array)

    def _path(self, subset: str, name: str) -> Path:
        (self._folder / subset).mkdir(parents=True, exist_ok=True)
        return self._folder / subset / f"{name}.npy"


@dataclass(frozen=True)
class ArraySource:
    """A data set of sequences: files on servers, and how to convert them.

    `convert` gets, by name, the folders of the unpacked archives, or with ``unpack=False`` the
    files themselves, and writes `data` and the like to a store, for each of the `subsets`. An array
    `offsets` tells that `data` is flat, and where its sequences begin. Of an archive only the
    members that are `wanted` are unpacked; with ``keep=True`` it stays, for other parts of it.
    """

    name: str
    descr: str
    subsets: tuple[str, ...]
    archives: dict[str, RemoteFile]
    convert: Callable[[dict[str, Path], Store], None]
    part: str = "arrays"
    unpack: bool = True
    wanted: Callable[[str], bool] | None = None
    keep: bool = False


def fetch_arrays(
    owner: str, source: ArraySource, subset: str, *, without: str | None = None, **options
) -> dict[str, np.ndarray]:
    """Return the arrays of a subset by their names; those of "all" are one after the other."""
    check_choice(owner, "subset", subset, (*source.subsets, "all"))
    folder = find_arrays(owner, source, **options)
    subsets = source.subsets if subset == "all" else (subset,)
    parts = [load_arrays(folder / name) for name in subsets]
    return {
        name: array
        if name in _SHARED or len(parts) == 1
        else np.concatenate([part[name] for part in parts])
        for name, array in parts[0].items()
        if name != without
    }


def find_arrays(
    owner: str, source: ArraySource, *, data_home, download_if_missing, n_retries, delay
) -> Path:
    """Return the folder of a data set, downloaded and converted if it is not yet."""
    check_number(owner, "n_retries", n_retries, 0, integer=True)
    check_number(owner, "delay", delay, 0)
    home = Path(get_data_home(data_home)) / source.name
    cache = home / source.part
    if cache.exists():
        return cache
    files = {key: home / remote.name for key, remote in source.archives.items()}
    missing = [k for k, remote in source.archives.items() if not _is_here(files[k], remote)]
    if missing and not download_if_missing:
        raise FileNotFoundError(
            f"Data not found and 'download_if_missing' of {owner} is False: "
            f"{str(cache)!r} is not there."
        )
    home.mkdir(exist_ok=True)
    with locked(home / ".lock"):
        if not cache.exists():
            for key in missing:
                remote = source.archives[key]
                download(
                    remote.url,
                    files[key],
                    checksum=remote.checksum,
                    n_retries=n_retries,
                    delay=delay,
                )
            _convert(source, files, cache)
    return cache


def _is_here(path: Path, remote: RemoteFile) -> bool:
    """Tell whether a file is there, whole as far as one can know."""
    return has_checksum(path, remote.checksum)


def _convert(source: ArraySource, files: dict[str, Path], cache: Path) -> None:
    """Write the arrays, give them their name when they are complete, and remove the archives."""
    with scratch_folder(cache) as scratch:
        found = dict(files)
        if source.unpack:
            found = {key: scratch / "files" / key for key in files}
            for key, folder in found.items():
                extract_archive(files[key], folder, source.wanted)
        source.convert(found, Store(scratch / "whole"))
        os.replace(scratch / "whole", cache)
    if not source.keep:
        for path in files.values():
            path.unlink()


def find_member(folder: Path, pattern: str) -> Path:
    """Return the first member of an unpacked archive that has a name."""
    for path in sorted(folder.rglob(pattern)):
        return path
    raise DownloadError(f"The archive {folder.name!r} must have a member {pattern!r}. Got none.")


def load_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a folder, the large ones mapped into memory."""
    arrays = {path.stem: _load(path) for path in sorted(folder.glob("*.npy"))}
    if "offsets" in arrays:
        arrays["data"] = split(arrays["data"], np.diff(arrays.pop("offsets")))
    return arrays


def _load(path: Path) -> np.ndarray:
    """Map an array, or read it if it is small."""
    if path.stat().st_size < _SMALL:
        return np.load(path, allow_pickle=False)
    return np.load(path, mmap_mode="r", allow_pickle=False)
