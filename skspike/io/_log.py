"""What a decoder has to say about a file: its sensor, and its damages, which raise or are counted.

A damage raises at once with ``errors="raise"``; with ``errors="salvage"`` it is noted, the decoder
goes on where it can, and one warning at the end says what the caller did not get.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from ..exceptions import EventFormatError, EventLossWarning

_NAMED = 3  # files that a warning names


class DecodeLog:
    """The sensor size and the damages of one file."""

    def __init__(self, path: str | Path, salvage: bool) -> None:
        self.path = path
        self.salvage = salvage
        self.sensor_size: tuple[int, int] | None = None
        self.n_events = 0  # handed to the caller
        self.n_lost = 0  # events known to be left out
        self.n_bytes = 0  # bytes left out that could not be decoded
        self.n_damages = 0
        self.first = ""  # the first damage, in words
        self.n_early = 0  # events left out of a file that may be whole
        self.early = ""  # why
        self.has_lines = False  # it is text: places are told as lines too
        self.columns: tuple[str, ...] | None = None  # of a text, as the caller names them

    def damage(
        self,
        offset: int | None,
        reason: str,
        *,
        n_events: int = 0,
        n_bytes: int = 0,
        times: int = 1,
    ) -> None:
        """Raise EventFormatError, or in salvage mode take note and return.

        `reason` completes the sentence "File ... is damaged at byte `offset`: ...". `n_events` and
        `n_bytes` say what is left out if reading goes on; `times` counts equal damages together.
        """
        if not self.salvage:
            raise damaged(self.path, offset, reason, self.has_lines)
        if self.n_damages == 0:
            self.first = _where(offset, self.path if self.has_lines else None) + reason
        self.n_damages += times
        self.n_lost += n_events
        self.n_bytes += n_bytes

    def leave_out(self, n_events: int, reason: str) -> None:
        """Note events that cannot be read from a file that may well be whole.

        They are no damage, and never raise, but are counted in a warning of their own.
        """
        self.n_early += n_events
        self.early = reason

    def summary(self) -> str:
        """Return what is damaged and left out, in a sentence or two."""
        sentences = []
        if self.n_damages:
            lost = [_plural(self.n_lost, "event")] if self.n_lost else []
            lost += [f"{_plural(self.n_bytes, 'byte')} without a readable event"] * bool(
                self.n_bytes
            )
            sentences.append(
                f"File {str(self.path)!r} is damaged in {_plural(self.n_damages, 'place')}, "
                f"first{self.first}; {_plural(self.n_events, 'event')} read, "
                f"{' and '.join(lost) or 'nothing'} left out."
            )
        if self.n_early:
            n_early = _plural(self.n_early, "event")
            sentences.append(f"{n_early} of file {str(self.path)!r} left out: {self.early}.")
        return " ".join(sentences)


def damaged(
    path: object, offset: int | None, reason: str, has_lines: bool = False
) -> EventFormatError:
    """Return the error for a damaged file."""
    where = _where(offset, path if has_lines else None)
    message = f"File {str(path)!r} is damaged{where}{reason}."
    return EventFormatError(message, path=str(path), offset=offset, reason=reason)


def warn_of_damages(logs: Sequence[DecodeLog]) -> None:
    """Warn once of everything that was salvaged, if anything was damaged."""
    bad = [log for log in logs if log.n_damages or log.n_early]
    if not bad:
        return
    sentences = [log.summary() for log in bad[:_NAMED]]
    if len(bad) > _NAMED:
        sentences.append(f"The same goes for {len(bad) - _NAMED} more of {len(logs)} files.")
    warnings.warn(" ".join(sentences), EventLossWarning, stacklevel=3)


def _where(offset: int | None, text: object = None) -> str:
    """Return the place in words; with the path of a text also its line, counted from 1."""
    if offset is None:
        return ": "
    line = "" if text is None else f" (line {_count_lines(text, offset) + 1})"
    return f" at byte {offset}{line}: "


def _count_lines(path: object, stop: int) -> int:
    """Return how many lines end before a byte of a file."""
    n = 0
    with open(path, "rb") as file:
        while stop > 0 and (data := file.read(min(stop, 2**20))):
            n += data.count(b"\n")
            stop -= len(data)
    return n


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
