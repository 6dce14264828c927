"""Where the golden vectors are, and how close to them is close enough.

Each file under ``sma/`` and ``neurons/`` holds numbers from the authors' code; the manifests beside
them say what every key means. SKSPIKE_GOLDEN names another directory of the same layout.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
DEFAULTS = (HERE, HERE.parents[2] / "shared" / "golden")
PRECISIONS = {"f32": torch.float32, "f64": torch.float64}


def golden_files(pattern: str) -> list[Path]:
    """Return the files that match a pattern such as ``sma/net_*.npz``, each name once."""
    asked = os.environ.get("SKSPIKE_GOLDEN")
    folders = [Path(asked)] if asked else DEFAULTS
    by_name = {file.name: file for folder in reversed(folders) for file in folder.glob(pattern)}
    return [by_name[name] for name in sorted(by_name)]


class Vectors:
    """One file: arrays by key, tensors in a chosen precision."""

    def __init__(self, file: Path) -> None:
        with np.load(file, allow_pickle=False) as arrays:
            self.arrays = dict(arrays)

    def __contains__(self, key: str) -> bool:
        return key in self.arrays

    def __getitem__(self, key: str) -> np.ndarray:
        return self.arrays[key]

    def config(self, prefix: str = "") -> dict:
        """Return the configuration of the file, or of one of its cases."""
        return json.loads(str(self[f"{prefix}config"]))

    def tensor(self, key: str, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """Return an array as a tensor of the given precision."""
        return torch.from_numpy(np.asarray(self[key])).to(dtype)

    def keys(self, prefix: str) -> list[str]:
        """Return what follows `prefix` in the keys that begin with it."""
        return [key.removeprefix(prefix) for key in self.arrays if key.startswith(prefix)]


def assert_close(actual, expected, tolerance: float, what: str) -> None:
    """Compare up to `tolerance`, absolute below a magnitude of 1 and relative above."""
    actual = actual.detach().double().numpy() if torch.is_tensor(actual) else np.asarray(actual)
    expected = np.asarray(expected, dtype=np.float64)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    error = np.abs(actual - expected).max(initial=0.0)
    assert error <= tolerance * scale, (
        f"{what}: off by {error:.3g}, allowed {tolerance * scale:.3g}"
    )
