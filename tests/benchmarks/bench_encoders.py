"""Event encoders against tonic: many short recordings, a long one, and a very large collection.

Run ``python -m tests.benchmarks.bench_encoders [--tiny]`` on an idle machine. The short recordings
are those of N-MNIST in the file that the variable ``SKSPIKE_NMNIST`` names, or invented ones of the
same sizes where there is none.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose
from sklearn.base import clone

from skspike import EventCollection
from skspike._events import EVENT_DTYPE
from skspike.encoders import Denoise, FrameEncoder, TimeSurfaceEncoder, VoxelEncoder
from tests.benchmarks.compare import Arm, Limit, Target, compare
from tests.benchmarks.measure import copy_bandwidth
from tests.benchmarks.peers import tonic_transforms
from tests.benchmarks.report import report, significant
from tests.benchmarks.setting import THREADS, Setting, run

NMNIST = Path(__file__).parents[3] / "shared" / "data" / "nmnist1k.npz"
TONIC_DTYPE = [("x", int), ("y", int), ("t", int), ("p", int)]  # what its N-MNIST reader returns
JOBS = f"{THREADS} jobs"
N_BINS = 10
HATS = {"kind": "hats", "n_bins": 1, "cell_size": 10, "surface_size": 7, "memory": 100_000}
HATS |= {"normalize": "polarity"}  # as tonic does


# The recordings ----------------------------------------------------------------------------------


def invent(n_events: int, size: tuple[int, int], duration: int, seed: int = 0) -> np.ndarray:
    """Draw a recording of a cloud that moves to and fro."""
    generator = np.random.default_rng(seed)
    events = np.empty(n_events, EVENT_DTYPE)
    events["t"] = np.sort(generator.integers(0, duration, n_events))
    sway = 0.25 * np.sin(events["t"] * (20 / duration))
    for name, side, center in zip("xy", size, (0.5 + sway, 0.5), strict=True):
        position = generator.normal(0, 0.15, n_events) + center
        events[name] = np.clip(position * side, 0, side - 1)
    events["p"] = generator.random(n_events) < 0.5
    return events


@functools.cache
def short_recordings(n: int) -> EventCollection:
    """Return N-MNIST recordings, or invented ones of the same sizes."""
    path = Path(os.environ.get("SKSPIKE_NMNIST", NMNIST))
    if path.exists():
        return EventCollection.from_npz(path, sensor_size=(34, 34))[:n]
    recordings = [invent(4133, (34, 34), 310_000, seed) for seed in range(n)]
    return EventCollection(recordings, sensor_size=(34, 34))


@functools.cache
def long_recording(n_events: int) -> EventCollection:
    """Return one recording of a sensor of 640 × 480 pixels over 10 s."""
    return EventCollection([invent(n_events, (640, 480), 10_000_000)], sensor_size=(640, 480))


def name_of(X: EventCollection) -> str:
    """Say what a collection is."""
    if len(X) == 1:
        return f"one recording of {X.n_events:,} events"
    kind = "N-MNIST" if Path(os.environ.get("SKSPIKE_NMNIST", NMNIST)).exists() else "short"
    return f"{len(X):,} {kind} recordings"


def for_tonic(X: EventCollection) -> list[np.ndarray]:
    """Return recordings in tonic's layout."""
    return [recording.astype(TONIC_DTYPE) for recording in X]


# What tonic makes of them, and how it differs ----------------------------------------------------


