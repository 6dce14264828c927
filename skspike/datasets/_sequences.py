"""What fetchers of long recordings with dense labels share: some sequences of many, converted once.

The files of a sequence are kept as they came, and those that are asked for are converted together
into a folder that is mapped into memory. Nothing that is as large as a recording is in memory.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._events import EventCollection
from .._validation import check_choice, check_number
from ._cache import scratch_folder
from ._data_home import get_data_home
from ._download import download, has_checksum
from ._fetch import RemoteFile
from ._growing import GrowingFolder
from ._lock import locked


@dataclass(frozen=True)
class Step:
    """The conversion of one sequence."""

    name: str
    home: Path  # holds the files as they came
    files: Path  # a folder for labels that stay files, which is not there yet
    scratch: Path  # a folder for what is not kept, which is not there yet
    cameras: dict[str, GrowingFolder]  # by the name of the attribute that holds their recordings


@dataclass(frozen=True)
class Sequences:
    """Sequences of a data set: which, of which files, and how to convert one.

    `remotes` gets the folder of the data set and returns the files to have before converting; it
    raises if some must be brought by the user and are not there. `convert` appends events to the
    cameras, and returns what it knows of the sequence: `target`, `filenames`, ... Of these a Path
    below `Step.files` is an array to map into memory if it ends in ``.npy``; others, and lists of
    them, name files.
    """

    name: str
    descr: str
    sensor_size: tuple[int, int]
    names: list[str]
    variant: str  # what is converted of them; a part of the name of the folder
    remotes: Callable[[Path], list[RemoteFile]]
    convert: Callable[[Step], dict]
    cameras: tuple[str, ...] = ("data",)
    target_names: tuple[str, ...] | None = None  # of the classes of labels, if they have any


def choose_sequences(owner: str, subsets: dict, subset: str, sequences) -> list[str]:
    """Return the names of sequences of a subset: those asked for, or all."""
    check_choice(owner, "subset", subset, (*subsets, "all"))
    chosen = [subsets[subset]] if subset in subsets else subsets.values()
    known = {name: None for names in chosen for name in names}
    if sequences is None:
        return [*known]
    names = name_list(owner, sequences)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"The 'sequences' parameter of {owner} must name sequences of the subset {subset!r}, "
            f"such as {next(iter(known))!r}. Got {unknown[0]!r} instead."
        )
    return names


def name_list(owner: str, sequences) -> list[str]:
    """Return one or more names as a list, or raise unless they are different names."""
    names = [sequences] if isinstance(sequences, str) else sequences
    right = isinstance(names, list | tuple | np.ndarray) and all(isinstance(n, str) for n in names)
    if not right or not len(names) or len({*names}) < len(names):
        raise ValueError(
            f"The 'sequences' parameter of {owner} must be a name or different names. "
            f"Got {sequences!r} instead."
        )
    return [str(name) for name in names]


def fetch_sequences(
    owner: str,
    source: Sequences,
    return_X_y: bool,
    *,
    data_home,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
    verbose=False,
):
    """Return sequences in the manner of scikit-learn's fetchers."""
    check_number(owner, "n_retries", n_retries, 0, integer=True)
    check_number(owner, "delay", delay, 0)
    home = home_of(source.name, data_home)
    cache = home / _key(source)
    if not cache.exists():
        remotes = source.remotes(home)
        _check_missing(owner, home, remotes, download_if_missing)
        home.mkdir(exist_ok=True)
        with locked(home / ".lock"):
            for remote in remotes:
                target, options = home / remote.name, {"n_retries": n_retries, "delay": delay}
                download(remote.url, target, checksum=remote.checksum, verbose=verbose, **options)
            if not cache.exists():
                _convert(owner, source, home, cache, verbose)
    return _load(source, cache, return_X_y)


def home_of(name: str, data_home) -> Path:
    """Return the folder of a data set."""
    return Path(get_data_home(data_home)) / name


def _key(source: Sequences) -> str:
    """Return the name of the folder of what is converted."""
    digest = hashlib.sha256("\n".join(source.names).encode()).hexdigest()
    return f"{source.variant}-{digest[:12]}"


