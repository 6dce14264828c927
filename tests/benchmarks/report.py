"""One result is one line of JSON, with the device, the versions and what was asked for."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

PACKAGES = (
    "skspike",
    "torch",
    "triton",
    "numpy",
    "numba",
    "scikit-learn",
    "skorch",
    "spikingjelly",
    "snntorch",
    "faery",
    "expelliarmus",
    "tonic",
)


def report(**fields: object) -> None:
    """Print one result as a line of JSON, with the machine and the versions."""
    fields |= {
        "device": device_name(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "versions": versions(),
    }
    print(json.dumps(fields), flush=True)


def note(text: str) -> None:
    """Tell the reader something that is no result."""
    print(text, file=sys.stderr, flush=True)


def device_name() -> str:
    """Return the name of the GPU in use, or else of the processor."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.get_device_name()
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of what takes part, of those installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def significant(value: float | None, digits: int = 4) -> float | None:
    """Round to so many significant digits."""
    return None if value is None else float(f"{value:.{digits}g}")
