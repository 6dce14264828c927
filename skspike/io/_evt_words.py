"""What the specification and the compiled decoders of EVT words share: their state and faults."""

from __future__ import annotations

import numpy as np

# What a decoder remembers from word to word, as positions in an int64 array; -1: not yet known.
HIGH, LOW, WRAPS, ROW, BASE, ON = range(6)
# What it reports: words of a type that is reserved and events that reach over the last column,
# with the first word of each, and events that come before their time or row is known.
RESERVED, FIRST_RESERVED, BEYOND, FIRST_BEYOND, EARLY = range(5)

N_COLUMNS = 2048  # what 11 bits of an address can tell apart


def new_state() -> np.ndarray:
    """Return what is known before the first word: nothing."""
    return np.array([-1, 0, 0, -1, -1, 0], np.int64)


def new_faults() -> np.ndarray:
    """Return a report without faults."""
    return np.zeros(5, np.int64)
