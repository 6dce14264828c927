"""Event files of every camera: read whole, read in pieces, write."""

from ._read import iter_events, read_events
from ._write import write_events

__all__ = ["read_events", "iter_events", "write_events"]
