"""An encoder that keeps a list of what it encodes, for the tests of those that use encoders."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from skspike import FrameEncoder


class CountingEncoder(FrameEncoder):
    """A FrameEncoder that adds a line to the file `log` for each recording that it encodes."""

    def __init__(self, n_bins=3, *, log=None, window="recording", dtype="float32"):
        super().__init__(n_bins, window=window, dtype=dtype)
        self.log = log

    def transform(self, X):
        """Encode recordings, and note each."""
        names = [blake2b(recording.tobytes(), digest_size=4).hexdigest() for recording in X]
        with open(self.log, "a") as file:
            file.write("".join(f"{self.n_bins} {name}\n" for name in names))
        return super().transform(X)


def encoded(log: Path) -> list[str]:
    """Return the lines of the log, one for each encoding, and empty it."""
    lines = log.read_text().splitlines() if log.exists() else []
    log.write_text("")
    return lines
