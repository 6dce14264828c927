"""How to measure: interleaved arms, medians, bytes saved for backward, and the copy bandwidth."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch

PACKAGES = ("skspike", "torch", "numpy", "numba", "scikit-learn", "skorch", "spikingjelly")


def interleave(arms: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Run the arms in turn, `repeats` times after a warm-up; return median seconds by name.

    Every other round runs backwards, so that no arm always finds the caches as another left them.
    """
    times: dict[str, list[float]] = {name: [] for name in arms}
    for i in range(repeats + 1):
        for name, arm in list(arms.items())[:: 1 if i % 2 else -1]:
            start = time.perf_counter()
            arm()
            if i > 0:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def bytes_saved(forward: Callable[[], object]) -> int:
    """Return the bytes that autograd holds for the backward pass, each storage once."""
    storages: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    del result
    return sum(storages.values())


class Copy:
    """Copy a large tensor: the yardstick for what the memory of this machine can move."""

    def __init__(self, n_bytes: int = 2**28) -> None:
        self.source = torch.ones(n_bytes // 4)
        self.target = torch.ones(n_bytes // 4)

    def bandwidth(self) -> float:
        """Return bytes read and written per second."""
        seconds = interleave({"copy": lambda: self.target.copy_(self.source)}, 11)["copy"]
        return 2 * self.source.numel() * self.source.element_size() / seconds


def report(**fields: object) -> None:
    """Print one result as a line of JSON, with the device and the versions."""
    fields |= {"device": device(), "threads": torch.get_num_threads(), "versions": versions()}
    print(json.dumps(fields), flush=True)


def device() -> str:
    """Return a name for the processor."""
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
