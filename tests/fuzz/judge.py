"""Read a damaged file in three ways, and judge what came back.

A read without an error and without a warning is a *silent loss* if it returns fewer events than
the file must still hold: all but those with a byte that was touched, or beside one that was; or if
it returns none at all; or if a file cut short gives anything but the
first events of the original. Formats without a checksum may return other values for bytes that
were touched: that is no loss.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from skspike.exceptions import EventFormatError, EventLossWarning
from skspike.io import iter_events, read_events
from tests.fuzz.mutate import Mutant
from tests.fuzz.seeds import Seed

OUTCOMES = ("not run", "equal", "other values", "error", "warned", "FAULT")
CHUNK = 7  # events a piece of iter_events


def judge(seed: Seed, original: np.ndarray, mutant: Mutant, folder: Path) -> tuple[str, str]:
    """Return the outcome of reading a damaged file, and what is wrong if it is a fault."""
    path = seed.write(folder, mutant.data)
    try:
        events, message, warned = _read(path, "raise")
        fault = _check_pieces(path, events, message)
        fault = fault or _check_salvage(path, events, message, warned)
    except Exception as error:  # anything but EventFormatError is a fault of the reader
        return "FAULT", f"{type(error).__name__}: {error}"
    if fault:
        return "FAULT", fault
    if events is None:
        return "error", ""
    if np.array_equal(events, original):
        return "equal", ""
    if warned:
        return "warned", ""
    fault = _find_loss(seed, original, events, mutant)
    return ("FAULT", fault) if fault else ("other values", "")


def _read(path: Path, errors: str) -> tuple[np.ndarray | None, str, bool]:
    """Return events (None after an error), the message of the error, and whether it warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            # A folder given alone is mapped, and its events are not looked at.
            X = read_events([path], errors=errors)
        except EventFormatError as error:
            if str(error.path) != str(path) or not error.reason or str(path) not in str(error):
                raise AssertionError(f"the error does not say where: {error!r}") from error
            return None, str(error), False
    strange = [w for w in caught if w.category is not EventLossWarning]
    if strange:
        raise AssertionError(f"it warned {strange[0].message!r}")
    return np.concatenate([X.events[:0], *X]), "", bool(caught)


def _check_pieces(path: Path, events: np.ndarray | None, message: str) -> str:
    """Compare what iter_events gives with what read_events gave."""
    pieces = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EventLossWarning)
        try:
            pieces = list(iter_events(path, CHUNK))
        except EventFormatError as error:
            if events is None:
                return ""
            return f"only iter_events raised: {error}"
    if events is None:
        return f"only read_events raised: {message}"
    if not np.array_equal(np.concatenate([events[:0], *pieces]), events):
        return "iter_events and read_events differ"
    return ""


def _check_salvage(path: Path, events: np.ndarray | None, message: str, warned: bool) -> str:
    """Compare the salvaged events with those of a strict read."""
    saved, refusal, warned_too = _read(path, "salvage")
    if saved is None:
        # Where the format is unknown, or the container does not open, there is nothing to salvage.
        return "" if events is None else f"only salvaging raised: {refusal}"
    if events is None:
        return "" if warned_too else f"salvaged without a warning what raised: {message}"
    if warned_too != warned or not np.array_equal(saved, events):
        return "salvaging a readable file gave something else"
    return ""


def _find_loss(seed: Seed, original: np.ndarray, events: np.ndarray, mutant: Mutant) -> str:
    """Return which events a read without error has lost, or an empty text."""
    if not len(events):
        return "silent loss of all events"
    if mutant.kind == "truncate":
        # The last may have lost digits of text; all before it are whole.
        n = len(events) - 1
        if n >= len(original) or not np.array_equal(events[:n], original[:n]):
            return "a file cut short gives other events"
        cut = mutant.touched[0][0]
        n_whole = int((seed.spans[:, 1] <= cut).sum())
        if len(events) < n_whole:
            return f"silent loss: {len(events)} of {n_whole} whole events"
        return ""
    # In a stream of bytes a damaged event can swallow the one after it.
    reach = 8 if seed.name.endswith(".es") else 0
    touched = np.zeros(len(seed.spans), bool)
    for start, stop in mutant.touched:
        # What separates two events, the end of a line perhaps, belongs to both.
        touched |= (seed.spans[:, 0] <= stop + reach) & (seed.spans[:, 1] >= start)
    n_safe = len(original) - int(touched.sum())
    return f"silent loss: {len(events)} of {n_safe} events" if len(events) < n_safe else ""
