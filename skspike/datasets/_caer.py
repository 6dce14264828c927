"""Packets of cAER, as the recordings of DDD17 hold them: their events, on the clock of the host."""

from __future__ import annotations

import numpy as np

_HEADER = np.dtype(
    [("kind", "<i2"), ("source", "<i2"), ("size", "<i4"), ("offset", "<i4")]
    + [("overflow", "<i4"), ("capacity", "<i4"), ("number", "<i4"), ("valid", "<i4")]
)
_POLARITY = 1  # the kind of packets of events; others hold images, accelerations and marks


def parse_packet(header: np.ndarray, body: np.ndarray) -> dict[str, np.ndarray] | None:
    """Return the columns x, y, t and p of the valid events of a packet, or None if it has none."""
    if header.size != _HEADER.itemsize:
        raise ValueError(f"a packet has a header of {header.size} bytes")
    fields = np.frombuffer(header.tobytes(), _HEADER)[0]
    if fields["kind"] != _POLARITY:
        return None
    words = np.frombuffer(body.tobytes(), "<u4").reshape(-1, 2)[: fields["number"]]
    address, time = words[(words[:, 0] & 1) == 1].T
    return {
        "x": address >> 17,
        "y": address >> 2 & 0x7FFF,
        "t": time.astype(np.int64) + (int(fields["overflow"]) << 31),
        "p": (address >> 1 & 1).astype(bool),
    }


class HostClock:
    """What time it was on the host when the clock of the camera showed a time.

    The last event of the first packet counts as no older than the packet, and so it is again when
    the clock of the camera has been set back. Time of the host never runs backwards.
    """

    def __init__(self) -> None:
        self._offset: int | None = None
        self._camera = self._host = 0  # the last times

    def on_host(self, t: np.ndarray, arrival: int) -> np.ndarray:
        """Return times of a packet that arrived at a time of the host, all in µs."""
        if self._offset is None or t[0] < self._camera:
            offset = arrival - int(t[-1])
            earliest = offset if self._offset is None else self._host - int(t[0])
            self._offset = max(offset, earliest)
        self._camera, self._host = int(t[-1]), int(t[-1]) + self._offset
        return t + self._offset
