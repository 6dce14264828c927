"""Tables of events as containers and text hold them: columns by name, times in seconds or µs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

# What columns are called, in small letters.
_NAMES = {
    "x": ("x", "xs", "x_pos", "col", "column"),
    "y": ("y", "ys", "y_pos", "row"),
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities", "on"),
}
_CANONICAL = {name: key for key, names in _NAMES.items() for name in names}


def canonical(name: str) -> str:
    """Return x, y, t or p for a name of such a column, else the name in small letters."""
    word = name.strip().lower()
    return _CANONICAL.get(word, word)


def find_columns(names: Iterable[str]) -> dict[str, str] | None:
    """Return which of the names are x, y, t and p, or None unless there is one for each."""
    found: dict[str, str] = {}
    for name in names:
        key = canonical(name)
        if key in found and key in _NAMES:
            return None
        found[key] = name
    return {key: found[key] for key in _NAMES} if set(_NAMES) <= set(found) else None


def check_columns(owner: str, columns: object) -> tuple[str, ...] | None:
    """Return the names of the columns of a text, or raise unless x, y, t and p are among them."""
    if columns is None:
        return None
    names = columns.replace(",", " ").split() if isinstance(columns, str) else columns
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"The 'columns' parameter of {owner} must be a str or a list of str. "
            f"Got {columns!r} instead."
        )
    if find_columns(names) is None:
        raise ValueError(
            f"The 'columns' parameter of {owner} must name x, y, t and p once each. "
            f"Got {columns!r} instead."
        )
    return tuple(canonical(name) for name in names)


class Clock:
    """Times of a file in microseconds.

    Whole numbers are microseconds. Floats are seconds if the first block of the file has a
    fraction, else they are microseconds too.
    """

    def __init__(self, seconds: bool | None = None) -> None:
        self.seconds = seconds

    def microseconds(self, t: np.ndarray) -> np.ndarray:
        """Return a block of times; those in seconds are rounded."""
        if t.dtype.kind != "f":
            return t
        t = t.astype(np.float64)
        if self.seconds is None and len(t):
            self.seconds = bool((t != np.trunc(t))[np.isfinite(t)].any())
        with np.errstate(over="ignore"):  # to infinity, which is no time
            return np.rint(t * 1e6) if self.seconds else t