def _check_missing(owner: str, home: Path, remotes: list[RemoteFile], download_if_missing) -> None:
    """Raise if files are missing that may not be downloaded."""
    if download_if_missing:
        return
    for remote in remotes:
        if not has_checksum(home / remote.name, remote.checksum):
            raise FileNotFoundError(
                f"Data not found and 'download_if_missing' of {owner} is False: "
                f"{str(home / remote.name)!r} is not there."
            )


def _convert(owner: str, source: Sequences, home: Path, cache: Path, verbose: bool) -> None:
    """Write what the files of sequences hold to a folder, which gets its name at the end."""
    labels: dict[str, list] = {}
    with scratch_folder(cache) as scratch:
        whole = scratch / "whole"
        with ExitStack() as stack:
            folders = {
                name: GrowingFolder(whole / name, source.sensor_size) for name in source.cameras
            }
            for folder in folders.values():
                stack.enter_context(folder)
            for i, name in enumerate(source.names):
                if verbose:
                    place = f"sequence {i + 1} of {len(source.names)}"
                    print(f"{owner}: {place}: {name}", file=sys.stderr)
                step = Step(name, home, whole / "files" / name, scratch / name, folders)
                for key, value in _convert_sequence(source, step).items():
                    labels.setdefault(key, []).append(value)
        np.savez(whole / "labels.npz", **dict(_flat(labels, whole)))
        os.replace(whole, cache)


def _convert_sequence(source: Sequences, step: Step) -> dict:
    """Convert a sequence; return what is known of it."""
    labels = source.convert(step)
    for folder in step.cameras.values():
        folder.end_recording()
    shutil.rmtree(step.scratch, ignore_errors=True)
    return labels


def _flat(labels: dict[str, list], root: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield labels, of which each is a list over sequences, as arrays with names."""
    for key, values in labels.items():
        for i, value in enumerate(values):
            kind, array = _flat_value(value, root)
            yield f"{key}/{i}{kind}", array
            for name in value if kind == "@dict" else ():
                yield f"{key}/{i}/{name}", np.asarray(value[name])


def _flat_value(value, root: Path) -> tuple[str, np.ndarray]:
    """Return a label as an array, and an end of its name that says how to read it."""
    if value is None or isinstance(value, dict):
        return "@none" if value is None else "@dict", np.empty(0)
    if isinstance(value, Path):
        kind = "@map" if value.suffix == ".npy" else "@files"
        return kind, np.array(value.relative_to(root).as_posix())
    if isinstance(value, list):
        return "@files", np.array([path.relative_to(root).as_posix() for path in value], str)
    return "", np.asarray(value)


def _load(source: Sequences, cache: Path, return_X_y: bool):
    """Map what was converted."""
    labels = _read_labels(cache)
    cameras = {camera: EventCollection.open(cache / camera) for camera in source.cameras}
    if return_X_y:
        return cameras["data"], labels["target"]
    names = None if source.target_names is None else np.array(source.target_names)
    return Bunch(**cameras, **labels, target_names=names, DESCR=source.descr)


def _read_labels(cache: Path) -> dict:
    """Return labels as they were given to `_flat`; what are numbers or names, as arrays."""
    labels: dict = {}
    with np.load(cache / "labels.npz", allow_pickle=False) as file:
        for stored in file.files:
            name, _, kind = stored.partition("@")
            key, i, *rest = name.split("/")
            value = _read_value(kind, file[stored], cache)
            if rest:
                labels[key][int(i)][rest[0]] = value
            else:
                labels.setdefault(key, []).append(value)
    for key, values in labels.items():
        if all(isinstance(value, np.ndarray) and value.ndim == 0 for value in values):
            labels[key] = np.array(values)
    return labels


def _read_value(kind: str, array: np.ndarray, cache: Path):
    """Return a label as it was given to `_flat_value`, but for Paths what they lead to."""
    if kind in ("none", "dict"):
        return None if kind == "none" else {}
    if kind == "map":
        return np.load(cache / str(array), mmap_mode="r", allow_pickle=False)
    if kind == "files":
        paths = [str(cache / name) for name in array.reshape(-1).tolist()]
        return np.array(paths, str).reshape(array.shape)
    return array
