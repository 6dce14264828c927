"""Prophesee's RAW files: a header in text, then words of EVT 2.0, EVT 2.1 or EVT 3.0."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._config import get_config
from .._event_columns import EVENT_DTYPE
from . import _evt_reference
from ._evt_reference import (
    BEYOND,
    EARLY,
    FIRST_BEYOND,
    FIRST_RESERVED,
    RESERVED,
    new_faults,
    new_state,
)
from ._format import Block, EventFormat, read_records
from ._log import DecodeLog
from ._prophesee import Header, options, parse_header, read_header, sensor_size


@dataclass(frozen=True)
class _Encoding:
    """One of the three encodings."""

    name: str
    mark: str  # in the header's line "format"
    version: str  # in the header's line "evt", which is older
    function: str  # that decodes its words
    dtype: str
    most: int  # events in a word


_ENCODINGS = (
    _Encoding("evt2", "EVT2", "2.0", "decode_evt2", "<u4", 1),
    _Encoding("evt2.1", "EVT21", "2.1", "decode_evt21", "<u8", 32),
    _Encoding("evt3", "EVT3", "3.0", "decode_evt3", "<u2", 12),
)


def _sniff(encoding: _Encoding, head: bytes, path: Path) -> bool:
    """Tell by what the header says about the encoding."""
    fields = parse_header(head).fields
    stated = fields.get("format", "").partition(";")[0].strip().upper()
    if stated:
        return stated == encoding.mark
    return fields.get("evt") == encoding.version


def _decode(encoding: _Encoding, path: Path, log: DecodeLog, chunk: int) -> Iterator[Block]:
    """Decode blocks of words; a word may hold no event or many."""
    header = read_header(path)
    log.sensor_size = sensor_size(header, log)
    function = _function(encoding)
    swapped = None
    state = new_state()
    size = np.dtype(encoding.dtype).itemsize
    for offset, data in read_records(path, header.stop, size, log, chunk):
        words = data.reshape(-1).view(encoding.dtype)
        if encoding.name == "evt2.1":
            swapped = _has_swapped_halves(header, words) if swapped is None else swapped
            words = _swap_halves(words) if swapped else words
        first = 0
        while first < len(words):
            before, faults = state.copy(), new_faults()
            events = np.empty(chunk + encoding.most - 1, EVENT_DTYPE)
            last, n = function(words, first, state, events, faults)
            _report(faults, log, offset, size)
            yield Block(
                events[:n],
                functools.partial(
                    _locate, function, words[first:last], before, n, offset + size * first, size
                ),
            )
            first = last


def _function(encoding: _Encoding) -> Callable:
    """Return the compiled decoder, or the specification if that is asked for."""
    if get_config()["backend"] == "reference":
        return getattr(_evt_reference, encoding.function)
    from . import _evt_numba  # numba takes a moment to import

    return _evt_numba.compiled(getattr(_evt_numba, encoding.function))


def _report(faults: np.ndarray, log: DecodeLog, offset: int, size: int) -> None:
    """Report what a decoder could not decode."""
    if faults[EARLY]:
        log.leave_out(int(faults[EARLY]), "they come before the first complete time and address")
    if n := int(faults[RESERVED]):
        first = offset + size * int(faults[FIRST_RESERVED])
        log.damage(first, "the type of a word is a reserved one", n_bytes=size * n, times=n)
    if n := int(faults[BEYOND]):
        first = offset + size * int(faults[FIRST_BEYOND])
        log.damage(first, "a group of events reaches beyond column 2047", n_events=n, times=n)


def _locate(function, words, state, n: int, start: int, size: int, k: int) -> int:
    """Return the offset of the word that holds event `k` of `n`: decode fewer and fewer words."""
    low, high = 0, len(words) - 1  # the word is one of these
    events = np.empty(n + 32, EVENT_DTYPE)
    while low < high:
        middle = (low + high) // 2
        _, found = function(words[: middle + 1], 0, state.copy(), events, new_faults())
        low, high = (low, middle) if found > k else (middle + 1, high)
    return start + size * low


def _has_swapped_halves(header: Header, words: np.ndarray) -> bool:
    """Tell whether the upper half of a 64-bit word comes first, as an IMX636 sends it.

    Newer headers say so. Else the first words decide: the types of words are few.
    """
    stated = options(header.fields).get("endianness", header.fields.get("endianness"))
    if stated:
        return stated == "legacy"
    types = np.array([0x0, 0x1, 0x8, 0xA, 0xE, 0xF])
    low, high = (words >> np.uint64(28)) & np.uint64(15), words >> np.uint64(60)
    # Times are frequent; a mask of events rarely looks like one.
    score = [np.isin(part, types).sum() + (part == 8).sum() for part in (low, high)]
    return bool(score[0] > score[1])


def _swap_halves(words: np.ndarray) -> np.ndarray:
    """Exchange the upper and the lower 32 bits."""
    swapped = words << np.uint64(32) | words >> np.uint64(32)
    swapped.flags.writeable = False  # one type of array, one compiled decoder
    return swapped


FORMATS = tuple(
    EventFormat(
        encoding.name,
        functools.partial(_sniff, encoding),
        functools.partial(_decode, encoding),
    )
    for encoding in _ENCODINGS
)
