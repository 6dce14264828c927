"""What all fetchers share: download an archive once, convert it once, map the result."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from sklearn.utils import Bunch

from .._events import EventCollection
from .._validation import check_choice, check_number
from ..exceptions import DownloadError
from ..io import read_events
from ._cache import join_caches, open_cache, scratch_folder, write_cache
from ._data_home import get_data_home
from ._download import download, has_checksum
from ._extract import extract_archive
from ._lock import locked

_Add = Callable[[EventCollection], None]


@dataclass(frozen=True)
class RemoteFile:
    """An archive on a server: its name here, its URL, and its checksum where one is known.

    Without a URL, somebody has to put it there. It is unpacked once for all subsets that it holds;
    `member` is the place in it of this one, a folder or another archive.
    """

    name: str
    url: str | None
    checksum: str | None
    member: str = ""
    by_hand: str = ""  # where people can get it, to complete "Get it ..."


@dataclass(frozen=True)
class Source:
    """A data set: an archive for each official subset, and how to convert one.

    `convert` gets the folder of the unpacked subset and a function that takes collections, one
    after the other. It returns what it knows of their recordings: `target`, `target_names`, ...
    """

    name: str
    descr: str
    archives: dict[str, RemoteFile]
    convert: Callable[[Path, _Add], dict[str, np.ndarray]]


def fetch(owner: str, source: Source, subset: str, return_X_y: bool, **options):
    """Return a subset of a data set in the manner of scikit-learn's fetchers."""
    check_choice(owner, "subset", subset, (*source.archives, "all"))
    check_number(owner, "n_retries", options["n_retries"], 0, integer=True)
    check_number(owner, "delay", options["delay"], 0)
    cache = _find(owner, source, subset, **options)
    data, labels = open_cache(cache)
    if return_X_y:
        return data, labels["target"]
    return Bunch(data=data, DESCR=source.descr, **{"groups": None, **labels})


def _find(
    owner: str, source: Source, subset: str, data_home, download_if_missing, verbose, **options
) -> Path:
    """Return the folder of a subset, converted if it is not yet."""
    home = Path(get_data_home(data_home)) / source.name
    cache = home / subset
    if cache.exists():
        return cache
    names = [subset] if subset in source.archives else [*source.archives]
    remotes = [source.archives[name] for name in names if not (home / name).exists()]
    missing = {remote.name: remote for remote in remotes}.values()  # several may be one archive
    if not download_if_missing and not all(_is_here(remote, home) for remote in missing):
        raise FileNotFoundError(
            f"Data not found and 'download_if_missing' of {owner} is False: "
            f"{str(cache)!r} is not there."
        )
    home.mkdir(exist_ok=True)
    with locked(home / ".lock"):
        for name in names:
            if not (home / name).exists():
                remote = source.archives[name]
                archive = _get(remote, home / remote.name, verbose=verbose, **options)
                _Conversion(source, archive, verbose).run(home / name)
                if remote.url:  # else nobody could get it again
                    archive.unlink()
        if not cache.exists():
            join_caches([home / name for name in names], cache)
    return cache


def _is_here(remote: RemoteFile, home: Path) -> bool:
    """Tell whether an archive is there, whole as far as its checksum is known."""
    path = home / remote.name
    return has_checksum(path, remote.checksum) if remote.checksum else path.exists()


def _get(remote: RemoteFile, target: Path, **options) -> Path:
    """Return the path of an archive, downloaded if it is not there yet."""
    hint = f"Get it {remote.by_hand}, and put it at {str(target)!r}."
    if remote.url is None:
        if not target.exists():
            raise DownloadError(f"{remote.name} cannot be downloaded. {hint}")
        return target
    try:
        return download(remote.url, target, checksum=remote.checksum, **options)
    except DownloadError as error:
        if target.exists():
            hint = f"{str(target)!r} is there, and has another checksum than {remote.checksum!r}."
        elif not remote.by_hand:
            raise
        raise DownloadError(f"{error} {hint}") from error


class _Conversion:
    """An archive on its way to a folder for each of its subsets."""

    def __init__(self, source: Source, archive: Path, verbose) -> None:
        self.source, self.archive, self.verbose = source, archive, verbose

    def run(self, cache: Path) -> None:
        """Convert the subset of a folder, and all others that are in the archive."""
        with scratch_folder(cache) as scratch:
            self._tell("unpacking")
            extract_archive(self.archive, scratch / "files")
            for name, remote in self.source.archives.items():
                folder = cache.with_name(name)
                if remote.name == self.archive.name and not folder.exists():
                    self._convert(self._open(scratch / "files" / remote.member), folder, scratch)

    def _open(self, member: Path) -> Path:
        """Return the folder of a subset, which may be in an archive within the archive."""
        if member.is_file():
            extract_archive(member, member.with_suffix(""))
            member = member.with_suffix("")
        if not member.is_dir():
            raise DownloadError(f"{str(self.archive)!r} must hold {member.name!r}. Got none.")
        return member

    def _convert(self, files: Path, cache: Path, scratch: Path) -> None:
        """Write the recordings of a folder to one that is mapped into memory."""
        parts: list[EventCollection] = []

        def add(X: EventCollection) -> None:
            """Put recordings on the disk: all together may not fit in memory."""
            X.save(parts_folder / f"{len(parts)}")
            parts.append(EventCollection.open(parts_folder / f"{len(parts)}"))
            self._tell(f"{sum(map(len, parts)):,} recordings converted")

        with scratch_folder(scratch / cache.name) as parts_folder:
            labels = self.source.convert(files, add)
            n = sum(map(len, parts))
            if n != len(labels["target"]):
                raise ValueError(
                    f"{str(self.archive)!r} must hold {len(labels['target'])} recordings, one for "
                    f"each label. Got {n} instead."
                )
            write_cache(cache, parts, labels)

    def _tell(self, what: str) -> None:
        """Print how far it is."""
        if self.verbose:
            print(f"{self.archive}: {what}", file=sys.stderr)


def list_files(files: Path, suffix: str) -> list[str]:
    """Return the paths of recordings, relative to their folder and sorted; no hidden ones."""
    paths = [path for path in files.rglob(f"*{suffix}") if not path.name.startswith(".")]
    return sorted(path.relative_to(files).as_posix() for path in paths)


def convert_files(
    files: Path, add: _Add, sensor_size, batch: int, suffix: str = ".bin"
) -> dict[str, np.ndarray]:
    """Convert a folder with a sub-folder of recordings for each class, some at a time."""
    names = list_files(files, suffix)
    if not names:
        raise DownloadError(f"The archive must hold files that end in {suffix!r}. Got none.")
    for start in range(0, len(names), batch):
        paths = [files / name for name in names[start : start + batch]]
        add(read_events(paths, sensor_size=sensor_size, errors="salvage"))
    classes = [PurePosixPath(name).parent.name for name in names]
    target_names, target = np.unique(classes, return_inverse=True)
    return {"target": target, "target_names": target_names, "filenames": np.array(names)}
