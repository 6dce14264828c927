"""What all fetchers share: download an archive once, convert it once, map the result."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._event_folder import write_folder
from .._events import EventCollection
from .._validation import check_choice, check_number
from ..io import read_events
from ._data_home import get_data_home
from ._download import download, has_checksum
from ._extract import extract_archive
from ._lock import locked

_Add = Callable[[EventCollection], None]


@dataclass(frozen=True)
class RemoteFile:
    """An archive on a server: its name here, its URL and its checksum."""

    name: str
    url: str
    checksum: str


@dataclass(frozen=True)
class Source:
    """A data set: an archive for each official subset, and how to convert one.

    `convert` gets the folder of the unpacked archive and a function that takes collections, one
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
    data = EventCollection.open(cache / "events")
    with np.load(cache / "labels.npz", allow_pickle=False) as file:
        labels = dict(file)
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
    missing = [source.archives[name] for name in names if not (home / name).exists()]
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
                target = home / remote.name
                download(remote.url, target, checksum=remote.checksum, verbose=verbose, **options)
                _convert(source, target, home / name, verbose)
                target.unlink()
        if not cache.exists():
            _join([home / name for name in names], cache)
    return cache


def _is_here(remote: RemoteFile, home: Path) -> bool:
    """Tell whether an archive is there, whole."""
    return has_checksum(home / remote.name, remote.checksum)


def _convert(source: Source, archive: Path, cache: Path, verbose) -> None:
    """Write what an archive holds to a folder that is mapped into memory."""
    parts: list[EventCollection] = []

    def tell(what: str) -> None:
        """Print how far it is."""
        if verbose:
            print(f"{archive}: {what}", file=sys.stderr)

    def add(X: EventCollection) -> None:
        """Put recordings on the disk: all together may not fit in memory."""
        X.save(scratch / f"part{len(parts)}")
        parts.append(EventCollection.open(scratch / f"part{len(parts)}"))
        tell(f"{sum(map(len, parts)):,} recordings converted")

    with _scratch(cache) as scratch:
        tell("unpacking")
        extract_archive(archive, scratch / "files")
        labels = source.convert(scratch / "files", add)
        n = sum(map(len, parts))
        if n != len(labels["target"]):
            raise ValueError(
                f"{str(archive)!r} must hold {len(labels['target'])} recordings, one for each "
                f"label. Got {n} instead."
            )
        _write(scratch, parts, labels, cache)


def _join(caches: list[Path], cache: Path) -> None:
    """Write a folder of several, one after the other."""
    every = []
    for folder in caches:
        with np.load(folder / "labels.npz", allow_pickle=False) as file:
            every.append(dict(file))
    labels = {
        name: every[0][name]
        if name == "target_names"
        else np.concatenate([labels[name] for labels in every])
        for name in every[0]
        if all(name in labels for labels in every)
    }
    with _scratch(cache) as scratch:
        _write(scratch, [EventCollection.open(f / "events") for f in caches], labels, cache)


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    """Make a folder beside another for what is written on the way to it."""
    scratch = cache.with_name(f".{cache.name}")
    shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Chain:
    """Collections one after the other, without a copy."""

    def __init__(self, parts: list[EventCollection]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[np.ndarray]:
        for part in self._parts:
            yield from part


def _write(scratch: Path, parts: list[EventCollection], labels: dict, cache: Path) -> None:
    """Write events and labels, and give them their name when they are complete."""
    whole = scratch / "whole"
    write_folder(whole / "events", _Chain(parts), parts[0].sensor_size, False)
    np.savez(whole / "labels.npz", **labels)
    os.replace(whole, cache)


def convert_files(
    files: Path, add: _Add, sensor_size, batch: int, suffix: str = ".bin"
) -> dict[str, np.ndarray]:
    """Convert a folder with a sub-folder of recordings for each class, some at a time."""
    paths = [path for path in files.rglob(f"*{suffix}") if not path.name.startswith(".")]
    names = sorted(path.relative_to(files).as_posix() for path in paths)
    for start in range(0, len(names), batch):
        paths = [files / name for name in names[start : start + batch]]
        add(read_events(paths, sensor_size=sensor_size, errors="salvage"))
    classes = [name.split("/")[-2] for name in names]
    target_names, target = np.unique(classes, return_inverse=True)
    return {"target": target, "target_names": target_names, "filenames": np.array(names)}
