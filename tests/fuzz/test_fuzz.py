"""The short run of the fuzzer; ``python -m tests.fuzz --cases 200000`` is the long one."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from skspike.io import read_events
from tests.fuzz import judge, run
from tests.fuzz.mutate import KINDS, Mutant, mutate
from tests.fuzz.seeds import make_seeds

for package in ("h5py", "lz4", "zstandard"):
    pytest.importorskip(package)
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited in Linux's way")


@linux
@pytest.mark.slow
def test_no_damaged_file_crashes_hangs_or_loses_events_silently():
    report = run.run(20_000, n_jobs=2)
    assert report["crashes"] == []
    assert report["hangs"] == []
    assert report["faults"] == []
    assert report["silent losses"] == 0
    assert "not run" not in report["outcomes"]
    assert sum(report["outcomes"].values()) == 20_000
    for name, counts in report["files"].items():
        assert counts["error"] > counts["cases"] // 8, f"{name} is hardly damaged"
    assert report["peak memory (MB)"] < 1000


def test_every_format_is_damaged(tmp_path):
    from skspike.io._formats import FORMATS

    sniffed = {"folder"}
    for seed in make_seeds():
        head, path = seed.data[:4096], seed.write(tmp_path, seed.data)
        sniffed |= {format.name for format in FORMATS if not seed.cuts and format.sniff(head, path)}
    assert sniffed == {format.name for format in FORMATS}


def test_cases_are_the_same_in_every_run():
    data = make_seeds()[0].data
    mutants = [mutate(data, np.random.default_rng(i)) for i in range(200)]
    assert mutants == [mutate(data, np.random.default_rng(i)) for i in range(200)]
    assert {mutant.kind for mutant in mutants} == set(KINDS)
    changed = sum(mutant.data != data for mutant in mutants)
    assert changed > 180  # two flips of one bit, a swap of equal blocks change nothing


# Faults that the judge must see ---------------------------------------------------------------


def judged(tmp_path, monkeypatch, reader, kind="overwrite"):
    """Judge a file of N-MNIST whose third event was touched, with another read_events."""
    seed = make_seeds()[0]
    original = read_events(seed.write(tmp_path, seed.data)).events
    monkeypatch.setattr(judge, "read_events", reader)
    monkeypatch.setattr(judge, "iter_events", lambda path, chunk: reader([path]))
    return judge.judge(seed, original, Mutant(seed.data, kind, [(11, 12)]), tmp_path)


def first_events(n):
    """Return a reader that gives the first `n` events, and says nothing."""
    return lambda paths, errors="raise": type(read_events(paths))([read_events(paths)[0][:n]])


def test_the_judge_accepts_what_was_touched(tmp_path, monkeypatch):
    assert judged(tmp_path, monkeypatch, first_events(40)) == ("equal", "")
    assert judged(tmp_path, monkeypatch, first_events(39)) == ("other values", "")


@pytest.mark.parametrize("n", [38, 0])
def test_the_judge_sees_silent_loss(n, tmp_path, monkeypatch):
    outcome, fault = judged(tmp_path, monkeypatch, first_events(n))
    assert outcome == "FAULT"
    assert fault.startswith("silent loss")


def test_the_judge_sees_events_that_a_cut_file_cannot_have(tmp_path, monkeypatch):
    def reader(paths, errors="raise"):
        X = read_events(paths)
        return type(X)([X[0][::-1]])

    assert "cut short" in judged(tmp_path, monkeypatch, reader, "truncate")[1]


def test_the_judge_sees_other_errors(tmp_path, monkeypatch):
    def reader(paths, errors="raise"):
        raise IndexError("index 7 is out of bounds")

    assert judged(tmp_path, monkeypatch, reader) == (
        "FAULT",
        "IndexError: index 7 is out of bounds",
    )


# Faults that the parent process must see ------------------------------------------------------

CHILD = """
import os, sys, time, numpy
first, last = int(sys.argv[1]), int(sys.argv[2])
board = numpy.memmap(sys.argv[3], numpy.uint8, "r+")
for i in range(first, last):
    if i == 3: {end}
    board[i] = 1
"""


@pytest.mark.parametrize(
    ("end", "what"), [("os.abort()", "exit code -6"), ("time.sleep(600)", "hang")]
)
def test_the_parent_finds_the_case_that_ends_a_child(end, what, tmp_path, monkeypatch):
    board = tmp_path / "board"
    board.write_bytes(bytes(6))
    monkeypatch.setattr(run, "WORKER", [sys.executable, "-c", CHILD.format(end=end)])
    monkeypatch.setattr(run, "PATIENCE", 3)
    outcomes = np.memmap(board, np.uint8, "r")
    losses = run.run_batch(0, 6, board, outcomes)
    assert [(loss["case"], loss["what"]) for loss in losses] == [(3, what)]
    assert outcomes.tolist() == [1, 1, 1, 0, 1, 1]  # the cases after it were run