def tonic_frames(X: EventCollection, encoder: FrameEncoder) -> Callable:
    """Return tonic's frames by time; edges are rounded down, and what follows the last is lost."""
    transform = tonic_transforms().ToFrame(sensor_size=(*X.sensor_size, 2), n_time_bins=N_BINS)
    first = X[:1]
    difference = encoder.fit(first).transform(first)[0] - transform(for_tonic(first)[0])
    t = first[0]["t"]
    n_lost = np.count_nonzero(t >= t[0] + (t[-1] - t[0]) // N_BINS * N_BINS)
    assert difference.sum() == n_lost
    assert np.abs(difference).sum() <= n_lost + 0.01 * first.n_events
    return transform


def tonic_voxels(X: EventCollection, encoder: VoxelEncoder) -> Callable:
    """Return tonic's voxel grid, which is that of one more bin without the last."""
    transform = tonic_transforms().ToVoxelGrid(sensor_size=(*X.sensor_size, 2), n_time_bins=N_BINS)
    one_more = VoxelEncoder(N_BINS + 1).fit_transform(X[:1])[0, :-1]
    assert_allclose(one_more, transform(for_tonic(X[:1])[0]), atol=1e-2)
    return transform


def tonic_surfaces(X: EventCollection, encoder: TimeSurfaceEncoder) -> Callable:
    """Return tonic's time surfaces, as many as fit into the first recording."""
    start, stop = int(X[0]["t"][0]), int(X[0]["t"][-1])
    dt = (stop - start) // N_BINS
    transform = tonic_transforms().ToTimesurface(
        sensor_size=(*X.sensor_size, 2), dt=dt, tau=encoder.tau
    )
    inside = EventCollection([X[0][X[0]["t"] < start + N_BINS * dt]], sensor_size=X.sensor_size)
    window = (start, start + N_BINS * dt)
    ours = TimeSurfaceEncoder(N_BINS, tau=encoder.tau, window=window).fit_transform(inside)[0]
    assert_allclose(ours, transform(for_tonic(X[:1])[0])[:N_BINS], rtol=1e-4, atol=1e-6)
    return transform


def tonic_hats(X: EventCollection, encoder: TimeSurfaceEncoder) -> Callable:
    """Return tonic's averaged surfaces, where every event also sees itself."""
    transform = tonic_transforms().ToAveragedTimesurface(
        sensor_size=(*X.sensor_size, 2), cell_size=10, surface_size=7, time_window=100_000,
        tau=encoder.tau,
    )  # fmt: skip
    first = X[0][np.unique(X[0]["t"], return_index=True)[1]]  # ties are where it differs
    theirs = transform(first.astype(TONIC_DTYPE))
    rows, columns = (-(-side // 10) for side in reversed(X.sensor_size))
    alone = EventCollection([first], sensor_size=X.sensor_size)
    ours = encoder.fit_transform(alone)[0, 0].reshape(2, rows, 7, columns, 7)
    ours = ours.transpose(1, 3, 0, 2, 4).reshape(theirs.shape)
    ours[:, :, 3, 3] += theirs[:, :, 3, 3] > 0
    assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    return transform


def tonic_denoise(X: EventCollection, encoder: Denoise) -> Callable:
    """Return tonic's filter, for which every pixel has fired at time 0."""
    transform = tonic_transforms().Denoise(filter_time=encoder.window)
    first = X[0][np.unique(X[0]["t"], return_index=True)[1]]
    first["t"] += encoder.window
    theirs = transform(first.astype(TONIC_DTYPE))
    ours = encoder.fit_transform(EventCollection([first], sensor_size=X.sensor_size))[0]
    assert len(ours) == len(theirs)
    assert_allclose(ours["t"], theirs["t"], rtol=0, atol=0)
    return transform


# The comparisons ---------------------------------------------------------------------------------


def bench(
    setting: Setting,
    name: str,
    encoder,
    peer: Callable,
    X: EventCollection,
    target: float,
    many: EventCollection,
) -> None:
    """Encode recordings against tonic, and what has work for all threads against one thread."""

    def build() -> Arm:
        transform, recordings = peer(X, encoder), for_tonic(X)
        return Arm(lambda: [transform(recording) for recording in recordings])

    pairs = [(JOBS, "tonic", Target(target)), ("1 job", "tonic", Target())]
    both_jobs = (JOBS, "1 job", Target(1.7))
    if many is X:
        race(setting, name, encoder, X, {"tonic": build}, [*pairs, both_jobs])
    else:
        race(setting, name, encoder, X, {"tonic": build}, pairs)
        race(setting, name, encoder, many, {}, [both_jobs])


def race(
    setting: Setting, name: str, encoder, X: EventCollection, peers: dict, pairs: list
) -> None:
    """Encode recordings with all threads, with one, and with the peers."""

    def with_jobs(n_jobs: int) -> Arm:
        mine = clone(encoder).set_params(n_jobs=n_jobs).fit(X)
        return Arm(lambda: mine.transform(X))

    encoded = encoder.fit(X).transform(X)
    n_bytes = X.n_events * EVENT_DTYPE.itemsize
    n_bytes += encoded.nbytes if isinstance(encoded, np.ndarray) else encoded.events.nbytes
    rate = copy_bandwidth(setting.place, 2**20 if setting.tiny else 2**28)
    why = f"events read and output written, {n_bytes / 1e6:.4g} MB at {rate / 1e9:.4g} GB/s"
    compare(
        setting,
        "encoders",
        f"{name}, {name_of(X)}",
        ours={JOBS: with_jobs(THREADS), "1 job": with_jobs(1)},
        peers=peers,
        pairs=pairs,
        inputs=[()],
        limits={JOBS: Limit(n_bytes / rate, why), "1 job": Limit(n_bytes / rate, why)},
    )


def bench_short(setting: Setting, name: str, encoder, peer, target: float, n: int, n_many: int):
    """Encode short recordings."""
    X, many = (short_recordings(setting.pick(size, size, 3)) for size in (n, n_many))
    bench(setting, name, encoder, peer, X, target, many)


def bench_long(setting: Setting, name: str, encoder, peer, target: float, n: int, n_many: int):
    """Encode a long recording."""
    X, many = (long_recording(setting.pick(size, size, 3000)) for size in (n, n_many))
    bench(setting, name, encoder, peer, X, target, many)


# A collection that is larger than the memory one may take ----------------------------------------

MAPPED = """
import re, sys, time
import numpy as np
from sklearn.model_selection import KFold
from skspike import EventCollection
from skspike.encoders import FrameEncoder

X = EventCollection.open(sys.argv[1])
folds = list(KFold(5).split(X))
start = time.perf_counter()
parts = [(X[train], X[test]) for train, test in folds]
seconds = time.perf_counter() - start
encoder = FrameEncoder(1, downsample=32, dtype="uint16", sensor_size=(640, 480), n_jobs=2).fit(X)
frames = encoder.transform(X)
assert frames.sum(dtype=np.int64) == X.n_events
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())  # since the start
print(seconds, 1024 * int(peak[1]))
"""


def bench_mapped(setting: Setting) -> None:
    """Split 10^8 mapped events into folds, and encode all of them."""
    n_recordings, n_events = setting.pick(*[(20_000, 5000)] * 2, (10, 100))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "events")
        events = np.tile(invent(n_events, (640, 480), 10**6), n_recordings)
        offsets = np.arange(n_recordings + 1) * n_events
        EventCollection._from_parts(events, offsets, np.arange(n_recordings), (640, 480)).save(path)
        del events
        done = subprocess.run(
            [sys.executable, "-c", MAPPED, path], capture_output=True, text=True, check=True
        )
    seconds, peak = map(float, done.stdout.split())
    size = f"{n_recordings * n_events:,} mapped events"
    limits = {"5-fold split": (10e-3, seconds), "peak resident memory of a pass": (1e9, peak)}
    for what, (limit, value) in limits.items():
        unit, scale = ("ms", 1e3) if limit < 1 else ("mb", 1e-6)
        report(
            bench="encoders",
            case=f"{what}, {size} in {n_recordings:,} recordings",
            ours="ours",
            peer="the limit of the specification",
            ratio=significant(limit / value, 3),
            ratio_target=1.0,
            **{f"ours_{unit}": significant(scale * value), f"peer_{unit}": scale * limit},
            **({"tiny": True} if setting.tiny else {}),
        )


def _cases(name, encoder, peer, short: tuple, long: tuple) -> dict[str, Callable]:
    """Return the cases of an encoder: target, size for tonic, size for several threads of each."""
    key = name.lower().replace(" ", "-")
    make = functools.partial(functools.partial, name=name, encoder=encoder, peer=peer)
    sizes = ("target", "n", "n_many")
    return {
        f"{key}-short": make(bench_short, **dict(zip(sizes, short, strict=True))),
        f"{key}-long": make(bench_long, **dict(zip(sizes, long, strict=True))),
    }


SHORT, LONG = 1000, 20_000_000

# tonic's loops over events would take minutes for sizes that ours takes milliseconds for.
CASES = {
    **_cases(
        "FrameEncoder", FrameEncoder(N_BINS, split="time", dtype="int16"), tonic_frames,
        (4.0, SHORT, SHORT), (2.0, LONG, LONG),
    ),
    **_cases(
        "VoxelEncoder", VoxelEncoder(N_BINS), tonic_voxels,
        (10.0, SHORT, SHORT), (10.0, LONG, LONG),
    ),
    **_cases(
        "TimeSurfaceEncoder", TimeSurfaceEncoder(N_BINS), tonic_surfaces,
        (50.0, SHORT, SHORT), (50.0, LONG, LONG),
    ),
    **_cases(
        "HATS", TimeSurfaceEncoder(**HATS), tonic_hats, (50.0, 20, SHORT), (50.0, 20_000, LONG)
    ),
    **_cases(
        "Denoise", Denoise(10_000, neighborhood="diamond"), tonic_denoise,
        (20.0, 100, SHORT), (20.0, 200_000, LONG),
    ),
    "mapped": bench_mapped,
}  # fmt: skip

if __name__ == "__main__":
    run("tests.benchmarks.bench_encoders", __doc__.partition("\n")[0], CASES)
