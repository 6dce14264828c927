"""Small EVT files, written word by word."""

from __future__ import annotations

import numpy as np

from tests.io.common import write

HEADERS = {
    "evt2": b"% evt 2.0\n% geometry 640x480\n% end\n",
    "evt2.1": b"% format EVT21;endianness=little;height=720;width=1280\n% end\n",
    "evt3": b"% evt 3.0\n% format EVT3;height=720;width=1280\n% geometry 1280x720\n% end\n",
}
DTYPES = {"evt2": "<u4", "evt2.1": "<u8", "evt3": "<u2"}

# EVT 3.0
TRIGGER, OTHERS, CONTINUED_4, CONTINUED_12 = 0xA000, 0xE014, 0x7001, 0xF123


def high(value):
    return 0x8000 | value


def low(value):
    return 0x6000 | value


def row(y):
    return y


def event(x, p):
    return 0x2000 | p << 11 | x


def base(x, p):
    return 0x3000 | p << 11 | x


def mask12(mask):
    return 0x4000 | mask


def mask8(mask):
    return 0x5000 | mask


def cd2(x, y, p, t_low):
    """Return an event of EVT 2.0."""
    return p << 28 | t_low << 22 | x << 11 | y


def high2(value):
    return 0x80000000 | value


def cd21(x, y, p, t_low, mask):
    """Return a group of events of EVT 2.1."""
    return cd2(x, y, p, t_low) << 32 | mask


def high21(value):
    return high2(value) << 32


def raw_file(folder, encoding, words, *, header=None, rest=b""):
    """Write a RAW file of words, with bytes that are no whole word behind them."""
    content = np.array(words, DTYPES[encoding]).tobytes()
    return write(
        folder,
        f"{encoding}.raw",
        (HEADERS[encoding] if header is None else header) + content + rest,
    )


def offset_of(encoding, word):
    """Return the byte at which a word of such a file begins."""
    return len(HEADERS[encoding]) + word * np.dtype(DTYPES[encoding]).itemsize
