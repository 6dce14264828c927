"""What the tests of readers share: real files, where there are any, and damaged ones."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from skspike.exceptions import EventLossWarning
from skspike.io import read_events
from tests.house import ROOT

RAW = Path(os.environ.get("SKSPIKE_RAW", ROOT.parent / "shared" / "data" / "raw_formats"))


def sample(name: str) -> Path:
    """Return a real file, or skip the test."""
    if not (RAW / name).exists():
        pytest.skip(f"there is no {name}: SKSPIKE_RAW must name the folder of samples")
    return RAW / name


def write(folder: Path, name: str, content: bytes) -> Path:
    """Write a file and return its path."""
    (folder / name).write_bytes(content)
    return folder / name


def rows(events: np.ndarray) -> list[tuple]:
    """Return events as tuples of plain numbers."""
    return [(int(x), int(y), int(t), bool(p)) for x, y, t, p in events.tolist()]


def salvage(path, **options) -> tuple[np.ndarray, str]:
    """Read a damaged file of one recording; return its events and the one warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        X = read_events(path, errors="salvage", **options)
    assert [warning.category for warning in caught] == [EventLossWarning]
    assert len(X) == 1
    return X[0], str(caught[0].message)
