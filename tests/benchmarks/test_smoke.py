"""All benchmarks run at tiny size, and their lines say what they should."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import pytest

from tests.benchmarks.all import BENCHES, save
from tests.house import ROOT

REQUIRED = {"bench", "case", "peer", "ratio", "device", "threads", "load", "versions"}

in_a_step_of_its_own = pytest.mark.skipif(
    "SKSPIKE_SMOKE" not in os.environ, reason="takes minutes: set SKSPIKE_SMOKE=1, as .ci/run does"
)


def run_all(*arguments, **variables):
    """Run every benchmark at tiny size; return the lines of JSON and the completed process."""
    command = [sys.executable, "-m", "tests.benchmarks.all", "--tiny", *arguments]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", **variables}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done


def check_lines(lines, benches):
    """Every benchmark has printed; every line is whole."""
    assert {line["bench"] for line in lines} == set(benches)
    for line in lines:
        assert set(line) >= REQUIRED
        assert line.get("tiny") or "missing" in line
        if "missing" not in line and "model_ratio" not in line:
            assert math.isfinite(line["ratio"])
            assert line["ratio"] > 0


@in_a_step_of_its_own
def test_every_benchmark_runs_on_the_cpu():
    lines, done = run_all("--device", "cpu")
    assert done.returncode == 0, done.stderr
    check_lines(lines, BENCHES["cpu"])
    try:
        import spikingjelly  # noqa: F401
    except ImportError:
        assert any("spikingjelly" in line.get("missing", "") for line in lines)


@in_a_step_of_its_own
def test_the_code_for_cuda_runs_in_tritons_interpreter():
    pytest.importorskip("triton")
    benches = ("kernels", "blocks")  # whole networks take the interpreter minutes
    only = [argument for bench in benches for argument in ("--only", bench)]
    lines, done = run_all("--device", "cuda", "--rehearse", *only, TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stderr
    check_lines(lines, benches)
    assert all(line.get("rehearsal") or "missing" in line for line in lines)


@pytest.mark.parametrize("arguments", [("--save",), ("--device", "cuda", "--rehearse", "--save")])
def test_what_is_no_measurement_is_not_saved(arguments):
    lines, done = run_all(*arguments, TRITON_INTERPRET="1")
    assert done.returncode == 2
    assert "--save is for real figures" in done.stderr
    assert not lines


def test_saving_replaces_a_benchmark_and_keeps_the_others(tmp_path):
    old = [{"bench": "kernels", "ratio": 1.0}, {"bench": "blocks", "ratio": 2.0}]
    save(tmp_path, "cpu", old)
    new = [{"bench": "kernels", "ratio": 3.0}, {"bench": "kernels", "ratio": None, "missing": "x"}]
    save(tmp_path, "cpu", new)
    kept = [json.loads(line) for line in (tmp_path / "cpu.jsonl").read_text().splitlines()]
    assert kept == [{"bench": "blocks", "ratio": 2.0}, {"bench": "kernels", "ratio": 3.0}]


def test_a_failing_benchmark_does_not_stop_the_others():
    lines, done = run_all("--only", "no_such_thing", "--only", "estimators")
    assert done.returncode == 1
    assert "no_such_thing" in done.stderr
    assert {line["bench"] for line in lines} == {"estimators"}
