"""What a fetcher keeps on the disk: a folder of events and labels, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .._event_folder import write_folder
from .._events import EventCollection

_Labels = dict[str, np.ndarray]


def open_cache(cache: Path) -> tuple[EventCollection, _Labels]:
    """Return the recordings of a folder, mapped into memory, and what is known of them."""
    with np.load(cache / "labels.npz", allow_pickle=False) as file:
        labels = dict(file)
    return EventCollection.open(cache / "events"), labels


def write_cache(cache: Path, parts: list[EventCollection], labels: _Labels) -> None:
    """Write collections, one after the other, and labels; the folder gets its name when done."""
    with scratch_folder(cache.with_name(f"{cache.name}.whole")) as whole:
        write_folder(whole / "events", _Chain(parts), parts[0].sensor_size, False)
        np.savez(whole / "labels.npz", **labels)
        os.replace(whole, cache)


def join_caches(caches: list[Path], cache: Path) -> None:
    """Write a folder of several, one after the other."""
    parts, every = zip(*map(open_cache, caches), strict=True)
    every = _number_alike(every)
    labels = {
        name: every[0][name]
        if name == "target_names"
        else np.concatenate([labels[name] for labels in every])
        for name in every[0]
        if all(name in labels for labels in every)
    }
    write_cache(cache, [*parts], labels)


def _number_alike(every: tuple[_Labels, ...]) -> tuple[_Labels, ...]:
    """Return labels whose classes are numbered in one way: subsets may not have the same ones."""
    names = [labels["target_names"] for labels in every]
    if all(np.array_equal(names[0], other) for other in names):
        return every
    union = np.unique(np.concatenate(names))
    return tuple(
        {
            **labels,
            "target": np.searchsorted(union, labels["target_names"])[labels["target"]],
            "target_names": union,
        }
        for labels in every
    )


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Make a folder beside another for what is written on the way to it."""
    scratch = path.with_name(f".{path.name}")
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
