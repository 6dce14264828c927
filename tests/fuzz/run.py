"""Run cases in child processes, and find which case a crash or a hang belongs to."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.fuzz.judge import OUTCOMES
from tests.fuzz.seeds import make_seeds
from tests.house import ROOT

BATCH = 5_000  # cases of one child
WORKER = [sys.executable, "-m", "tests.fuzz.worker"]
PATIENCE = 90  # seconds without a result: a hang; a child needs some to start


def run(n_cases: int, *, first: int = 0, n_jobs: int = 1) -> dict:
    """Run the cases from number `first` on, and return the report."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        board = Path(folder) / "board"
        board.write_bytes(bytes(first + n_cases))
        outcomes = np.memmap(board, np.uint8, "r")
        starts = range(first, first + n_cases, BATCH)
        batches = [(start, min(start + BATCH, first + n_cases)) for start in starts]
        with ThreadPoolExecutor(n_jobs) as pool:
            parts = list(pool.map(lambda batch: run_batch(*batch, board, outcomes), batches))
            losses = [loss for part in parts for loss in part]
        faults = _read_lines(Path(f"{board}.faults"))
        peaks = _read_lines(Path(f"{board}.memory"))
        outcomes = np.array(outcomes[first:])
    return _report(outcomes, first, losses, faults, peaks, time.perf_counter() - started)


def run_batch(first: int, last: int, board: Path, outcomes: np.ndarray) -> list[dict]:
    """Run a batch, in a new child after each crash or hang; return these."""
    losses = []
    while first < last:
        command = [*WORKER, str(first), str(last), str(board)]
        child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        hung = _wait(child, outcomes, first, last)
        stderr = child.communicate()[1]
        missing = np.flatnonzero(outcomes[first:last] == 0)
        if not missing.size and child.returncode == 0:
            break
        if missing.size == last - first and not hung and "Traceback" in stderr:
            raise RuntimeError(f"the child could not start:\n{stderr}")
        culprit = first + int(missing[0]) if missing.size else last - 1
        what = "hang" if hung else f"exit code {child.returncode}"
        losses.append({"case": culprit, "what": what, "stderr": stderr[-500:]})
        first = culprit + 1
    return losses


def _wait(child: subprocess.Popen, outcomes: np.ndarray, first: int, last: int) -> bool:
    """Wait for the end of a child, or kill it when it makes no progress; tell whether it hung."""
    done, since = -1, time.monotonic()
    while child.poll() is None:
        now = int(np.count_nonzero(outcomes[first:last]))
        if now != done:
            done, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE and now < last - first:
            child.kill()
            return True
        time.sleep(0.05)
    return False


def _read_lines(path: Path) -> list:
    """Return the JSON values of the lines of a file, if it is there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _report(outcomes, first, losses, faults, peaks, seconds) -> dict:
    """Return cases and outcomes by file, and everything that must not happen."""
    names = [seed.name for seed in make_seeds()]
    files = {}
    for k, name in enumerate(names):
        own = outcomes[(k - first) % len(names) :: len(names)]
        counts = Counter(OUTCOMES[code] for code in own.tolist())
        files[name] = {"cases": len(own), **dict(sorted(counts.items()))}
    for loss in losses:
        loss["file"] = names[loss["case"] % len(names)]
    return {
        "cases": len(outcomes),
        "outcomes": dict(Counter(OUTCOMES[code] for code in outcomes.tolist())),
        "crashes": [loss for loss in losses if loss["what"] != "hang"],
        "hangs": [loss for loss in losses if loss["what"] == "hang"],
        "faults": sorted(faults, key=lambda fault: fault["case"]),
        "silent losses": sum("silent loss" in fault["fault"] for fault in faults),
        "peak memory (MB)": max(peaks, default=None),
        "seconds": round(seconds, 1),
        "files": files,
    }
