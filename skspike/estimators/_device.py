"""Which device an estimator runs on, and seeded sections that leave the global generators alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .._config import check_device, get_config
from ..exceptions import BackendError

__all__ = ["device_after_loading", "resolve_device", "seeded"]


def resolve_device(owner: str, device: str) -> torch.device:
    """Return the torch device that `device` stands for on this machine.

    ``"auto"`` asks the configuration; if that says ``"auto"`` too, CUDA where there is one.
    """
    check_device(owner, device)
    name = get_config()["device"] if device == "auto" else device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    chosen = torch.device(name)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise BackendError(
            f"The device {name!r} asked for by {owner} does not exist: "
            f"torch sees {torch.cuda.device_count()} CUDA device(s)."
        )
    return chosen


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators inside the block and put them back as they were afterwards."""
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        # not torch.manual_seed: that one would also reseed the devices that are not in use
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def device_after_loading(owner: str, device: str) -> torch.device:
    """Resolve the device of a pickle anew: it may be loaded on another machine."""
    try:
        return resolve_device(owner, device)
    except BackendError as error:
        warnings.warn(f"{error} The loaded estimator stays on the CPU.", stacklevel=3)
        return torch.device("cpu")
