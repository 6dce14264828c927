"""Run the fuzzer: ``python -m tests.fuzz --cases 200000`` prints a report as JSON."""

from __future__ import annotations

import argparse
import json
import sys

from tests.fuzz.run import run

parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
parser.add_argument("--cases", type=int, default=20_000, help="number of damaged files")
parser.add_argument("--first", type=int, default=0, help="number of the first case")
parser.add_argument("--jobs", type=int, default=1, help="child processes at a time")
options = parser.parse_args()
report = run(options.cases, first=options.first, n_jobs=options.jobs)
print(json.dumps(report, indent=2))
bad = report["crashes"] or report["hangs"] or report["faults"]
sys.exit(1 if bad else 0)
