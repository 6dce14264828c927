"""Every benchmark, each size in a process of its own; one JSON line for each comparison.

``python -m tests.benchmarks.all --device cpu`` on an idle machine; ``--save`` keeps the lines.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.report import note
from tests.benchmarks.setting import Setting, parse

RESULTS = Path(__file__).parent / "results"
BENCHES = {
    "cpu": (
        "kernels",
        "blocks",
        "training",
        "time_parallel",
        "ssm",
        "estimators",
        "encoders",
        "startup",
        "io",
    ),
    "cuda": ("kernels", "blocks", "training", "time_parallel", "ssm"),
}
MINUTES = {"cpu": 60.0, "cuda": 8.0}


def jobs(bench: str, setting: Setting) -> Iterator[list[str]]:
    """Return the command lines of a benchmark: one for each case, or one for all if tiny."""
    module = f"tests.benchmarks.bench_{bench}"
    command = [sys.executable, "-m", module, *setting.arguments()]
    if setting.tiny:
        yield command
        return
    for case in importlib.import_module(module).CASES:
        yield [*command, "--case", case]


def run_job(command: list[str], deadline: float) -> tuple[list[dict], bool]:
    """Run a command; return the results that it printed, and whether it succeeded in time."""
    left = deadline - time.monotonic()
    if left <= 0:
        note(f"no time left for {' '.join(command[2:])}")
        return [], False
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=left)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        note(f"stopped at the time limit: {' '.join(command[2:])}")
    print(output, end="", flush=True)
    results = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    if process.returncode:
        note(f"failed: {' '.join(command[2:])}")
    return results, process.returncode == 0


def save(folder: Path, device: str, results: list[dict]) -> None:
    """Write results in place of those of the same benches; keep the benches that printed none."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{device}.jsonl"
    before = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    measured = [line for line in results if "missing" not in line]
    renewed = {line["bench"] for line in measured}
    kept = [line for line in before if line["bench"] not in renewed]
    file.write_text("".join(json.dumps(line) + "\n" for line in [*kept, *measured]))
    note(f"{len(measured)} results in {file}")


def main() -> None:
    """Run everything, go on after a failure, and exit with 1 if there was one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", help="only this benchmark; repeatable")
    parser.add_argument(
        "--save",
        nargs="?",
        type=Path,
        const=RESULTS,
        metavar="FOLDER",
        help="write the results to <device>.jsonl in a folder, by default the committed one",
    )
    parser.add_argument("--minutes", type=float, help="stop after so long")
    setting, args = parse(parser)
    if args.save and setting.tiny:
        parser.error("--save is for real figures, not for those of --tiny or --rehearse.")
    benches = args.only or list(BENCHES[setting.device])
    started = time.monotonic()
    deadline = started + 60 * (args.minutes or MINUTES[setting.device])
    results, failed = [], False
    for bench in benches:
        try:
            for command in jobs(bench, setting):
                lines, ok = run_job(command, deadline)
                results += lines
                failed |= not ok
        except ImportError as error:
            note(f"{bench} does not import: {error}")
            failed = True
        if args.save:  # after each, so that a machine that goes away leaves what is done
            save(args.save, setting.device, results)
    note(f"{len(results)} lines in {time.monotonic() - started:.0f} s")
    sys.exit(failed)


if __name__ == "__main__":
    main()
