"""Packets of cAER."""

from __future__ import annotations

import numpy as np


def packet(rows, kind=1, overflow=0, room=0):
    """A packet of rows x, y, t, p, valid, with empty room behind them."""
    header = np.zeros(7, "<i4")
    header[0] = kind
    n_valid = sum(row[4] for row in rows)
    header[1:] = [8, 4, overflow, len(rows) + room, len(rows), n_valid]
    body = np.zeros((len(rows) + room, 2), "<u4")
    for i, (x, y, t, p, valid) in enumerate(rows):
        body[i] = x << 17 | y << 2 | p << 1 | valid, t
    return header.view(np.uint8), body.reshape(-1).view(np.uint8)
