"""Reading event files: a RAW file of EVT 3.0, and a folder of N-MNIST recordings.

Run ``python -m tests.benchmarks.bench_io [--tiny]`` on an idle machine. The files are in the page
cache: what is measured is decoding, and memory. Asked for are 30 million events of EVT 3.0 a
second, or twice what expelliarmus does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from skspike.io import iter_events, read_events
from tests.benchmarks.compare import Arm, Limit, MissingPeer, Target, compare
from tests.benchmarks.measure import copy_bandwidth
from tests.benchmarks.setting import Setting, run

HOW = {
    "expelliarmus": "pip install expelliarmus==1.1.12",
    "faery": "pip install faery==0.7.1",
    "tonic": "pip install tonic==1.7.0",
}
HEADER = b"% evt 3.0\n% format EVT3;height=720;width=1280\n% geometry 1280x720\n% end\n"
COPY = {"cpu": 2**28, "tiny": 2**20}  # bytes
EVENT_BYTES = 13


def pattern(n_groups: int) -> tuple[list[int], list[tuple[int, int, int, int]]]:
    """Return words of 4,096 µs and their events, in the mixture of a camera of generation 4.1."""
    rng = np.random.default_rng(0)
    words, events = [0x6000], []  # a new upper part of the time is followed by a lower one
    low = 0
    for group in range(n_groups):
        if rng.random() < 0.15:
            low = 4096 * group // n_groups
            words.append(0x6000 | low)
        row = int(rng.integers(720))
        words.append(row)
        for x in rng.integers(1280, size=rng.poisson(3.3)).tolist():
            p = int(rng.integers(2))
            words.append(0x2000 | p << 11 | x)
            events.append((x, row, low, p))
        if rng.random() < 0.18:
            base, p = int(rng.integers(1248)), int(rng.integers(2))
            masks = [int(rng.integers(2**bits) & rng.integers(2**bits)) for bits in (12, 12, 8)]
            words += [0x3000 | p << 11 | base]
            words += [0x4000 | masks[0], 0x4000 | masks[1], 0x5000 | masks[2]]
            mask = masks[0] | masks[1] << 12 | masks[2] << 24
            events += [(base + j, row, low, p) for j in range(32) if mask >> j & 1]
    return words, events


def write_evt3(path: Path, n_events: int, n_groups: int) -> dict[str, np.ndarray]:
    """Write a file of about so many events; return its columns."""
    words, events = pattern(n_groups)
    n_times = max(n_events // len(events), 1)
    with open(path, "wb") as file:
        file.write(HEADER)
        for i in range(n_times):
            file.write(np.array([0x8000 | i, *words], "<u2").tobytes())
    x, y, low, p = (np.tile(column, n_times) for column in np.array(events).T)
    return {"x": x, "y": y, "t": low + 4096 * np.repeat(np.arange(n_times), len(events)), "p": p}


def check(found: np.ndarray, expected: dict[str, np.ndarray], names: dict[str, str]) -> None:
    """Refuse to time what does not give the events of the file."""
    for name, theirs in names.items():
        if not np.array_equal(found[theirs], expected[name]):
            raise ValueError(f"the column {name} differs")


def expelliarmus(path: Path, expected: dict[str, np.ndarray]) -> Arm:
    """Return the arm of expelliarmus, whose times are 4,096 µs ahead for each fall of the lower."""
    try:
        from expelliarmus import Wizard
    except ImportError as error:
        raise _missing("expelliarmus", error) from error

    def step(path: Path) -> np.ndarray:
        wizard = Wizard(encoding="evt3")
        wizard.set_file(path)
        return wizard.read()

    found = step(path)
    check(found, expected, {"x": "x", "y": "y", "p": "p"})
    check({"t": found["t"] % 4096}, {"t": expected["t"] % 4096}, {"t": "t"})
    return Arm(step)


def faery(path: Path, expected: dict[str, np.ndarray]) -> Arm:
    """Return the arm of faery, which gives packets."""
    try:
        import faery
    except ImportError as error:
        raise _missing("faery", error) from error

    found = np.concatenate(list(faery.events_stream_from_file(path)))
    check(found, expected, {"x": "x", "y": "y", "t": "t", "p": "on"})
    return Arm(lambda path: sum(map(len, faery.events_stream_from_file(path))))


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder that does not outlive the measurement."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def bench_evt3(setting: Setting) -> None:
    """Read a file of 20 million events, whole and in pieces."""
    n_events, n_groups = setting.pick((20_000_000, 20_000), (20_000_000, 20_000), (1000, 100))
    with folder() as place:
        path = place / "recording.raw"
        expected = write_evt3(path, n_events, n_groups)
        check(read_events(path)[0], expected, dict(zip("xytp", "xytp", strict=True)))
        n_events = len(expected["t"])
        n_bytes = path.stat().st_size + EVENT_BYTES * n_events
        rate = copy_bandwidth(setting.place, COPY["tiny" if setting.tiny else "cpu"])
        why = f"{n_bytes / 1e6:.4g} MB at {rate / 1e9:.4g} GB/s, the copy's"
        limit = Limit(n_bytes / rate, why)
        compare(
            setting,
            "io",
            f"EVT 3.0, {n_events:,} events in a file of {path.stat().st_size / 1e6:.4g} MB",
            ours={
                "read_events": Arm(read_events),
                "iter_events": Arm(lambda path: sum(map(len, iter_events(path)))),
            },
            peers={
                "expelliarmus": lambda: expelliarmus(path, expected),
                "faery": lambda: faery(path, expected),
            },
            pairs=[
                ("read_events", "expelliarmus", Target()),
                ("iter_events", "faery", Target()),
            ],
            inputs=[(path,)],
            limits={"read_events": limit},
        )


def bench_nmnist(setting: Setting) -> None:
    """Read 1,000 small recordings, as tonic reads N-MNIST."""
    n_files, n_events = setting.pick((1000, 4300), (1000, 4300), (3, 50))
    rng = np.random.default_rng(0)
    with folder() as place:
        paths = [place / f"{i:05}.bin" for i in range(n_files)]
        for path in paths:
            records = rng.integers(0, 34, (n_events, 5), dtype=np.uint8)
            time = np.sort(rng.integers(0, 300_000, n_events))
            records[:, 2] = time >> 16 | rng.integers(0, 2, n_events) << 7
            records[:, 3], records[:, 4] = time >> 8 & 0xFF, time & 0xFF
            path.write_bytes(records.tobytes())

        def build() -> Arm:
            try:
                from tonic.io import read_mnist_file
            except ImportError as error:
                raise _missing("tonic", error) from error
            dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
            expected = read_mnist_file(str(paths[0]), dtype)
            check(read_events(paths[0])[0], expected, {"x": "x", "y": "y", "t": "t", "p": "p"})
            return Arm(lambda paths: [read_mnist_file(str(path), dtype) for path in paths])

        compare(
            setting,
            "io",
            f"N-MNIST, {n_files:,} files of {n_events:,} events",
            ours={"read_events": Arm(read_events)},
            peers={"tonic": build},
            pairs=[("read_events", "tonic", Target())],
            inputs=[(paths,)],
        )


def _missing(name: str, error: ImportError) -> MissingPeer:
    return MissingPeer(f"{name} does not import ({error}). {HOW[name]}")


CASES = {"evt3": bench_evt3, "nmnist": bench_nmnist}

if __name__ == "__main__":
    run("tests.benchmarks.bench_io", __doc__.partition("\n")[0], CASES)
