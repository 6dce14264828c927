"""The page of the benchmarks says what was measured, and nothing else."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks import page
from tests.benchmarks.all import RESULTS

LINE = {
    "case": "a case",
    "ours": "ours",
    "peer": "a peer",
    "ratio": 2.5,
    "ratio_target": 4.0,
    "bytes_saved_ratio": 0.4,
    "bytes_saved_target": 0.5,
    "limit_fraction": 0.71,
}


def test_the_page_shows_the_committed_results():
    text = page.PAGE.read_text()
    assert page.draw(text) == text, "run python -m tests.benchmarks.page"
    assert {"cpu", "cuda"} == {part[2] for part in page.PART.finditer(text)}


@pytest.mark.parametrize("file", sorted(RESULTS.glob("*.jsonl")), ids=lambda file: file.stem)
def test_committed_results_are_measurements(file):
    for line in map(json.loads, file.read_text().splitlines()):
        assert {"bench", "case", "peer", "ratio", "device", "threads", "versions"} <= set(line)
        assert not {"tiny", "rehearsal", "missing"} & set(line)


def test_a_row_says_what_was_asked_for_and_what_falls_short():
    assert page.row(LINE) == "| a case | a peer | **2.5** (≥ 4) | 0.4 (≤ 0.5) | 0.71 |\n"
    fast = {**LINE, "ratio": 4.0, "ours": "bfloat16", "limit_target": 0.8}
    assert page.row(fast) == (
        "| a case; ours: bfloat16 | a peer | 4 (≥ 4) | 0.4 (≤ 0.5) | **0.71** (≥ 0.8) |\n"
    )
    modelled = {"case": "c", "peer": "p", "ratio": None, "model_ratio": 1.9}
    assert page.row(modelled) == "| c | p | 1.9 by the model |  |  |\n"


def test_without_results_the_page_says_so():
    assert page.table([]) == "Nothing has been measured yet.\n"
