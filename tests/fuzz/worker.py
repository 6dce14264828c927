"""Judge a range of cases; run as a process of its own, which may crash or hang."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np

from skspike.io import read_events
from tests.fuzz.judge import OUTCOMES, judge
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import Seed, make_seeds

MEMORY = 4 * 2**30  # bytes of address space a reader may take beyond what is there at the start


def case(i: int, seeds: list[Seed]) -> tuple[Seed, np.random.Generator]:
    """Return the file and the random numbers of a case: its number is all that is needed."""
    return seeds[i % len(seeds)], np.random.default_rng(i)


def work(first: int, last: int, board: Path) -> None:
    """Judge cases; each leaves its outcome on the board, and its fault beside it."""
    outcomes = np.memmap(board, np.uint8, "r+")
    seeds = make_seeds()
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        originals = {}
        for seed in seeds:
            X = read_events(seed.write(Path(folder), seed.data))
            originals[seed.name] = np.concatenate([X.events[:0], *X])
        _limit_memory()
        for i in range(first, last):
            seed, rng = case(i, seeds)
            mutant = mutate(seed.data, rng)
            outcome, fault = judge(seed, originals[seed.name], mutant, Path(folder))
            outcomes[i] = OUTCOMES.index(outcome)
            if fault:
                line = {"case": i, "file": seed.name, "kind": mutant.kind, "fault": fault}
                with open(f"{board}.faults", "a") as file:
                    file.write(json.dumps(line) + "\n")
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
    with open(f"{board}.memory", "a") as file:
        file.write(f"{peak}\n")


def _limit_memory() -> None:
    """Make an allocation without bounds fail."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
