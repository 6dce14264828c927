"""
How fast it is
==============

The committed results of the benchmarks as bars: how many times faster than others, and how near to
what the machine can do. See the page *Benchmarks* for what each case is.
"""

# %%
# The results
# -----------
#
# One line of JSON for each comparison, one file for each kind of device. They lie beside the tests,
# in a clone.

import json
from pathlib import Path

import skspike

folder = Path(skspike.__file__).parents[1] / "tests" / "benchmarks" / "results"
results = {
    file.stem: [json.loads(line) for line in file.read_text().splitlines()]
    for file in sorted(folder.glob("*.jsonl"))
}
for device, lines in results.items():
    names = sorted({line["device"] for line in lines})
    print(f"{device}: {len(lines)} comparisons on {', '.join(names)}")

# %%
# Bars
# ----
#
# The longer the bar, the faster. A black mark is what was asked for. On the right, 1 is the limit:
# moving the bytes that must move at the speed of a copy, or doing the arithmetic that must be done
# at the best speed measured. Long sequences have a figure of their own below.

import matplotlib.pyplot as plt


def label(line):
    """Name a comparison."""
    ours = line.get("ours", "ours")
    case = line["case"] if ours == "ours" else f"{line['case']}, {ours}"
    return f"{case}\nagainst {line['peer']}"


def bars(axes, lines, name, target, title):
    """Draw one figure of every comparison."""
    for i, line in enumerate(lines):
        if line.get(name) is not None:
            axes.barh(i, line[name], color="C0")
            axes.annotate(f" {line[name]:.3g}", (line[name], i), va="center", fontsize="x-small")
        if line.get(target) is not None:
            axes.plot([line[target]] * 2, [i - 0.4, i + 0.4], color="black")
    axes.set(title=title, yticks=range(len(lines)))
    axes.margins(x=0.15, y=0.01)


for device, lines in results.items():
    lines = [line for line in lines if not line["case"].startswith("SpikingSSM ")]
    last = {label(line): line for line in lines}  # of equal comparisons, the last
    lines = list(last.values())
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 1.5 + 0.42 * len(lines)), sharey=True, layout="constrained"
    )
    bars(left, lines, "ratio", "ratio_target", "times faster")
    left.invert_yaxis()
    left.set_xscale("log")
    left.axvline(1, color="grey", linewidth=0.8)
    left.set_yticks(range(len(lines)), list(last), fontsize="x-small")
    bars(right, lines, "limit_fraction", "limit_target", "fraction of the limit")
    right.axvline(1, color="grey", linewidth=0.8)
    figure.suptitle(f"{device}: {', '.join(sorted({line['device'] for line in lines}))}")

# %%
# Time against length
# -------------------
#
# Training on long sequences: the neurons of SpikingSSM alone, and a network of one block around
# them. The dashed line grows as the number of steps does.

import re

KINDS = {
    "neurons alone": r"SpikingSSM neurons forward\+backward, T=(\d+)",
    "network of one block": r"SpikingSSM training iteration, 1 block, T=(\d+)",
}


def times(lines, kind):
    """Return the milliseconds of each arm by the number of steps."""
    found = {}
    for line in lines:
        matched = re.match(KINDS[kind], line["case"])
        for arm in ("ours", "peer"):
            if matched and not line["peer"].startswith("T="):  # which is another length
                found.setdefault(line[arm], {})[int(matched[1])] = line[f"{arm}_ms"]
    return found


figure, panels = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for axes, kind in zip(panels, KINDS, strict=True):
    for arm, by_length in times(results["cpu"], kind).items():
        lengths = sorted(by_length)
        axes.loglog(lengths, [by_length[n] for n in lengths], marker="o", label=arm)
    axes.loglog(lengths, [n / lengths[0] for n in lengths], "--", color="grey")
    axes.set(title=kind, xlabel="steps", xticks=lengths, xticklabels=lengths)
    axes.minorticks_off()
panels[0].set_ylabel("ms an iteration")
panels[1].legend(fontsize="small")
plt.show()
