"""Draw the tables of docs/benchmarks.md from the committed results.

Run ``python -m tests.benchmarks.page`` after ``python -m tests.benchmarks.all --save``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.benchmarks.all import RESULTS

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
PART = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end of results -->)", re.DOTALL)
HEAD = """\
| case | against | times faster | memory | of the limit |
|---|---|---|---|---|
"""


def read(device: str) -> list[dict]:
    """Return the committed results of a device; of equal comparisons, the last."""
    file = RESULTS / f"{device}.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return list({(line["case"], line.get("ours"), line["peer"]): line for line in lines}.values())


def draw(text: str) -> str:
    """Return the page with its tables drawn anew."""
    return PART.sub(lambda part: f"{part[1]}\n{table(read(part[2]))}\n{part[3]}", text)


def table(lines: list[dict]) -> str:
    """Return the results as a table of Markdown, with the machines that they were measured on."""
    if not lines:
        return "Nothing has been measured yet.\n"
    return f"{HEAD}{''.join(map(row, lines))}\n{machines(lines)}"


def row(line: dict) -> str:
    """Return a line of the table; what was asked for stands in parentheses."""
    ours = line.get("ours", "ours")
    case = line["case"] + ("" if ours == "ours" else f"; ours: {ours}")
    modelled = line.get("model_ratio")
    ratio = f"{modelled} by the model" if modelled else cell(line, "ratio", "≥", "ratio_target")
    memory = cell(line, "bytes_saved_ratio", "≤", "bytes_saved_target")
    memory = memory or cell(line, "peak_memory_ratio", "≤", "peak_memory_target")
    limit = cell(line, "limit_fraction", "≥", "limit_target")
    return f"| {case} | {line['peer']} | {ratio} | {memory} | {limit} |\n"


def cell(line: dict, name: str, relation: str, target: str) -> str:
    """Return a figure, what was asked for, and whether it falls short."""
    value, asked = line.get(name), line.get(target)
    if value is None:
        return ""
    if asked is None:
        return f"{value:g}"
    met = value >= asked if relation == "≥" else value <= asked
    return f"{value:g} ({relation} {asked:g})" if met else f"**{value:g}** ({relation} {asked:g})"


def machines(lines: list[dict]) -> str:
    """Name the processors, and the versions of what took part."""
    text = ""
    named = {(line["device"], line["threads"], json.dumps(line["versions"])) for line in lines}
    for device, threads, versions in sorted(named):
        packages = ", ".join(f"{name} {number}" for name, number in json.loads(versions).items())
        text += f"Measured on {device} with {threads} threads: {packages}.\n"
    return text


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(draw(PAGE.read_text()))


if __name__ == "__main__":
    main()
