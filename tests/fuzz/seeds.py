"""The valid files that are damaged: one or more of every format, of 0.2 to 5 kB."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skspike import EventCollection
from tests.io import encoders

# Of a folder the files in this order; where one ends and the next begins is kept in `Seed.cuts`.
FOLDER = ("events.npy", "offsets.npy", "meta.json")


@dataclass(frozen=True)
class Seed:
    """A valid file: its name, bytes, and the bytes of each event."""

    name: str
    data: bytes
    spans: np.ndarray  # of shape (n_events, 2)
    cuts: tuple[int, ...] = ()

    def write(self, folder: Path, data: bytes) -> Path:
        """Write the file, or its folder of files, with other content; return its path."""
        path = folder / self.name
        if not self.cuts:
            path.write_bytes(data)
            return path
        path.mkdir(exist_ok=True)
        bounds = [0, *self.cuts, len(data)]
        for name, start, stop in zip(FOLDER, bounds[:-1], bounds[1:], strict=True):
            (path / name).write_bytes(data[start:stop])
        return path


def make_seeds() -> list[Seed]:
    """Return the files, always the same."""
    events = encoders.some_events()
    small = encoders.some_events(n=12, size=(10, 10))
    some = encoders.some_events(n=12)
    makers: dict[str, Callable[[], encoders.Encoded]] = {
        "nmnist.bin": lambda: encoders.nmnist(events),
        "cd.dat": lambda: encoders.dat(events),
        "2d.dat": lambda: encoders.dat(events, old=True),
        "evt2.raw": lambda: encoders.evt2(events),
        "evt21.raw": lambda: encoders.evt21(events),
        "evt3.raw": lambda: encoders.evt3(events),
        "1.aedat": lambda: encoders.aedat1(events),
        "dvs128.aedat": lambda: encoders.aedat2_dvs128(events),
        "davis.aedat": lambda: encoders.aedat2_davis(events),
        "3.aedat": lambda: encoders.aedat3(events),
        "30.aedat": lambda: encoders.aedat3(events, version="3.0"),
        "plain.aedat4": lambda: encoders.aedat4(events, compression=0),
        "open.aedat4": lambda: encoders.aedat4(events, compression=0, closed=False),
        "lz4.aedat4": lambda: encoders.aedat4(events, compression=1),
        "zstd.aedat4": lambda: encoders.aedat4(events, compression=3),
        "dvs.es": lambda: encoders.es(events, "dvs"),
        "atis.es": lambda: encoders.es(events, "atis"),
        "color.es": lambda: encoders.es(events, "color"),
        "array.npy": lambda: encoders.npy(events),
        "columns.npz": lambda: encoders.npz(some, compressed=True),
        "recordings.npz": lambda: encoders.npz(some, offsets=[0, 5, 5, 12]),
        "dsec.h5": lambda: encoders.hdf5(some, encoders.write_dsec),
        "prophesee.h5": lambda: encoders.hdf5(some, encoders.write_prophesee),
        "stmnist.mat": lambda: encoders.mat(small),
        "plain.mat": lambda: encoders.mat(small[:3], compressed=False),
        "columns.mat": lambda: encoders.mat_columns(events),
        "plain_columns.mat": lambda: encoders.mat_columns(some, compressed=False, t="<f8"),
        "seconds.txt": lambda: encoders.text(events),
        "micros.txt": lambda: encoders.text(events, seconds=False, header="# t x y p\n"),
        "ours.csv": lambda: encoders.csv(events),
    }
    seeds = [_seed(name, maker()) for name, maker in makers.items()]
    return [*seeds, _folder_seed(events)]


def _seed(name: str, encoded: encoders.Encoded) -> Seed:
    return Seed(name, encoded.data, np.array(encoded.spans))


def _folder_seed(events: np.ndarray) -> Seed:
    """Return the folder that EventCollection.save writes, as one run of bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folder"
        EventCollection([events[:7], events[7:]], sensor_size=(34, 30)).save(path)
        parts = [(path / name).read_bytes() for name in FOLDER]
    ends = np.cumsum([len(part) for part in parts])
    size = events.dtype.itemsize
    start = len(parts[0]) - size * len(events)
    spans = start + size * np.arange(len(events))[:, None] + [0, size]
    return Seed("folder", b"".join(parts), spans, (int(ends[0]), int(ends[1])))
